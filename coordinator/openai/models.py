"""OpenAI's list of models in OpenRouter's terms for providers, one model, and HiveOps's question after one."""

from typing import Any, Final

from litestar import get
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.face import Face, face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.offered import Offered
from coordinator.store.callers import KeyRow
from shared.errors import NotFound, RequestError

_TRUE: Final = ("true", "1")


@get(["/v1/models", "/models"], name="list_models")
async def list_models(request: HttpRequest) -> ASGIApp:
    """The models that an online worker serves to this key, loaded ones first; `?all=true` adds the catalogue."""
    face = face_of(request)
    key = await face.keys.caller(request)
    everything = request.query_params.get("all", "").lower() in _TRUE
    known = [model for model in face.swarm.models_for(key) if model.is_ready or everything]
    return json_answer({"object": "list", "data": known})


@get(["/v1/models/{model_id:path}", "/models/{model_id:path}"], name="get_model")
async def get_model(request: HttpRequest, model_id: FromPath[str]) -> ASGIApp:
    """One model, served now or not; its id may hold slashes and colons."""
    face = face_of(request)
    return json_answer(_model(face, await face.keys.caller(request), model_id.strip("/")))


@get(["/v1/model/info", "/model/info"], name="model_info")
async def model_info(request: HttpRequest) -> ASGIApp:
    """The model that `?model=` names, served now or not."""
    face = face_of(request)
    key = await face.keys.caller(request)
    name = request.query_params.get("model", "").strip("/")
    if not name:
        raise RequestError("Say which model: /v1/model/info?model=ID.", param="model")
    return json_answer(_model(face, key, name))


def _model(face: Face, key: KeyRow, name: str) -> Offered:
    wanted = face.swarm.id_of(name)
    for model in face.swarm.models_for(key):
        if model.id == wanted:
            return model
    raise NotFound(f"The model {wanted[:200]!r} does not exist.", code="model_not_found", param="model")


ROUTES: Final[list[Any]] = [list_models, get_model, model_info]
