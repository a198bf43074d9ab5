"""A small HTTP/1.1 client for one local server: a connection for each call, and a bound on everything that is read."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

import httptools
import msgspec

from worker.remote.upstream import Origin, UpstreamFailed

MOST_HEAD: Final = 32 << 10
MOST_WHOLE: Final = 8 << 20
_READ: Final = 16 << 10


class Patience(msgspec.Struct, frozen=True):
    """How long an upstream may take, in seconds: to take a connection, to begin an answer (it may load a model first),
    and between two pieces of it. `whole_s` is for a call that makes no tokens."""

    connect_s: float = 5.0
    answer_s: float = 120.0
    silent_s: float = 60.0
    whole_s: float = 60.0


class Request(msgspec.Struct, frozen=True):
    """A call: `path` is whole; no `body` is a GET, else it is JSON for a POST."""

    path: str
    body: bytes | None = None


class _Heard:
    """What the parser has read of one answer."""

    def __init__(self) -> None:
        self.server = ""
        self.headed = self.over = self.bounded = False
        self.body: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Notes the headers that matter."""
        low = name.lower()
        if low == b"server":
            self.server = value.decode("latin-1")
        elif low in (b"content-length", b"transfer-encoding"):
            self.bounded = True

    def on_headers_complete(self) -> None:
        """The status is known now."""
        self.headed = True

    def on_body(self, part: bytes) -> None:
        """Keeps a part of the body until it is taken."""
        self.body.append(part)

    def on_message_complete(self) -> None:
        """Nothing belongs to this answer any more."""
        self.over = True


class Reply:
    """An answer whose head has been read."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._heard = _Heard()
        self._parser = httptools.HttpResponseParser(self._heard)
        self.status = 0

    @property
    def server(self) -> str:
        """The Server header; empty where there is none."""
        return self._heard.server

    async def head(self) -> None:
        """Reads up to the end of the headers; raises UpstreamFailed."""
        size = 0
        while not self._heard.headed:
            size += await self._more()
            if size > MOST_HEAD and not self._heard.headed:
                raise UpstreamFailed("the upstream sends headers without end", code="engine_error")
        self.status = int(self._parser.get_status_code())

    async def chunks(self, most: int) -> AsyncGenerator[bytes, None]:
        """The body as it comes, up to `most` bytes on the wire; raises UpstreamFailed."""
        read = 0
        while True:
            parts, self._heard.body = self._heard.body, []
            for part in parts:
                yield part
            if self._heard.over:
                return
            read += (size := await self._more())
            if not size:
                return
            if read > most:
                raise UpstreamFailed(f"the upstream's answer is longer than {most} bytes", code="engine_error")

    async def _more(self) -> int:
        """How many bytes came; 0 where the connection ended and with it a body without a length."""
        try:
            raw = await self._reader.read(_READ)
            if raw:
                self._parser.feed_data(raw)
                return len(raw)
        except httptools.HttpParserError as error:
            raise UpstreamFailed("the upstream does not speak HTTP", code="engine_error") from error
        except OSError as error:
            raise UpstreamFailed("the connection to the upstream broke") from error
        if self._heard.headed and not self._heard.bounded:
            return 0
        raise UpstreamFailed("the upstream ended in the middle of its answer")


@asynccontextmanager
async def exchange(origin: Origin, key: str, request: Request, patience: Patience) -> AsyncIterator[Reply]:
    """Sends one request and reads the answer's head; leaving closes the connection at once, which is how an upstream
    hears that nobody waits any more. Raises UpstreamFailed."""
    reader, writer = await _connected(origin, patience)
    try:
        writer.write(_bytes_of(origin, key, request))
        reply = Reply(reader)
        try:
            async with asyncio.timeout(patience.answer_s):
                await writer.drain()
                await reply.head()
        except TimeoutError as error:
            raise UpstreamFailed(f"the upstream said nothing for {patience.answer_s:g} s") from error
        except OSError as error:
            raise UpstreamFailed("the connection to the upstream broke") from error
        yield reply
    finally:
        writer.transport.abort()


async def fetch(origin: Origin, key: str, request: Request, patience: Patience) -> tuple[int, str, bytes]:
    """Status, Server header and whole body of a call, which may take `whole_s` and 8 MiB; raises UpstreamFailed."""
    try:
        async with asyncio.timeout(patience.whole_s), exchange(origin, key, request, patience) as reply:
            async with aclosing(reply.chunks(MOST_WHOLE)) as chunks:
                body = b"".join([chunk async for chunk in chunks])
            return reply.status, reply.server, body
    except TimeoutError as error:
        raise UpstreamFailed(f"the upstream did not answer within {patience.whole_s:g} s") from error


async def _connected(origin: Origin, patience: Patience) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(patience.connect_s):
            return await asyncio.open_connection(origin.host, origin.port, ssl=origin.context(), limit=_READ)
    except (OSError, TimeoutError) as error:
        raise UpstreamFailed(f"nothing answers at {origin.name}") from error


def _bytes_of(origin: Origin, key: str, request: Request) -> bytes:
    body = request.body
    lines = [f"{'GET' if body is None else 'POST'} {request.path} HTTP/1.1", f"Host: {origin.name}"]
    lines += ["Accept: */*", "Accept-Encoding: identity", "Connection: close"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")
