"""A TCP proxy on the loopback whose connections can be cut, held up and made slow."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

CHUNK = 1 << 16


class Proxy:
    """Passes on what comes to `port` to `target`, as long as `open` is set, each piece `delay_s` late."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay_s = 0.0
        self.open = asyncio.Event()
        self.open.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._ends: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Listens inside the block."""
        server = await asyncio.start_server(self._pass_on, sock=self._listener, limit=CHUNK)
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in self._passing:
                task.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)

    def cut(self) -> None:
        """Resets every connection."""
        for end in list(self._ends):
            end.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            await self._both_ways(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # whoever is at the ends sees it
        finally:
            writer.close()
            self._passing.discard(task)

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK)
        self._ends |= {writer, far_writer}
        ways = [
            asyncio.create_task(self._one_way(reader, far_writer)),
            asyncio.create_task(self._one_way(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.close()
            self._ends -= {writer, far_writer}

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self.open.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(data)
            await writer.drain()
