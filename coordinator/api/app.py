"""The two ASGI apps of a coordinator: the public one, and the operator's on a listener of its own."""

from functools import lru_cache
from typing import Any, Final

from litestar import Litestar
from litestar.response import Response
from litestar.types import ASGIApp, ControllerRouterHandler

from coordinator.anthropic import messages as anthropic
from coordinator.api import admin, callbacks, document, earned, jobs, own_key, owner, public, usage, why, why_idle
from coordinator.api.answers import ENCODER, JSON_TYPE
from coordinator.api.bodies import MAX_BODY
from coordinator.api.errors import as_hive_error, body_at, error_headers, internal_error
from coordinator.api.face import Face
from coordinator.api.front import Front, log_bug
from coordinator.api.hive import Hive, HttpRequest
from coordinator.api.metrics import refused
from coordinator.api.transport import networks
from coordinator.openai import routes as openai
from coordinator.thehive import v2, v3
from coordinator.web import assets

FACES: Final[list[Any]] = [*openai.ROUTES, *anthropic.ROUTES, *v2.ROUTES, *v3.ROUTES]
WORKERS: Final[list[Any]] = [*earned.ROUTES, *why_idle.ROUTES, *owner.ROUTES]
OWN: Final[list[Any]] = [*jobs.ROUTES, *why.ROUTES, *callbacks.ROUTES, *own_key.ROUTES, *usage.ROUTES]
DESCRIBED: Final[list[Any]] = [*OWN, *public.ROUTES, *WORKERS, *FACES]
"""The routes that the document of the API describes."""


def public_app(hive: Hive, extra: list[ControllerRouterHandler] | None = None) -> ASGIApp:
    """What everybody talks to; `extra` are routes that other parts bring, such as the workers' socket."""
    routes = (*DESCRIBED, *document.ROUTES, *assets.ROUTES, *(extra or []))
    return Front(_litestar(routes), Face(hive), networks(hive.settings.trusted_proxies), cors=True)


def admin_app(hive: Hive) -> ASGIApp:
    """What only the operator talks to: keys, credit, metrics. Pages of other origins cannot read it."""
    routes = (*admin.ROUTES, *callbacks.ADMIN_ROUTES, *usage.ADMIN_ROUTES)
    app = _litestar(routes, guards=(admin.admit_operator,))
    return Front(app, Face(hive), networks(hive.settings.trusted_proxies), cors=False)


@lru_cache(maxsize=4)
def _litestar(routes: tuple[Any, ...], guards: tuple[Any, ...] = ()) -> Litestar:
    """The app of these routes: made once in a process, however many coordinators it has, for each request brings the face
    that it is for."""
    return Litestar(
        routes,
        guards=guards,
        exception_handlers={Exception: _explain},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY,
    )


def _explain(request: HttpRequest, failure: Exception) -> Response[bytes]:
    path = request.scope["path"]
    error = as_hive_error(failure, request.method, path)
    if error is None:
        log_bug(failure, route=request.scope.get("path_template") or "none")
        error = internal_error()
    refused(error)
    headers = error_headers(error)
    if allow := getattr(failure, "headers", None):
        headers |= {name: value for name, value in allow.items() if name.lower() == "allow"}
    return Response(
        ENCODER.encode(body_at(path, error)), status_code=error.status, headers=headers, media_type=JSON_TYPE
    )
