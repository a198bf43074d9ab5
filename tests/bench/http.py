"""A keep-alive HTTP/1.1 connection that costs next to nothing: what is measured is the server."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import urlsplit

import msgspec

LIMIT = 1 << 20


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes


class Line:
    """One connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def open(cls, base_url: str) -> "Line":
        """Connects to an `http://host:port`."""
        parts = urlsplit(base_url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=LIMIT)
        return cls(reader, writer, parts.netloc)

    def close(self) -> None:
        """Closes the connection."""
        self._writer.close()

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """One request and its whole answer."""
        status, length = await self._send(method, path, headers, body)
        if length is None:
            return Answer(status, b"".join([chunk async for chunk in self._chunks()]))
        return Answer(status, await self._reader.readexactly(length))

    async def stream(self, path: str, headers: Mapping[str, str], body: bytes) -> AsyncGenerator[bytes, None]:
        """The chunks of a streamed answer as they come; raises RuntimeError for an answer that is none."""
        status, length = await self._send("POST", path, headers, body)
        if status != 200 or length is not None:
            raise RuntimeError(f"{path} answered {status} and streamed nothing")
        async for chunk in self._chunks():
            yield chunk

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, int | None]:
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = None
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(head.split(b" ", 2)[1]), length

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
