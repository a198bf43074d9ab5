"""What OpenAI's faces have in common: usage, chunks of a stream, and answers as messages. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from coordinator.answer.said import Likely
from coordinator.answer.teller import Counts, Names
from coordinator.api.errors import error_body
from shared.chat.events import CallArguments, CallEnded, CallStarted, Content, Event, Reasoning
from shared.errors import HiveError
from shared.ids import chat_id

DONE: Final = b"data: [DONE]\n\n"
MILLION: Final = 1_000_000
_ENCODER: Final = msgspec.json.Encoder()

Delta = dict[str, Any]


class StreamOptions(msgspec.Struct, frozen=True):
    """What a stream holds besides the answer."""

    include_usage: bool | None = None


def usage(counts: Counts) -> dict[str, Any]:
    """OpenAI's counts of tokens."""
    return {
        "prompt_tokens": counts.tokens_in,
        "completion_tokens": counts.tokens_out,
        "total_tokens": counts.tokens_in + counts.tokens_out,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
    }


def head(names: Names, kind: str) -> dict[str, Any]:
    """What every part of one answer says alike."""
    return {
        "object": kind,
        "id": chat_id(names.id),
        "created": names.created,
        "model": names.model,
        "system_fingerprint": names.system_fingerprint,
    }


def event(value: Any) -> bytes:
    """A value as a server-sent event."""
    return b"data: " + _ENCODER.encode(value) + b"\n\n"


class Chunks:
    """Writes the server-sent events of one stream; with `include_usage` every chunk but the last has `usage: null`."""

    def __init__(self, names: Names, kind: str, *, include_usage: bool) -> None:
        self._head = head(names, kind)
        self._tail: dict[str, Any] = {"usage": None} if include_usage else {}
        self._include_usage = include_usage

    def choice(self, choice: dict[str, Any]) -> bytes:
        """A chunk of one choice."""
        return event({**self._head, "choices": [choice], **self._tail})

    def closing(self, counts: Counts) -> bytes:
        """The counts if they were asked for, and the end."""
        last = event({**self._head, "choices": [], "usage": usage(counts)}) if self._include_usage else b""
        return last + DONE

    def broken(self, error: HiveError) -> bytes:
        """An error, and nothing that looks like a normal end."""
        return event(error_body(error))


def deltas(events: Iterable[Event]) -> Iterable[Delta]:
    """The events as a chat's deltas."""
    for one in events:
        match one:
            case Content(text):
                yield {"content": text}
            case Reasoning(text):
                yield {"reasoning_content": text}
            case CallStarted(index, id_, name):
                function = {"name": name, "arguments": ""}
                yield {"tool_calls": [{"index": index, "id": id_, "type": "function", "function": function}]}
            case CallArguments(index, text):
                yield {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
            case CallEnded():
                pass


def calls_of(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The whole tool calls among the events: id, name and arguments of each."""
    calls: list[dict[str, Any]] = []
    for one in events:
        if isinstance(one, CallStarted):
            calls.append({"id": one.id, "name": one.name, "arguments": ""})
        elif isinstance(one, CallArguments):
            calls[one.index]["arguments"] += one.text
    return calls


def text_of(events: Iterable[Event], kind: type[Content] | type[Reasoning] = Content) -> str:
    """All that is said in events of this kind."""
    return "".join(one.text for one in events if isinstance(one, kind))


def token(raw: bytes, micros: int) -> dict[str, Any]:
    """A token and how likely it was."""
    return {"token": raw.decode("utf-8", "replace"), "logprob": micros / MILLION, "bytes": list(raw)}


def likelihoods(likely: Sequence[Likely] | None) -> dict[str, Any] | None:
    """A chat choice's `logprobs`; None where none were asked for."""
    if likely is None:
        return None
    told = [token(one.raw, one.micros) | {"top_logprobs": [token(*top) for top in one.top]} for one in likely]
    return {"content": told, "refusal": None}
