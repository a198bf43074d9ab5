"""A way to Hive that loses the first answer on it, as networks and proxies do: Hive has done the work and never learns."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

BAD_GATEWAY: Final = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
CHUNK: Final = 1 << 16


@asynccontextmanager
async def losing(url: str, how: str) -> AsyncIterator[str]:
    """The address of a proxy before `url`. Instead of the first answer a client gets a `502`, or is `cut` off; Hive goes on
    talking to somebody who listens. What comes later passes."""
    way = _Way(url, how)
    server = await asyncio.start_server(way.pass_on, "127.0.0.1", 0)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        way.close()


class _Way:
    def __init__(self, url: str, how: str) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._how = how
        self._lost = False
        self._open: list[asyncio.StreamWriter] = []

    async def pass_on(self, asks: asyncio.StreamReader, gets: asyncio.StreamWriter) -> None:
        tells, hears = await asyncio.open_connection(self._host, self._port)
        self._open += [gets, hears]
        asking = asyncio.create_task(_pump(asks, hears))
        answer = await tells.read(CHUNK)
        if self._lost:
            gets.write(answer)
            await _pump(tells, gets)
        else:
            self._lost = True
            gets.write(BAD_GATEWAY if self._how == "502" else b"")
            gets.close()
            while await tells.read(CHUNK):
                pass
        asking.cancel()

    def close(self) -> None:
        for writer in self._open:
            writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        sink.write(data)
        await sink.drain()
