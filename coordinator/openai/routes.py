"""The OpenAI face: chat completions and models, with `/v1` in front or without it."""

from time import perf_counter
from typing import Any, Final

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.bodies import body_of, decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.intake import Accepted, Sent
from coordinator.api.jobs import body_hash, idempotency_key
from coordinator.openai.body import ChatBody, submission
from coordinator.openai.chat import StreamedChat, WholeChat
from coordinator.openai.shapes import ChatNames
from coordinator.openai.telling import Terms
from coordinator.submit.request import JobRequest
from shared.chat.constraint import offered_tools
from shared.errors import NotFound
from shared.ids import chat_id
from shared.tokens import Vocabulary

_DECODER: Final = msgspec.json.Decoder(ChatBody)


@post(["/v1/chat/completions", "/chat/completions"], name="chat_completions", status_code=200)
async def chat_completions(request: HttpRequest) -> ASGIApp:
    """A chat completion: one durable job, streamed or in one piece; a client that goes away cancels it."""
    face = face_of(request)
    received = perf_counter()
    key = await face.keys.caller(request)
    raw = await body_of(request)
    body = decoded(_DECODER, raw)
    sent = Sent(received, body_hash(request, raw), idempotency_key(request))
    asked = submission(body, request.headers.get, face.groups)
    accepted = await face.intake.take(asked, key, sent)
    reader = accepted.reader
    assert reader is not None, "a chat's job is attached"
    if accepted.id != accepted.job.id:
        try:
            face.tell_if_ended(await face.job(accepted.id, key.account_id))
        except BaseException:
            reader.close()
            raise
    names, terms = _names(accepted), _terms(accepted, asked.request, face.hive.vocabularies[accepted.entry.id])
    if not body.stream:
        return WholeChat(names, terms, reader, accepted.trace)
    return StreamedChat(names, terms, reader, accepted.trace, include_usage=body.include_usage, now=perf_counter)


@get(["/v1/models", "/models"], name="list_models")
async def list_models(request: HttpRequest) -> ASGIApp:
    """The models that an online worker serves to this key, loaded ones first; `?all=true` adds the catalogue."""
    face = face_of(request)
    key = await face.keys.caller(request)
    known = face.swarm.models_for(key)
    everything = request.query_params.get("all", "").lower() in ("true", "1")
    return json_answer({"object": "list", "data": [model for model in known if model.is_ready or everything]})


@get(["/v1/models/{model_id:path}", "/models/{model_id:path}"], name="get_model")
async def get_model(request: HttpRequest, model_id: FromPath[str]) -> ASGIApp:
    """One model, served now or not; its id may hold slashes and colons."""
    face = face_of(request)
    key = await face.keys.caller(request)
    wanted = face.swarm.id_of(model_id.strip("/"))
    for model in face.swarm.models_for(key):
        if model.id == wanted:
            return json_answer(model)
    raise NotFound(f"The model {wanted[:200]!r} does not exist.", code="model_not_found", param="model")


def _terms(accepted: Accepted, asked: JobRequest, vocabulary: Vocabulary) -> Terms:
    tools = offered_tools(asked.tools, asked.tool_choice)
    return Terms(
        format=vocabulary.format,
        spell=lambda token: vocabulary.detokenise([token]),
        tools=tuple(tool.name for tool in tools),
        logprobs=asked.logprobs is not None,
        seed=str(accepted.id),
    )


def _names(accepted: Accepted) -> ChatNames:
    return ChatNames(
        id=chat_id(accepted.id),
        created=int(accepted.job.created_at.timestamp()),
        model=accepted.entry.id,
        system_fingerprint=f"fp_{accepted.entry.digest[:16]}",
    )


ROUTES: Final[list[Any]] = [chat_completions, list_models, get_model]
