"""What an upstream says while it answers, event by event: server-sent events, or a JSON object a line. Pure."""

from typing import Any, Final, Literal, TypeVar

import msgspec

from worker.remote.upstream import UpstreamFailed

MOST_LINE: Final = 1 << 18
Framing = Literal["sse", "ndjson"]
T = TypeVar("T")

_STOPS: Final = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn"})
_LENGTHS: Final = frozenset({"length", "max_tokens"})


class Told(msgspec.Struct, frozen=True):
    """One event: text of the answer, text of the thoughts before it, how it ended (if it did), prompt tokens that were in
    a cache, how far the prompt is read, and how many tokens of it the upstream counts (0 where it does not say)."""

    text: str = ""
    thought: str = ""
    finish: Literal["", "stop", "length"] = ""
    cached: int = 0
    read: tuple[int, int] | None = None
    over: bool = False
    prompt: int = 0


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta = _Delta()
    text: str | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = 0


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = 0
    prompt_tokens_details: _Details | None = None


class _Progress(msgspec.Struct, frozen=True):
    total: int = 0
    processed: int = 0


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    prompt_progress: _Progress | None = None
    error: Any = None


class _Words(msgspec.Struct, frozen=True):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Any] | None = None


class _Line(msgspec.Struct, frozen=True):
    message: _Words = _Words()
    response: str | None = None
    thinking: str | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = 0
    error: Any = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_LINE: Final = msgspec.json.Decoder(_Line)


class Events:
    """Cuts a stream of bytes into events; it keeps one event at most."""

    def __init__(self, framing: Framing) -> None:
        self._sse = framing == "sse"
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Told]:
        """The events that these bytes complete; raises UpstreamFailed for what is none."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MOST_LINE or any(len(line) > MOST_LINE for line in lines):
            raise UpstreamFailed("the upstream sends a line without end", code="engine_error")
        found = (self._line(line.removesuffix(b"\r")) for line in lines)
        return [told for told in found if told is not None]

    def _line(self, line: bytes) -> Told | None:
        if not self._sse:
            return _of_line(line) if line.strip() else None
        if not line:
            data, self._data, self._size = b"\n".join(self._data), [], 0
            return _of_data(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value) + 1
            if self._size > MOST_LINE:
                raise UpstreamFailed("the upstream sends an event without end", code="engine_error")
        return None


def _of_data(data: bytes) -> Told:
    if data.strip() == b"[DONE]":
        return Told(over=True)
    chunk = _decoded(_CHUNK, data)
    if chunk.error is not None:
        raise _broken()
    choice = chunk.choices[0] if chunk.choices else _Choice()
    if choice.delta.tool_calls:
        raise _called()
    details = chunk.usage.prompt_tokens_details if chunk.usage else None
    progress = chunk.prompt_progress
    return Told(
        text=choice.delta.content or choice.text or "",
        thought=choice.delta.reasoning_content or choice.delta.reasoning or "",
        finish=_finish(choice.finish_reason),
        cached=max(0, details.cached_tokens or 0) if details else 0,
        read=(progress.processed, progress.total) if progress else None,
        prompt=max(0, chunk.usage.prompt_tokens or 0) if chunk.usage else 0,
    )


def _of_line(line: bytes) -> Told:
    said = _decoded(_LINE, line)
    if said.error is not None:
        raise _broken()
    if said.message.tool_calls:
        raise _called()
    return Told(
        text=said.message.content or said.response or "",
        thought=said.message.thinking or said.thinking or "",
        finish=_finish(said.done_reason or "stop") if said.done else "",
        over=said.done,
        prompt=max(0, said.prompt_eval_count or 0),
    )


def _finish(reason: str | None) -> Literal["", "stop", "length"]:
    if not reason:
        return ""
    if reason in _STOPS:
        return "stop"
    if reason in _LENGTHS:
        return "length"
    raise UpstreamFailed(
        "the upstream ended its answer for a reason that is neither stop nor length", code="engine_error"
    )


def _decoded(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UpstreamFailed(
            "the upstream's answer is not what its kind of server sends", code="engine_error"
        ) from error


def _broken() -> UpstreamFailed:
    return UpstreamFailed("the upstream reports an error in the middle of its answer", code="engine_error")


def _called() -> UpstreamFailed:
    return UpstreamFailed("the upstream called a tool that nobody gave it", code="engine_error")
