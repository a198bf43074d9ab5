"""OpenAI's shapes for a chat's answer: the whole completion, and the chunks of a stream."""

from typing import Any, Final

import msgspec

DONE: Final = b"data: [DONE]\n\n"
_ENCODER: Final = msgspec.json.Encoder()


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


def completion(names: ChatNames, text: str, finish_reason: str, counts: dict[str, Any]) -> dict[str, Any]:
    """A whole `chat.completion`."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": None,
        "finish_reason": finish_reason,
    }
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

    def text(self, text: str) -> bytes:
        """New text; nothing for an empty one."""
        return self._choice({"content": text}, None) if text else b""

    def closing(self, finish_reason: str, counts: dict[str, Any]) -> bytes:
        """The finish reason, once; the counts if they were asked for; the end."""
        end = self._choice({}, finish_reason)
        if self._include_usage:
            end += _event({**self._head, "choices": [], "usage": counts})
        return end + DONE

    def _choice(self, delta: dict[str, str], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**self._head, "choices": [choice], **self._tail})


def broken(error: dict[str, Any]) -> bytes:
    """The end of a stream that failed midway: an error, and nothing that looks like a normal end."""
    return _event(error)


def _event(value: Any) -> bytes:
    return b"data: " + _ENCODER.encode(value) + b"\n\n"
