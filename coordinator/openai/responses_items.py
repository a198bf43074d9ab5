"""The items of OpenAI's Responses API as the messages of a conversation, and back. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from coordinator.submit.body import ROLES, CalledFunction, ToolCall
from coordinator.submit.content import content_of
from shared.errors import NotFound, RequestError
from shared.protocol.messages import Image, Message

ASSISTANT: Final = "assistant"
NAME_LENGTH: Final = 200
_Json = dict[str, Any]


class Item(msgspec.Struct, frozen=True):
    """One item of an `input`; which of its fields have to be there, and what they hold, depends on its type."""

    type: str | None = None
    role: str | None = None
    content: Any = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    output: Any = None
    encrypted_content: str | None = None

    @property
    def kind(self) -> str:
        """Its type, which a message and a reference may leave out."""
        if self.type is None:
            return "item_reference" if self.id is not None and self.role is None else "message"
        return self.type


class Part(msgspec.Struct, frozen=True):
    """A part of a message's content, or of a tool's output."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None

    @property
    def image(self) -> str | None:
        """The URL of its image."""
        return self.image_url

    @property
    def heard(self) -> "Part":
        """The part as the model reads it: to it, what it refused with is text."""
        return Part("output_text", self.refusal) if self.type == "refusal" else self


Unseal = Callable[[str], str | None]
"""What a compaction item of this account says; None if it is not one of ours."""


def referenced(items: Sequence[Item]) -> list[str]:
    """The ids of the items that are only named."""
    return [item.id for item in items if item.kind == "item_reference" and item.id is not None]


def with_references(items: Sequence[Item], known: Mapping[str, _Json]) -> list[Item]:
    """The items with those that are only named put in; raises NotFound for one that is not known."""
    found: list[Item] = []
    for i, item in enumerate(items):
        if item.kind != "item_reference":
            found.append(item)
        elif (told := known.get(item.id or "")) is not None:
            found.append(msgspec.convert(told, Item))
        else:
            message = (
                f"Item {(item.id or '')[:NAME_LENGTH]!r} is not found: only what stored responses hold can be named."
            )
            raise NotFound(message, param=f"input[{i}].id")
    return found


def continued(earlier: Sequence[Message], items: Sequence[Item], unseal: Unseal) -> list[Message]:
    """A conversation and what these items add to it; raises RequestError that names what is wrong."""
    adding = _Adding(list(earlier), unseal)
    for i, item in enumerate(items):
        adding.take(item, f"input[{i}]")
    return adding.messages


class _Adding:
    """Adds items to a conversation; calls belong to the answer before them."""

    def __init__(self, messages: list[Message], unseal: Unseal) -> None:
        self.messages = messages
        self._unseal = unseal
        self._names = {
            call["id"]: call["function"]["name"] for message in messages for call in message.tool_calls or ()
        }

    def take(self, item: Item, where: str) -> None:
        match item.kind:
            case "message":
                self.messages.append(_message(item, where))
            case "function_call":
                self._called(item, where)
            case "function_call_output":
                self._answered(item, where)
            case "compaction":
                self.messages.append(Message(role=ASSISTANT, content=self._unsealed(item, where)))
            case "reasoning":
                pass
            case other:
                raise unsupported(other[:NAME_LENGTH], f"{where}.type")

    def _called(self, item: Item, where: str) -> None:
        name, call_id, arguments = item.name, item.call_id, item.arguments
        if not name or not call_id or not isinstance(arguments, str):
            raise RequestError(f"{where} must have a call_id, a name, and arguments as text.", param=where)
        call = ToolCall(CalledFunction(name[:NAME_LENGTH], arguments), call_id[:NAME_LENGTH]).as_json()
        self._names[call["id"]] = name[:NAME_LENGTH]
        last = self.messages[-1] if self.messages else None
        if last is None or last.role != ASSISTANT:
            self.messages.append(Message(role=ASSISTANT, tool_calls=[call]))
        elif last.tool_calls is None:
            self.messages[-1] = msgspec.structs.replace(last, tool_calls=[call])
        else:
            last.tool_calls.append(call)

    def _answered(self, item: Item, where: str) -> None:
        call_id = (item.call_id or "")[:NAME_LENGTH]
        if call_id not in self._names:
            message = f"No tool call found for function call output with call_id {call_id!r}."
            raise RequestError(message, param=f"{where}.call_id")
        text, images = _content(item.output, where, "output")
        if images:
            raise unsupported("An image as a tool's output", f"{where}.output")
        name = self._names[call_id]
        self.messages.append(Message(role="tool", content=text, name=name, tool_call_id=call_id))

    def _unsealed(self, item: Item, where: str) -> str:
        text = self._unseal(item.encrypted_content or "")
        if text is None:
            message = f"{where}.encrypted_content is not what this Hive made for this account."
            raise RequestError(message, param=f"{where}.encrypted_content")
        return text


def unsupported(what: str, param: str) -> RequestError:
    """The refusal of what would change the answer's meaning if it were ignored."""
    message = f"{what} is not supported by this Hive yet, and leaving it out would change what you asked for."
    return RequestError(message, code="unsupported_parameter", param=param)


def _message(item: Item, where: str) -> Message:
    role = ROLES.get(item.role or "")
    if role is None or role == "tool":
        raise RequestError(f"{where}.role must be system, developer, user or assistant.", param=f"{where}.role")
    text, images = _content(item.content, where, "content")
    if images and role != "user":
        raise RequestError(f"{where}: images belong into messages of the user.", param=f"{where}.content")
    return Message(role=role, content=text, images=images)


def _content(content: Any, where: str, name: str) -> tuple[str, list[Image]]:
    """The text of a content's parts, each on lines of its own, and the images between them."""
    try:
        parts = msgspec.convert(content, str | list[Part])
    except msgspec.ValidationError:
        raise RequestError(f"{where}.{name} must be text, or a list of parts.", param=f"{where}.{name}") from None
    text, images = content_of(parts if isinstance(parts, str) else [part.heard for part in parts], where)
    return text or "", images


def listed(messages: Sequence[Message], name: Callable[[str, int], str]) -> list[_Json]:
    """The items that these messages were, each with the id that `name` gives for its kind and place."""
    items: list[_Json] = []
    for message in messages:
        for kind, item in _items(message):
            items.append({"id": name(kind, len(items)), **item, "status": "completed"})
    return items


def _items(message: Message) -> list[tuple[str, _Json]]:
    if message.role == "tool":
        output = {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.content or ""}
        return [("fco", output)]
    said: list[tuple[str, _Json]] = []
    if message.role != ASSISTANT:
        said.append(("msg", {"type": "message", "role": message.role, "content": _parts(message)}))
    elif message.content or not message.tool_calls:
        said.append(("msg", {"type": "message", "role": ASSISTANT, "content": [output_text(message.content or "")]}))
    for call in message.tool_calls or ():
        said.append(("fc", {"type": "function_call", "call_id": call["id"], **call["function"]}))
    return said


def _parts(message: Message) -> list[_Json]:
    text, parts, start = message.content or "", [], 0
    for image in message.images:
        if image.at > start:
            parts.append({"type": "input_text", "text": text[start : image.at]})
        parts.append({"type": "input_image", "image_url": image.url, "detail": "auto"})
        start = max(start, image.at)
    if start < len(text) or not parts:
        parts.append({"type": "input_text", "text": text[start:]})
    return parts


def output_text(text: str, logprobs: Sequence[_Json] = ()) -> _Json:
    """A part of an answer's message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}
