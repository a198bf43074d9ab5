"""OpenAI's shapes for a chat's answer: the whole completion, and the chunks of a stream."""

from typing import Any, Final

import msgspec

DONE: Final = b"data: [DONE]\n\n"
_ENCODER: Final = msgspec.json.Encoder()

Logprobs = dict[str, Any] | None
"""A choice's `logprobs`; None where none were asked for."""


class ChatNames(msgspec.Struct, frozen=True):
    """What every part of one answer says alike; `created` in seconds since 1970 UTC."""

    id: str
    created: int
    model: str
    system_fingerprint: str


def usage(tokens_in: int, tokens_out: int, cached_tokens: int = 0) -> dict[str, Any]:
    """The model's own counts; the end token is not among them. `cached_tokens` of the prompt were not read again."""
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }


def completion(
    names: ChatNames, message: dict[str, Any], finish_reason: str, counts: dict[str, Any], logprobs: Logprobs = None
) -> dict[str, Any]:
    """A whole `chat.completion`."""
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish_reason}
    return {"object": "chat.completion", **msgspec.structs.asdict(names), "choices": [choice], "usage": counts}


class Chunks:
    """Writes the server-sent events of one stream; with `include_usage` every chunk but the last has `usage: null`."""

    def __init__(self, names: ChatNames, *, include_usage: bool) -> None:
        self._head = {"object": "chat.completion.chunk", **msgspec.structs.asdict(names)}
        self._tail: dict[str, Any] = {"usage": None} if include_usage else {}
        self._include_usage = include_usage

    def opening(self) -> bytes:
        """The first chunk: the role, once."""
        return self._choice({"role": "assistant", "content": ""}, None)

    def delta(self, delta: dict[str, Any], logprobs: Logprobs = None) -> bytes:
        """A piece of the answer."""
        return self._choice(delta, None, logprobs)

    def closing(self, finish_reason: str, counts: dict[str, Any], logprobs: Logprobs = None) -> bytes:
        """The finish reason, once, with what is left to be told; the counts if they were asked for; the end."""
        end = self._choice({}, finish_reason, logprobs)
        if self._include_usage:
            end += _event({**self._head, "choices": [], "usage": counts})
        return end + DONE

    def _choice(self, delta: dict[str, Any], finish_reason: str | None, logprobs: Logprobs = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return _event({**self._head, "choices": [choice], **self._tail})


def broken(error: dict[str, Any]) -> bytes:
    """The end of a stream that failed midway: an error, and nothing that looks like a normal end."""
    return _event(error)


def _event(value: Any) -> bytes:
    return b"data: " + _ENCODER.encode(value) + b"\n\n"
