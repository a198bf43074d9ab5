"""thehive's V2: a prompt as a task, answered at once with its id; the callback brings the end."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.serve import called
from coordinator.api.bodies import decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.outside.addresses import NOTHING_ALLOWED, Allowed
from coordinator.submit.body import ChatMessage, conversation
from coordinator.submit.callback import callback_of
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import JobRequest, Submission, max_tokens_asked, sampling
from coordinator.thehive.task import taken
from shared.errors import RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to answer; `prompt_history` is the chat so far, oldest first, as a list or as JSON text of one."""

    system_prompt: str | None = None
    prompt_history: list[ChatMessage] | str | None = None
    top_p: float | None = None
    temperature: float | None = None
    max_tokens: int | None = None


class TaskBody(Options, frozen=True, kw_only=True):
    """`POST /api/v2/task/async`: the options may stand beside the prompt or under `options`, which goes first."""

    text_data: str
    callback_url: str
    model: str | None = None
    options: Options | None = None


_DECODER: Final = msgspec.json.Decoder(TaskBody)
_HISTORY: Final = msgspec.json.Decoder(list[ChatMessage])


def submission(
    body: TaskBody, header: Callable[[str], str | None], groups: Groups = NO_GROUPS, *, default_model: str = "",
    allow: Allowed = NOTHING_ALLOWED,
) -> Submission:  # fmt: skip
    """The request that a task's body asks for; raises RequestError for what is wrong with it."""
    callback = callback_of(body.callback_url, "thehive", allow)
    if callback is None:
        raise RequestError("callback_url is missing.", code="invalid_callback_url", param="callback_url")
    if not (model := body.model or default_model):
        raise RequestError("model is missing, and this Hive has no default model.", code="invalid_model", param="model")
    asked = _options(body)
    return Submission(
        requests=(
            JobRequest(
                model=model,
                messages=conversation(_messages(asked, body.text_data)),
                sampling=sampling(temperature=asked.temperature, top_p=asked.top_p),
            ),
        ),
        placement=placement([asked_by_headers(header)], groups),
        source="v1",
        max_tokens=max_tokens_asked(asked.max_tokens),
        callback=callback,
    )


def _options(body: TaskBody) -> Options:
    """The options wherever they stand."""
    nested: dict[str, Any] = msgspec.structs.asdict(body.options) if body.options else {}
    flat = {name: getattr(body, name) for name in Options.__struct_fields__}
    return Options(**flat | {name: value for name, value in nested.items() if value is not None})


def _messages(asked: Options, prompt: str) -> list[ChatMessage]:
    system = [ChatMessage("system", asked.system_prompt)] if asked.system_prompt else []
    history = asked.prompt_history or []
    if isinstance(history, str):
        history = decoded(_HISTORY, history.encode())
    return [*system, *history, ChatMessage("user", prompt)]


@post("/api/v2/task/async", name="thehive_v2", status_code=200)
async def submit_task(request: HttpRequest) -> ASGIApp:
    """Submit a task: its end goes to its callback."""
    face, call = face_of(request), await called(request)
    asked = submission(
        decoded(_DECODER, call.raw),
        request.headers.get,
        face.groups,
        default_model=face.hive.settings.default_model,
        allow=face.outside.allow,
    )
    return await taken(request, call, asked)


ROUTES: Final[list[Any]] = [submit_task]
