"""The one wrapper around the routes: request id, CORS, HEAD, plain HTTP, counting, and the last resort for a bug."""

import asyncio
import os
from functools import cache
from time import perf_counter
from typing import Any, Final

import structlog
from litestar.types import ASGIApp, Message, Receive, Send
from prometheus_client import Counter, Histogram

from coordinator.api.answers import Answer, encoded
from coordinator.api.auth import RATE_LIMITS
from coordinator.api.errors import error_answer, internal_error, speaks_anthropic
from coordinator.api.face import FACE, Face
from coordinator.api.metrics import REQUESTS, SECONDS, refused
from coordinator.api.transport import Network, is_private_way
from coordinator.observe.tracing import TRACING
from shared.errors import RequestError, Unavailable
from shared.logs import bug

log = structlog.get_logger()

CORS: Final = encoded(
    {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "x-request-id, request-id, x-hive-job-id, x-hive-worker, x-hive-cell, "
        "x-hive-jurisdiction, x-hive-queue-ms, x-hive-overhead-ms, x-hive-cache, x-should-retry, retry-after, "
        + ", ".join(
            f"x-ratelimit-{said}-{what}" for said in ("limit", "remaining", "reset") for what in ("requests", "tokens")
        ),
    }
)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, HEAD, POST, DELETE, OPTIONS",
    "access-control-max-age": "86400",
    "vary": "access-control-request-headers",
}


class Front:
    """Wraps an ASGI app, whose requests are for this face; `cors` says whether pages of other origins may read its answers."""

    def __init__(self, app: ASGIApp, face: Face, trusted: list[Network], *, cors: bool) -> None:
        self._app = app
        self._face = face
        self._trusted = trusted
        self._cors = CORS if cors else []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one connection, or the app's own start and stop."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        peer = client[0] if client else None
        private = is_private_way(scope["scheme"], peer, lambda name: header_of(scope, name), self._trusted)
        if scope["type"] == "http":
            await self._http(scope, receive, send, private=private)
        elif private:
            scope[FACE] = self._face
            await self._app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "use wss"})

    async def _http(self, asked: Any, receive: Receive, send: Send, *, private: bool) -> None:
        scope: Any = dict(asked)  # what the server knows of the request stays as it was, also where HEAD is read as GET
        scope[FACE] = self._face
        exchange = Exchange(scope, receive, send, self._cors)
        trace = TRACING.request(scope, header_of(scope, "traceparent"))
        with structlog.contextvars.bound_contextvars(request=exchange.id), trace:
            try:
                await self._choose(scope, private=private)(scope, exchange.receive, exchange.send)
            except asyncio.CancelledError:  # the server has waited long enough for its requests, and goes
                log.warning("a request was cut off by the end of this coordinator", route=exchange.route)
                if not exchange.started:
                    away = Unavailable("This coordinator goes away; try again.", retry_after_s=1)
                    await error_answer(away, path=scope["path"])(scope, exchange.receive, exchange.send)
            except Exception as e:  # noqa: BLE001 - the last resort: a bug must not take the connection's other requests
                log_bug(e, route=exchange.route)
                refused(error := internal_error())
                if not exchange.started:
                    await error_answer(error, path=scope["path"])(scope, exchange.receive, exchange.send)

    def _choose(self, scope: Any, *, private: bool) -> ASGIApp:
        if not private:
            return error_answer(RequestError("Plain HTTP is refused here: use https."), path=scope["path"])
        if scope["method"] == "OPTIONS" and self._cors:
            wanted = header_of(scope, "access-control-request-headers") or "authorization, content-type"
            return Answer(b"", "text/plain", headers={**PREFLIGHT, "access-control-allow-headers": wanted})
        if scope["method"] == "HEAD":
            scope["method"] = "GET"
        return self._app


class Exchange:
    """One request and its answer: names it, counts it, tells its key's limits, and keeps the body of an answer to HEAD back."""

    def __init__(self, scope: Any, receive: Receive, send: Send, extra: list[tuple[bytes, bytes]]) -> None:
        self.id = "req_" + os.urandom(12).hex()
        self.started = False
        self._scope = scope
        self._receive = receive
        self._send = send
        named = [b"x-request-id", b"request-id"] if speaks_anthropic(scope["path"]) else [b"x-request-id"]
        self._extra = [*((name, self.id.encode()) for name in named), *extra]
        self._method = scope["method"]
        self._since = perf_counter()

    @property
    def route(self) -> str:
        """The route's template, so that ids in paths make no new series."""
        return str(self._scope.get("path_template") or "none")

    async def receive(self) -> Any:
        """What the client sends; after the head of an answer to HEAD it counts as gone, so that streams end."""
        if self._method == "HEAD" and self.started:
            return {"type": "http.disconnect"}
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.started = True
            limits = self._scope.get(RATE_LIMITS)
            message["headers"] = [*message["headers"], *self._extra, *(encoded(limits()) if limits else [])]
            self._count(message["status"])
            await self._send(message)
            if self._method == "HEAD":
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        elif self._method != "HEAD":
            await self._send(message)

    def _count(self, status: int) -> None:
        route = self.route
        method = self._method if self._method in METHODS else "other"
        _requests(route, method, status).inc()
        _seconds(route).observe(perf_counter() - self._since)


@cache
def _requests(route: str, method: str, status: int) -> Counter:
    return REQUESTS.labels(route, method, str(status))


@cache
def _seconds(route: str) -> Histogram:
    return SECONDS.labels(route)


def log_bug(failure: Exception, **where: str) -> None:
    """Log what kind of exception came from where."""
    log.error("request failed", **bug(failure), **where)


def header_of(scope: Any, name: str) -> str | None:
    """A request header by its lowercase name; several of one name are joined by commas, as HTTP says."""
    wanted = name.encode("latin-1")
    found = [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]
    return ", ".join(found) if found else None
