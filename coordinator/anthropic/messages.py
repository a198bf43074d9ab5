"""Anthropic's Messages: translated to a chat and its answer told as Anthropic's clients read it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.said import Likely
from coordinator.answer.serve import called, serve
from coordinator.answer.teller import Counts, End, Names, Told
from coordinator.anthropic.blocks import Block, TurnBody, conversation_of
from coordinator.api.answers import json_answer
from coordinator.api.bodies import MEDIA_BODY, check_size, decoded
from coordinator.api.errors import body_at
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai import chat
from coordinator.openai.chat import ChatBody
from coordinator.submit.body import refuse_if
from coordinator.submit.request import Submission
from shared.chat.events import CallArguments, CallEnded, CallStarted, Content, Event, Reasoning
from shared.errors import HiveError, RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups

PATH: Final = "/v1/messages"
_ENCODER: Final = msgspec.json.Encoder()
_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


class Tool(msgspec.Struct, frozen=True):
    """A tool of the caller's own; those of Anthropic's servers have another `type`."""

    name: str
    input_schema: dict[str, Any] | None = None
    description: str | None = None
    type: str | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Which tool is called, and whether several may be."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    """Whether what the model writes to itself is told."""

    type: str


class OutputConfig(msgspec.Struct, frozen=True):
    """What the answer's text must be; how much effort it is worth means nothing here."""

    format: Any = None


class CountBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/messages/count_tokens`."""

    model: str
    messages: list[TurnBody]
    system: str | list[Block] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None


class MessagesBody(CountBody, frozen=True, kw_only=True):
    """`POST /v1/messages`: Anthropic's fields; where it is computed is said by `inference_geo` or Hive's headers."""

    max_tokens: int
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    output_config: OutputConfig | None = None
    inference_geo: str | None = None
    mcp_servers: list[Any] | None = None
    container: Any = None


_DECODER: Final = msgspec.json.Decoder(MessagesBody)
_COUNTING: Final = msgspec.json.Decoder(CountBody)


def submission(
    body: CountBody, header: Callable[[str], str | None], groups: Groups = NO_GROUPS, **more: Any
) -> Submission:
    """The request that a body asks for, by way of a chat's; raises RequestError for what is wrong or not supported."""
    choice = body.tool_choice
    asked = ChatBody(
        model=body.model,
        messages=conversation_of(body.system, body.messages),
        tools=[_tool(tool) for tool in body.tools] if body.tools else None,
        tool_choice=_choice(choice) if choice and body.tools else None,
        parallel_tool_calls=not (choice and choice.disable_parallel_tool_use),
        **more,
    )
    return chat.submission(asked, header, groups)


def sampled(body: MessagesBody) -> dict[str, Any]:
    """The fields of a chat that say how long the answer is and how its tokens are chosen."""
    refuse_if(bool(body.mcp_servers), "mcp_servers")
    refuse_if(body.container is not None, "container")
    return {
        "max_tokens": body.max_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "stop": body.stop_sequences,
        "jurisdiction": None if body.inference_geo == "global" else body.inference_geo,
        "response_format": _format(body.output_config.format) if body.output_config else None,
    }


class MessageTeller:
    """Tells an answer as Anthropic does; `thinking` says whether reasoning is told too."""

    def __init__(self, names: Names, *, thinking: bool = False) -> None:
        self._names = names
        self._thinking = thinking
        self._index = -1
        self._open: str | None = None

    def opening(self) -> bytes:
        """The message without content."""
        return _event("message_start", {"message": self._message([], None, Counts(self._names.tokens_in))})

    def more(self, _choice: int, events: Sequence[Event], _likely: list[Likely] | None) -> bytes:
        """Pieces of blocks, each block opened once and closed before the next."""
        return b"".join(self._told(event) for event in events)

    def ended(self, _choice: int, end: End) -> bytes:
        """The reason, and what was counted; an answer has one block at least."""
        empty = self._in("text", {"text": ""}) if self._index < 0 else b""
        return empty + self._close() + _event("message_delta", {"delta": _why(end), "usage": _usage(end.counts)})

    def closing(self, _counts: Counts) -> bytes:
        """The end."""
        return _event("message_stop", {})

    def broken(self, error: HiveError) -> bytes:
        """An error, and nothing that looks like a normal end."""
        return b"event: error\ndata: " + _ENCODER.encode(body_at(PATH, error)) + b"\n\n"

    def whole(self, answers: Sequence[Told], counts: Counts) -> object:
        """A message."""
        (told,) = answers
        return self._message(_blocks(told.events, thinking=self._thinking), told.end, counts)

    def _message(self, content: list[dict[str, Any]], end: End | None, counts: Counts) -> dict[str, Any]:
        why = _why(end) if end else {"stop_reason": None, "stop_sequence": None}
        said = {"id": f"msg_{self._names.id.hex}", "type": "message", "role": "assistant", "model": self._names.model}
        return {**said, "content": content, **why, "usage": _usage(counts)}

    def _told(self, event: Event) -> bytes:
        match event:
            case Content(text):
                return self._in("text", {"text": ""}) + self._delta({"type": "text_delta", "text": text})
            case Reasoning(text) if self._thinking:
                start = self._in("thinking", {"thinking": "", "signature": ""})
                return start + self._delta({"type": "thinking_delta", "thinking": text})
            case CallStarted(_, id_, name):
                return self._close() + self._in("tool_use", {"id": id_, "name": name, "input": {}})
            case CallArguments(_, text):
                return self._delta({"type": "input_json_delta", "partial_json": text})
            case CallEnded():
                return self._close()
            case _:
                return b""

    def _in(self, kind: str, block: dict[str, Any]) -> bytes:
        """Opens a block of this kind, unless one is open."""
        if self._open == kind:
            return b""
        closed = self._close()
        self._open = kind
        self._index += 1
        started = {"index": self._index, "content_block": {"type": kind, **block}}
        return closed + _event("content_block_start", started)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event("content_block_stop", {"index": self._index})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})


@post([PATH, "/messages"], name="messages", status_code=200, request_max_body_size=MEDIA_BODY)
async def messages(request: HttpRequest) -> ASGIApp:
    """A message of Anthropic's API: a durable job, streamed or in one piece; a client that goes away cancels it."""
    call = await called(request)
    body = decoded(_DECODER, call.raw)
    asked = submission(body, request.headers.get, face_of(request).groups, **sampled(body))
    told = body.thinking is not None and body.thinking.type != "disabled"
    return await serve(request, call, asked, partial(MessageTeller, thinking=told), stream=bool(body.stream))


@post(
    [f"{PATH}/count_tokens", "/messages/count_tokens"],
    name="count_message_tokens",
    status_code=200,
    request_max_body_size=MEDIA_BODY,
)
async def count_tokens(request: HttpRequest) -> ASGIApp:
    """How many tokens the model would read, by its own template and vocabulary; costs nothing."""
    call = await called(request)
    face = face_of(request)
    asked = submission(decoded(_COUNTING, call.raw), request.headers.get, face.groups)
    check_size(call.sent.size, media=bool(asked.request.images))
    return json_answer({"input_tokens": await face.intake.count(asked, call.key)})


def _tool(tool: Tool) -> dict[str, Any]:
    refuse_if(tool.type not in (None, "custom"), f"tools.type {tool.type}")
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema or {}}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _choice(choice: ToolChoice) -> Any:
    if choice.type == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    if choice.type not in _CHOICES:
        raise RequestError("tool_choice.type must be auto, any, tool or none.", param="tool_choice.type")
    return _CHOICES[choice.type]


def _format(given: Any) -> Any:
    """Anthropic's format, which names a schema alone, as a chat's."""
    if isinstance(given, dict) and given.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": given.get("schema"), "strict": True}}
    return given


def _blocks(events: Sequence[Event], *, thinking: bool) -> list[dict[str, Any]]:
    """The whole content that these events, each text in one piece, tell."""
    blocks: list[dict[str, Any]] = []
    arguments: dict[int, str] = {}
    for event in events:
        match event:
            case Content(text):
                blocks.append({"type": "text", "text": text})
            case Reasoning(text) if thinking:
                blocks.append({"type": "thinking", "thinking": text, "signature": ""})
            case CallStarted(index, id_, name):
                arguments[index] = ""
                blocks.append({"type": "tool_use", "id": id_, "name": name, "input": index})
            case CallArguments(index, text):
                arguments[index] += text
            case _:
                continue
    for block in blocks:
        if block["type"] == "tool_use":
            block["input"] = _object(arguments[block["input"]])
    return blocks or [{"type": "text", "text": ""}]


def _object(arguments: str) -> Any:
    """A call's arguments; those of an answer that was cut within them are none."""
    try:
        return msgspec.json.decode(arguments or "{}")
    except msgspec.DecodeError:
        return {}


def _why(end: End) -> dict[str, Any]:
    reason = "stop_sequence" if end.stopped_by is not None else _REASONS[end.finish_reason]
    return {"stop_reason": reason, "stop_sequence": end.stopped_by}


def _usage(counts: Counts) -> dict[str, int]:
    """Anthropic's counts: what was read from a cache is told apart."""
    return {
        "input_tokens": counts.tokens_in - counts.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.tokens_out,
    }


def _event(name: str, value: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _ENCODER.encode({"type": name, **value}) + b"\n\n"


ROUTES: Final[list[Any]] = [messages, count_tokens]
