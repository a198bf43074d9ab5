"""A scripted server on loopback in the place of an Ollama or llama-server: it says what a test wants it to say."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

Script = Callable[["Call"], Awaitable[None]]
MODELS = json.dumps({"data": [{"id": "nano", "owned_by": "llamacpp", "meta": {"n_ctx_train": 2048}}]})
TRIES = ((["a"], None), (None, ["a"]))
HEAD = b"HTTP/1.1 200 OK\r\nServer: scripted\r\nContent-Type: text/event-stream\r\n\r\n"


class Call:
    """One request for an answer, and the connection that waits for it."""

    def __init__(self, path: str, head: str, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.path, self.head, self.body, self._reader, self._writer = path, head, body, reader, writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()

    async def event(self, **chunk: Any) -> None:
        await self.send(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    async def say(self, *words: str, finish: str | None = "stop", wait: bool = False) -> None:
        """An answer in the usual form, whole unless it has no `finish`; with `wait` the connection stays open."""
        await self.send(HEAD)
        for word in words:
            await self.event(choices=[{"delta": {"content": word}}])
        if finish is not None:
            await self.event(choices=[{"delta": {}, "finish_reason": finish}])
            await self.send(b"data: [DONE]\n\n")
        if wait:
            await self.closed()

    async def closed(self) -> None:
        """Waits until the other side is gone."""
        with suppress(OSError):
            while await self._reader.read(1024):
                pass


class Upstream:
    """What it answers with next (`script`), what it was asked, and how many wait for it now; `embeds` and `ranks` are what
    it does when a worker tries whether it does."""

    def __init__(self) -> None:
        self.models = MODELS
        self.pages: dict[str, str] = {}
        self.script: Script = lambda call: call.say("hello")
        self.calls: list[Call] = []
        self.embeds = self.ranks = False
        self.open = self.most_open = 0
        self.left = asyncio.Event()
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        """Listens, on the port that it had before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("Content-Le")), 0)
            body = json.loads(await reader.readexactly(length)) if length else None
            call = Call(path, head, body, reader, writer)
            if path == "/v1/models":
                await self._page(call, self.models)
            elif body is not None and (body.get("input"), body.get("documents")) in TRIES:
                await self._tried(call)
            elif path in self.pages:
                await self._page(call, self.pages[path])
            elif method == "POST" and path.endswith(("completions", "chat", "generate", "embeddings")):
                await self._answer(call)
            else:
                await call.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _tried(self, call: Call) -> None:
        if self.embeds and call.path.endswith("embeddings"):
            await self._page(call, '{"data":[{"index":0,"embedding":[1,0]}]}')
        elif self.ranks and call.path.endswith("rerank"):
            await self._page(call, '{"results":[{"index":0,"relevance_score":0.5}]}')
        else:
            await call.send(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n")

    async def _page(self, call: Call, text: str) -> None:
        raw = text.encode()
        await call.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw)

    async def _answer(self, call: Call) -> None:
        self.calls.append(call)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self.script(call)
        finally:
            self.open -= 1
            self.left.set()


@asynccontextmanager
async def scripted() -> AsyncIterator[Upstream]:
    """A scripted upstream that listens."""
    upstream = Upstream()
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.stop()
