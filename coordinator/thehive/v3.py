"""thehive's V3: OpenAI's chat with a limit of its own; with a callback it is answered at once with the task's id."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.serve import called, serve
from coordinator.api.bodies import MEDIA_BODY, decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai import chat
from coordinator.openai.chat import ChatBody, ChatTeller
from coordinator.outside.addresses import NOTHING_ALLOWED, Allowed
from coordinator.submit.callback import callback_of
from coordinator.submit.request import Submission
from coordinator.thehive.task import taken
from shared.errors import RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups

MAX_TOKENS: Final = 2048
_DECODER: Final = msgspec.json.Decoder(ChatBody)


def submission(
    body: ChatBody, header: Callable[[str], str | None], groups: Groups = NO_GROUPS, allow: Allowed = NOTHING_ALLOWED
) -> Submission:
    """The request that a body asks for: 2048 tokens, or fewer. With a callback it is a job of one answer that nobody waits
    for. Raises RequestError for what is wrong or not supported."""
    most, param = body.max_completion_tokens, "max_completion_tokens"
    if most is None:
        most, param = MAX_TOKENS if body.max_tokens is None else body.max_tokens, "max_tokens"
    if not 1 <= most <= MAX_TOKENS:
        raise RequestError(f"{param} must be between 1 and {MAX_TOKENS}, got {most}.", param=param)
    callback = callback_of(body.callback_url, "thehive", allow)
    plain = msgspec.structs.replace(body, callback_url=None, max_tokens=most, max_completion_tokens=None)
    asked = chat.submission(plain, header, groups)
    if callback is None:
        return asked
    for param, used in (("stream", body.stream), ("n", asked.n > 1), ("tools", asked.request.tools)):
        if used:
            message = f"{param} does not go with callback_url, which brings one text."
            raise RequestError(message, code="unsupported_parameter", param=param)
    return msgspec.structs.replace(asked, attached=False, callback=callback)


@post("/api/v3/chat/completions", name="thehive_v3", status_code=200, request_max_body_size=MEDIA_BODY)
async def chat_completions(request: HttpRequest) -> ASGIApp:
    """A chat completion, streamed or in one piece; with `callback_url` a task whose end goes there."""
    face, call = face_of(request), await called(request)
    body = decoded(_DECODER, call.raw)
    asked = submission(body, request.headers.get, face.groups, face.outside.allow)
    if asked.callback is None:
        tell = partial(ChatTeller, n=asked.n, include_usage=body.include_usage)
        return await serve(request, call, asked, tell, stream=bool(body.stream))
    return await taken(request, call, asked)


ROUTES: Final[list[Any]] = [chat_completions]
