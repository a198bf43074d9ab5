"""What the bodies of all faces have in common: conversation, sampling, placement, and what is refused for now."""

from typing import Any, Final

import msgspec

from coordinator.submit.content import content_of
from coordinator.submit.placement import FIELDS, Asked
from coordinator.submit.request import JobRequest, biases, sampling, stops
from shared.chat.asked import AskedError, choice_of, shape_of, tools_of
from shared.errors import RequestError
from shared.protocol.messages import Message, Sampling

ROLES: Final = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


class ImageUrl(msgspec.Struct, frozen=True):
    """Where an image is: a data URL, or one that Hive fetches; `detail` changes nothing here."""

    url: str
    detail: str | None = None


class ContentPart(msgspec.Struct, frozen=True):
    """A part of a message's content."""

    type: str
    text: str | None = None
    image_url: ImageUrl | str | None = None

    @property
    def image(self) -> str | None:
        """The URL of its image."""
        return self.image_url.url if isinstance(self.image_url, ImageUrl) else self.image_url


class CalledFunction(msgspec.Struct, frozen=True):
    """What a tool call calls; `arguments` are JSON as text."""

    name: str
    arguments: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A call in an earlier answer. Only these fields go on: an offer is signed, and a float or a key that is not ASCII
    cannot be."""

    function: CalledFunction
    id: str | None = None
    type: str = "function"

    def as_json(self) -> dict[str, Any]:
        """The call as templates read it."""
        function = {"name": self.function.name, "arguments": self.function.arguments or "{}"}
        return {"id": self.id, "type": self.type, "function": function}


class ChatMessage(msgspec.Struct, frozen=True):
    """One message as callers write it."""

    role: str
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[ToolCall] | None = None


class PlacedBody(msgspec.Struct, frozen=True, kw_only=True):
    """Where and by whom a request may be answered: the fields that every face takes; unknown ones and explicit nulls mean
    nothing."""

    jurisdiction: str | None = None
    h3_cell: str | None = None
    strict_cell: bool | None = None
    min_trust_tier: str | None = None
    min_evidence: str | None = None
    delegation_cert: str | None = None
    verifiability: str | None = None
    owner: str | None = None
    callback_url: Any = None
    verify: Any = None
    redundancy: Any = None
    privacy: Any = None


class SampledBody(PlacedBody, frozen=True, kw_only=True):
    """How the tokens of a text are chosen, and what ends it: the fields of the faces that have text written."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | str | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None


class CommonBody(SampledBody, frozen=True, kw_only=True):
    """The fields of the faces that have a chat answered."""

    messages: list[ChatMessage] | None = None
    max_tokens: int | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: Any = None


class AskedForm(msgspec.Struct, frozen=True, kw_only=True):
    """The form of an answer as a chat asks for it, of a body that asks in another way."""

    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: Any = None


class Form(msgspec.Struct, frozen=True):
    """What a JobRequest holds the answer to, as JSON text; None for any text."""

    tools: str | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool = True
    response_format: str | None = None


def conversation(messages: list[ChatMessage]) -> list[Message]:
    """The messages as the template sees them, parts joined; RequestError names what is wrong."""
    if not messages:
        raise RequestError("messages must hold at least one message.", param="messages")
    return [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]


def sampling_of(body: SampledBody) -> Sampling:
    """The sampling that a body asks for; RequestError names what is out of range."""
    return sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        min_p=body.min_p,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        repetition_penalty=body.repetition_penalty,
    )


def asked_by_body(body: PlacedBody) -> Asked:
    """The placement words of a body."""
    return Asked(
        names=FIELDS,
        jurisdiction=body.jurisdiction,
        cell=body.h3_cell,
        strict=body.strict_cell,
        tier=body.min_trust_tier,
        evidence=body.min_evidence,
        certificate=body.delegation_cert,
        verifiability=body.verifiability,
        owner=body.owner,
    )


def refuse_common(body: PlacedBody) -> None:
    """Refuse what would change the answer's meaning if it were ignored; raises RequestError `unsupported_parameter`."""
    refuse_if(bool(body.callback_url), "callback_url")
    refuse_if(body.verify not in (None, False, "none"), "verify")
    refuse_if(body.redundancy not in (None, 1), "redundancy")
    refuse_if(body.privacy not in (None, "standard"), "privacy")


def refuse_if(used: bool, param: str) -> None:
    """Raise RequestError `unsupported_parameter` for `param` if the request uses it."""
    if used:
        raise RequestError(
            f"{param} is not supported by this Hive yet, and leaving it out would change what you asked for.",
            code="unsupported_parameter",
            param=param,
        )


def form_of(body: CommonBody | AskedForm) -> Form:
    """The form of the answer that a body asks for; RequestError names what is wrong with it."""
    try:
        tools = () if body.tool_choice == "none" else tools_of(body.tools)
        if body.tool_choice != "none":
            choice_of(body.tool_choice, tools)
        shape = shape_of(body.response_format)
    except AskedError as e:
        raise RequestError(str(e), param=e.param) from e
    return Form(
        tools=_json(body.tools) if tools else None,
        tool_choice=_json(body.tool_choice) if tools and body.tool_choice is not None else None,
        parallel_tool_calls=body.parallel_tool_calls is not False or not tools,
        response_format=None if shape.kind == "text" else _json(body.response_format),
    )


def request_of(model: str, body: SampledBody, form: Form) -> JobRequest:
    """The request of a body for text of this form, without what the model reads; RequestError names what is wrong."""
    return JobRequest(
        model=model,
        sampling=sampling_of(body),
        stop=stops(body.stop),
        logit_bias=biases(body.logit_bias),
        tools=form.tools,
        tool_choice=form.tool_choice,
        parallel_tool_calls=form.parallel_tool_calls,
        response_format=form.response_format,
    )


def _json(asked: Any) -> str:
    return msgspec.json.encode(asked).decode()


def _message(message: ChatMessage, where: str) -> Message:
    role = ROLES.get(message.role)
    if role is None:
        raise RequestError(f"{where}.role must be one of {', '.join(ROLES)}.", param=f"{where}.role")
    if message.content is None and not message.tool_calls and role != "assistant":
        raise RequestError(f"{where}.content is missing.", param=f"{where}.content")
    content, images = content_of(message.content, where)
    if images and role != "user":
        raise RequestError(f"{where}: images belong into messages of the user.", param=f"{where}.content")
    name = message.name[:200] if message.name else None
    call = message.tool_call_id[:200] if message.tool_call_id else None
    return Message(
        role=role,
        content=content,
        name=name,
        tool_call_id=call,
        tool_calls=[call.as_json() for call in message.tool_calls or []] or None,
        images=images,
    )
