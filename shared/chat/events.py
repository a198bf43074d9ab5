"""What a chat answer is made of, as it comes."""

import hashlib
from collections.abc import Iterable
from itertools import groupby

import msgspec


class Content(msgspec.Struct, frozen=True, tag=True):
    """Text for the reader."""

    text: str


class Reasoning(msgspec.Struct, frozen=True, tag=True):
    """Text that the model wrote to itself."""

    text: str


class CallStarted(msgspec.Struct, frozen=True, tag=True):
    """A call of a known tool; indices count from 0."""

    index: int
    id: str
    name: str


class CallArguments(msgspec.Struct, frozen=True, tag=True):
    """More of the call's arguments: joined, they are a JSON object."""

    index: int
    text: str


class CallEnded(msgspec.Struct, frozen=True, tag=True):
    """The call is whole."""

    index: int


Event = Content | Reasoning | CallStarted | CallArguments | CallEnded


def call_id(seed: str, index: int) -> str:
    """The id of an answer's call: the same for the same answer, however often it is told."""
    return "call_" + hashlib.sha256(f"{seed}\0{index}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


def merged(events: Iterable[Event]) -> list[Event]:
    """The same with neighbouring pieces of one text joined."""
    joined: list[Event] = []
    for _, group in groupby(events, key=lambda event: (type(event), getattr(event, "index", 0))):
        first, *more = group
        if more and not isinstance(first, CallStarted | CallEnded):
            pieces = [first.text, *(getattr(event, "text", "") for event in more)]
            first = msgspec.structs.replace(first, text="".join(pieces))
        joined.append(first)
    return joined
