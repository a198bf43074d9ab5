"""The OpenAI face: chat completions and models, with `/v1` in front or without it."""

from typing import Any, Final

from litestar import get
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai import chat, completions
from shared.errors import NotFound


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


ROUTES: Final[list[Any]] = [*chat.ROUTES, *completions.ROUTES, list_models, get_model]
