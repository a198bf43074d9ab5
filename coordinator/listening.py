"""Where a coordinator listens: bound addresses, and servers whose signals are the application's business."""

import contextlib
import socket
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import structlog
import uvicorn

from coordinator.api.wire import Http
from coordinator.dispatch.wire import Wire
from shared.errors import RequestError
from shared.processes import raise_open_files

WS_MAX_BYTES: Final = 1 << 20
WS_QUEUE: Final = 8
GRACE_S: Final = 3
FEW_FILES: Final = 4096
KEEP_ALIVE_S: Final = 75
"""Longer than clients (5 s) and proxies (60 s) keep an idle connection: whoever sends must be the one who closes it, or a
request is lost on a connection that is just closing."""

log = structlog.get_logger()


class Listener(uvicorn.Server):
    """A server whose signals are the application's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def config(app: Any, grace_s: int = GRACE_S) -> uvicorn.Config:
    """How an app is served; who is still being answered when it stops has so many seconds."""
    return uvicorn.Config(
        app,
        http=Http,
        ws=Wire,
        ws_max_size=WS_MAX_BYTES,
        ws_max_queue=WS_QUEUE,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
    )


@cache
def make_room() -> None:
    """Lets this process have as many connections as the system allows it, and says so if those are few."""
    files = raise_open_files()
    if files is not None and files < FEW_FILES:
        log.warning("few workers and clients fit: raise the limit of open files (ulimit -n, LimitNOFILE)", files=files)


def bind(host: str, port: int) -> socket.socket:
    """A listening address; raises RequestError if it is taken."""
    make_room()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, or what is accepted here has no TCP_NODELAY: 40 ms for each answer on a kept connection.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as e:
        bound.close()
        raise RequestError(f"Cannot listen on {host}:{port} ({e.strerror}); choose another port.") from e
    bound.setblocking(False)
    return bound
