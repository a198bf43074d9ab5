"""What a worker and its vocabulary process say to each other: length-prefixed msgpack, as on the engine's pipe."""

from typing import Final, Literal

import msgspec

from shared.protocol.messages import Message
from worker.engine.wire import framed


class Open(msgspec.Struct, frozen=True, tag="open"):
    """The first message: the GGUF file whose vocabulary counts."""

    path: str


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """A request: count its prompt, then expect the pieces of its answer, which `stop` or `max_tokens` may end."""

    number: int
    max_tokens: int
    messages: list[Message] | None = None
    prompt: str | None = None
    stop: list[str] = []


class Count(msgspec.Struct, frozen=True, tag="count"):
    """How many tokens are these texts, each of them after the query if there is one?"""

    number: int
    texts: list[str]
    query: str | None = None


class Piece(msgspec.Struct, frozen=True, tag="piece"):
    """The next text of an answer; `last` when no more follows."""

    number: int
    text: str
    last: bool = False


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """This answer is over; nothing is said to it."""

    number: int


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The vocabulary is there."""

    size: int


class OpenFailed(msgspec.Struct, frozen=True, tag="open_failed"):
    """There is no vocabulary in this file; trying again changes nothing."""

    message: str


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """How many tokens the prompt is, or the texts in all and the longest of them."""

    number: int
    tokens: int
    longest: int = 0


class Cut(msgspec.Struct, frozen=True, tag="cut"):
    """The piece as token ids, the text that they make certain, and what ended the answer, if anything did."""

    number: int
    ids: list[int]
    text: str
    ended: Literal["", "stop", "length"] = ""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """This cannot be said in the vocabulary's tokens; `code` and `message` are for the coordinator."""

    number: int
    code: str
    message: str
    retryable: bool


ToVocabulary = Open | Begin | Count | Piece | Drop
Answered = Counted | Cut | Refused
FromVocabulary = Opened | OpenFailed | Answered

_ENCODER: Final = msgspec.msgpack.Encoder()
_TO: Final[msgspec.msgpack.Decoder[ToVocabulary]] = msgspec.msgpack.Decoder(ToVocabulary)
_FROM: Final[msgspec.msgpack.Decoder[FromVocabulary]] = msgspec.msgpack.Decoder(FromVocabulary)


def packed(message: ToVocabulary | FromVocabulary) -> bytes:
    """The message with its length in front."""
    return framed(_ENCODER.encode(message))


def to_vocabulary(body: bytes) -> ToVocabulary:
    """The worker's message of this body; raises msgspec.DecodeError."""
    return _TO.decode(body)


def from_vocabulary(body: bytes) -> FromVocabulary:
    """The process's message of this body; raises msgspec.DecodeError."""
    return _FROM.decode(body)
