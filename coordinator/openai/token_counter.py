"""LiteLLM's token counter: how many tokens a model would read, by its own template and vocabulary; costs nothing."""

from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.serve import called
from coordinator.api.answers import json_answer
from coordinator.api.bodies import decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.submit.body import AskedForm, ChatMessage, conversation, form_of, refuse_if
from coordinator.submit.placement import Placement
from coordinator.submit.request import JobRequest, Submission
from shared.catalogue import named
from shared.errors import RequestError
from shared.protocol.messages import Message

_SPEAKERS: Final = {"user": "user", "model": "assistant", "function": "tool"}


class Part(msgspec.Struct, frozen=True):
    """A part of Google's content; only text is counted."""

    text: str | None = None


class Content(msgspec.Struct, frozen=True):
    """Google's message."""

    parts: list[Part]
    role: str = "user"


class CounterBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/utils/token_counter`: one of `prompt`, `messages` and `contents`; `tools` count with messages."""

    model: str
    prompt: str | list[str] | None = None
    messages: list[ChatMessage] | None = None
    contents: list[Content] | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None


class Counted(msgspec.Struct, frozen=True):
    """`model_used` is the id of the model that `request_model` names, `tokenizer_type` how its vocabulary cuts text."""

    total_tokens: int
    request_model: str
    model_used: str
    tokenizer_type: str


_DECODER: Final = msgspec.json.Decoder(CounterBody)


def submission(body: CounterBody) -> Submission:
    """What would be read of the body; raises RequestError for none, for several ways to say it, and for images."""
    given = [name for name in ("prompt", "messages", "contents") if getattr(body, name) is not None]
    if len(given) != 1:
        raise RequestError("Give one of prompt, messages and contents.", param=given[-1] if given else "messages")
    if body.prompt is not None:
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        requests = [JobRequest(model=body.model, prompt=prompt) for prompt in prompts]
        if not requests:
            raise RequestError("prompt must hold at least one text.", param="prompt")
    else:
        form = form_of(AskedForm(tools=body.tools, tool_choice=body.tool_choice))
        said = _messages(body.messages, body.contents)
        requests = [JobRequest(model=body.model, messages=said, tools=form.tools, tool_choice=form.tool_choice)]
        refuse_if(bool(requests[0].images), "image_url")
    return Submission(requests=tuple(requests), placement=Placement(), source="v1")


def _messages(messages: list[ChatMessage] | None, contents: list[Content] | None) -> list[Message]:
    if messages is not None:
        return conversation(messages)
    return conversation([_message(content, f"contents[{i}]") for i, content in enumerate(contents or [])])


def _message(content: Content, where: str) -> ChatMessage:
    role = _SPEAKERS.get(content.role)
    if role is None:
        raise RequestError(f"{where}.role must be one of {', '.join(_SPEAKERS)}.", param=f"{where}.role")
    refuse_if(any(part.text is None for part in content.parts), f"{where}.parts")
    return ChatMessage(role=role, content="\n".join(part.text or "" for part in content.parts))


@post(["/v1/utils/token_counter", "/utils/token_counter"], name="token_counter", status_code=200)
async def token_counter(request: HttpRequest) -> ASGIApp:
    """How many tokens the model would read."""
    call = await called(request)
    face = face_of(request)
    body = decoded(_DECODER, call.raw)
    total = await face.intake.count(submission(body), call.key)
    entry = named(face.hive.catalogue, body.model)
    assert entry is not None, "a model that nobody knows cannot be counted with"
    return json_answer(Counted(total, body.model, entry.id, face.swarm.tokenizer(entry.id)))


ROUTES: Final[list[Any]] = [token_counter]
