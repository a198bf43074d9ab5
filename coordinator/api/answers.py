"""Complete answers as small ASGI responses: bytes with a status and headers, sent in two messages."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

JSON_TYPE: Final = "application/json"
ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class Answer:
    """One whole HTTP answer; `headers` are lowercase names with their values."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, body: bytes, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = body
        self.status = status
        self.headers = {"content-type": content_type, "content-length": str(len(body)), **(headers or {})}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the answer."""
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status,
            "headers": encoded(self.headers),
        }
        body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": self.body, "more_body": False}
        await send(start)
        await send(body)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """The value as JSON, amounts (Decimal) as numbers."""
    return Answer(ENCODER.encode(value), JSON_TYPE, status, headers)


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
