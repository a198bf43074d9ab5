"""HTTP/1.1 as uvicorn speaks it, with limits on a request's head, and what is no HTTP refused in the one shape."""

import asyncio
import os
from collections.abc import Iterable
from typing import Any, Final

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from coordinator.api.answers import ENCODER, JSON_TYPE
from coordinator.api.errors import error_body
from shared.errors import RequestError

HEAD_S: Final = 10.0
"""How long a client may take for the head of a request: from its first byte on, at first from the connection on."""

MAX_HEAD: Final = 64 << 10
"""How many bytes the head of a request may have."""

_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})


class Parser(HttpRequestParser):
    """Keeps what came after the head of a request that offers another protocol."""

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        super().__init__(protocol)
        self.rest = b""
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def feed_data(self, data: Any) -> None:
        """Parses these bytes; raises HttpParserUpgrade where the rest of them is not HTTP."""
        try:
            super().feed_data(data)
        except HttpParserUpgrade as offer:
            self.rest = data[offer.args[0] :]
            raise


class Http(HttpToolsProtocol):
    """One connection: a head that is too large, too slow or no HTTP ends it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser: Parser = Parser(self)
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
        """The head is whole. Only a GET may become a websocket: whoever else asks for one would wait for ever."""
        if self._offers_other():
            return
        self._forget_head()
        method = self.parser.get_method().decode("ascii")
        if method != "GET" and self.parser.should_upgrade() and self._should_upgrade():
            self.send_400_response(f"A websocket begins with a GET, not with {method}.")
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole, where there is one yet."""
        if not self._offers_other():
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection is a websocket's from here on, unless its request was refused."""
        if not self.transport.is_closing():
            super().handle_websocket_upgrade()

    def _offers_other(self) -> bool:
        """Whether the request may go on in a protocol that is not spoken here, as that of Java's client may in HTTP/2."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT" and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """The offer is declined: the request is read again without it, for the parser took its body for the other
        protocol."""
        if not self._offers_other():
            return
        rest, version = self.parser.rest, self.parser.get_http_version().encode()
        line = self.parser.get_method() + b" " + self.url + b" HTTP/" + version
        self.parser = Parser(self)
        self.parser.feed_data(without_offer(line, self.headers))
        self.data_received(rest)

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


def without_offer(line: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a request with this first line as it would be without the offer to go on in another protocol."""
    lines = [line]
    for name, value in headers:
        if name == b"connection":
            kept = [token for token in value.split(b",") if token.strip().lower() not in _OFFER]
            lines += [b"connection: " + b",".join(kept)] if kept else []
        elif name not in _OFFER:
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])
