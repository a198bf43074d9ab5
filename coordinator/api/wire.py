"""HTTP/1.1 as uvicorn speaks it, with limits on a request's head, and what is no HTTP refused in the one shape."""

import asyncio
import os
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from coordinator.api.answers import ENCODER, JSON_TYPE
from coordinator.api.errors import error_body
from shared.errors import RequestError

HEAD_S: Final = 10.0
"""How long a client may take for the head of a request: from its first byte on, at first from the connection on."""

MAX_HEAD: Final = 64 << 10
"""How many bytes the head of a request may have."""


class Http(HttpToolsProtocol):
    """One connection: a head that is too large, too slow or no HTTP ends it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: the first head is due."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Takes bytes; a head that goes on and on is refused."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_due is not None and self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The head of the request is larger than {MAX_HEAD} bytes.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self._head_due is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._forget_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._forget_head()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP in the shape of all errors, and closes."""
        body = ENCODER.encode(error_body(RequestError(msg)))
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\n"
        named = f"x-request-id: req_{os.urandom(12).hex()}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + named.encode() + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_due = self.loop.call_later(HEAD_S, self._too_slow)

    def _forget_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
