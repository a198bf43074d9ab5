"""Anthropic's messages as the one conversation that every face translates into. Pure."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from coordinator.submit.body import CalledFunction, ChatMessage, ContentPart, ToolCall, refuse_if
from shared.errors import RequestError

_FORGOTTEN: Final = ("thinking", "redacted_thinking")
"""What a model wrote to itself in earlier turns is not read to it again."""


class Source(msgspec.Struct, frozen=True):
    """Where an image or a document comes from."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None


class Block(msgspec.Struct, frozen=True):
    """A block of a message's content, of any kind: the fields that its `type` has are there."""

    type: str
    text: str | None = None
    source: Source | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None
    tool_use_id: str | None = None
    content: "str | list[Block] | None" = None
    is_error: bool | None = None


class TurnBody(msgspec.Struct, frozen=True):
    """One message as callers write it."""

    role: str
    content: str | list[Block]


def conversation_of(system: str | list[Block] | None, turns: Iterable[TurnBody]) -> list[ChatMessage]:
    """The system prompt and the turns as messages: results of tools become messages of their own. Raises RequestError for
    a block that is none, or that no model here can read."""
    told = _text(system, "system") if system else ""
    messages = [ChatMessage("system", told)] if told else []
    for place, turn in enumerate(turns):
        messages += _messages(turn, f"messages[{place}]")
    return messages


def _messages(turn: TurnBody, where: str) -> list[ChatMessage]:
    if turn.role not in ("user", "assistant", "system"):
        raise RequestError(f"{where}.role must be user or assistant.", param=f"{where}.role")
    if isinstance(turn.content, str):
        return [ChatMessage(turn.role, turn.content)]
    results, parts, calls = list[ChatMessage](), list[ContentPart](), list[ToolCall]()
    for number, block in enumerate(turn.content):
        at = f"{where}.content[{number}]"
        if block.type == "tool_result":
            results.append(_result(block, at))
        elif block.type == "tool_use":
            calls.append(_call(block, at))
        elif block.type not in _FORGOTTEN:
            parts.append(_part(block, at))
    said = [ChatMessage(turn.role, parts or None, tool_calls=calls or None)] if parts or calls else []
    return [*results, *said]


def _part(block: Block, where: str) -> ContentPart:
    match block:
        case Block(type="text", text=str() as text):
            return ContentPart("text", text)
        case Block(type="image", source=Source() as source):
            return ContentPart("image_url", image_url=_url(source, where))
        case Block(type="document", source=Source(type="text", data=str() as text)):
            return ContentPart("text", text)
        case _:
            refuse_if(block.type not in ("text", "image"), f"{where}.type {block.type[:40]}")
            raise RequestError(f"{where} lacks what a block of this type holds.", param=where)


def _url(source: Source, where: str) -> str:
    match source:
        case Source(type="base64", media_type=str() as kind, data=str() as data):
            return f"data:{kind};base64,{data}"
        case Source(type="url", url=str() as url):
            return url
        case _:
            raise RequestError(
                f"{where}.source must be base64 with media_type and data, or a url.", param=f"{where}.source"
            )


def _call(block: Block, where: str) -> ToolCall:
    if block.name is None or block.id is None:
        raise RequestError(f"{where}: a tool_use has an id and a name.", param=where)
    arguments = msgspec.json.encode({} if block.input is None else block.input).decode()
    return ToolCall(CalledFunction(block.name, arguments), block.id)


def _result(block: Block, where: str) -> ChatMessage:
    if block.tool_use_id is None:
        raise RequestError(f"{where}: a tool_result has a tool_use_id.", param=f"{where}.tool_use_id")
    said = _text(block.content or "", where)
    return ChatMessage("tool", f"Error: {said}" if block.is_error else said, tool_call_id=block.tool_use_id)


def _text(content: str | list[Block], where: str) -> str:
    if isinstance(content, str):
        return content
    for number, block in enumerate(content):
        if block.type != "text" or block.text is None:
            refuse_if(True, f"{where}.content[{number}].type {block.type[:40]}")
    return "\n".join(block.text or "" for block in content)
