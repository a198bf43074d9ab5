"""A scripted coordinator on loopback: the real protocol end behind a real websocket, and no swarm behind it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from nacl.signing import SigningKey
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from shared.catalogue import catalogue, file_digest
from shared.crypto import Context, public_key, sign
from shared.geo.cells import cell_of, format_cell
from shared.protocol.coordinator_end import Closed, CoordinatorEnd, HelloReceived
from shared.protocol.messages import (
    SUBPROTOCOL,
    CloseCode,
    Message,
    Offer,
    OfferBody,
    Sampling,
    ToCoordinator,
    ToWorker,
    Verdict,
    WorkerHello,
)
from shared.tokens import Vocabulary
from worker.models import LocalModel

Kind = TypeVar("Kind", bound=msgspec.Struct)
Other = TypeVar("Other", bound=msgspec.Struct)
ROME = format_cell(cell_of(41.9, 12.5))
JOB = "0f0f0f0f-5bd0-8000-8000-{:012d}"


def model_file() -> Path:
    """The model that tests run: HIVE_TEST_MODEL (another GGUF with a chat template), else the bundled one."""
    named = os.environ.get("HIVE_TEST_MODEL")
    return Path(named) if named else catalogue()["hive-nano"].path


def local_model() -> LocalModel:
    """The same as a worker lists it."""
    file = model_file()
    stat = file.stat()
    context = Vocabulary(file).context
    return LocalModel("hive-nano", str(file), file_digest(file), context, stat.st_size, "llama", stat.st_mtime_ns)


class Coordinator:
    """What tests say and hear as a coordinator. `verdict` decides about each held attempt of a hello."""

    def __init__(self, key: SigningKey, *, offers_by: SigningKey | None = None) -> None:
        self.key = key
        self.offers_by = offers_by or key
        self.port = 0
        self.hellos: asyncio.Queue[WorkerHello] = asyncio.Queue()
        self.heard: asyncio.Queue[ToCoordinator] = asyncio.Queue()
        self.ended: asyncio.Queue[Closed | None] = asyncio.Queue()
        self.verdict: str = "continue"
        self.refuse: tuple[CloseCode, str] | None = None
        self.letting_in = asyncio.Event()
        self.letting_in.set()
        self._socket: ServerConnection | None = None
        self._end: CoordinatorEnd | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, socket: ServerConnection) -> None:
        end = CoordinatorEnd(self.key, f"127.0.0.1:{self.port}", now=clock(), entropy=os.urandom(64))
        try:
            await self.letting_in.wait()
            for frame in end.open():
                await socket.send(frame)
            while end.closed is None:
                for event in end.receive(await socket.recv(), clock()):
                    await self._take(event, socket, end)
        except ConnectionClosed:
            self.ended.put_nowait(None)
        else:
            self.ended.put_nowait(end.closed)

    async def _take(self, event: Any, socket: ServerConnection, end: CoordinatorEnd) -> None:
        if isinstance(event, HelloReceived):
            held = event.hello.resume
            verdicts = [Verdict(h.job_id, h.attempt, self._verdict(h.state)) for h in held]  # type: ignore[arg-type]
            if self.refuse:
                frames = end.refuse(*self.refuse)
            else:
                frames = end.welcome(
                    session="s", tier=0, heartbeat_ms=200, lease_ms=30_000, resume=verdicts, now=clock()
                )
            self._socket, self._end = socket, end
            for frame in frames:
                await socket.send(frame)
            self.hellos.put_nowait(event.hello)
        elif not isinstance(event, Closed):
            self.heard.put_nowait(event.message)

    def _verdict(self, state: str) -> str:
        return "deliver" if state == "done" and self.verdict == "continue" else self.verdict

    async def say(self, message: ToWorker) -> None:
        assert self._end is not None
        assert self._socket is not None
        for frame in self._end.send(message):
            await self._socket.send(frame)

    async def offer(self, body: OfferBody) -> None:
        await self.say(Offer(body, sign(self.offers_by, Context.OFFER, msgspec.to_builtins(body))))

    def cut(self) -> None:
        """Breaks the line without a word."""
        assert self._socket is not None
        self._socket.transport.abort()

    async def hear(self, kind: type[Kind], fits: Callable[[Kind], bool] = lambda _: True) -> Kind:
        """The next message of a kind; others are passed over."""
        while True:
            message = await self.heard.get()
            if isinstance(message, kind) and fits(message):
                return message

    async def hear_both(self, one: type[Kind], other: type[Other]) -> tuple[Kind, Other]:
        """The next message of each kind, whichever comes first; others are passed over."""
        first = await self.hear(msgspec.Struct, lambda said: isinstance(said, one | other))
        if isinstance(first, one):
            return first, await self.hear(other)
        assert isinstance(first, other)
        return await self.hear(one), first


@asynccontextmanager
async def coordinator(key: SigningKey | None = None, **knobs: Any) -> AsyncIterator[Coordinator]:
    """A coordinator that listens on a free port of loopback."""
    it = Coordinator(key or SigningKey.generate(), **knobs)
    async with serve(
        it.handle,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        ping_interval=None,
    ) as server:
        it.port = next(iter(server.sockets)).getsockname()[1]
        yield it


def body(worker_pk: str, digest: str, number: int = 1, **changed: Any) -> OfferBody:
    """An offer's terms for a short chat."""
    terms: dict[str, Any] = {
        "job_id": JOB.format(number),
        "attempt": 1,
        "worker_pk": worker_pk,
        "model_id": "hive-nano",
        "model_digest": digest,
        "max_tokens": 40,
        "sampling": Sampling(temperature=800_000),
        "stop": [],
        "seed": "seed",
        "salt": "ab" * 32,
        "price": 6000,
        "scope": "scope",
        "cell": "841e805ffffffff",
        "jurisdictions": ["IT"],
        "evidence": "claimed",
        "geo_digest": "cd" * 32,
        "expires_at": clock() + 30_000,
        "messages": [Message("user", "Tell me a long story about a fox.")],
    }
    return OfferBody(**{**terms, **changed})


def clock() -> int:
    return time.time_ns() // 1_000_000


def server_pk(it: Coordinator) -> str:
    return public_key(it.key)
