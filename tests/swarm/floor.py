"""Dispatch alone, for tests: real PostgreSQL, real websocket, all loops; jobs go in through the writer."""

import asyncio
import contextlib
import os
import socket as sockets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import uvicorn
from litestar import Litestar, WebSocket
from litestar.handlers import websocket
from nacl.signing import SigningKey

from coordinator.dispatch import loops
from coordinator.dispatch.channel import Ended, JobEvent
from coordinator.dispatch.relay import Reader
from coordinator.dispatch.socket import worker_socket
from coordinator.dispatch.state import Dispatch
from coordinator.dispatch.wire import Wire
from coordinator.store import accounts, views
from coordinator.store.engine import Engine
from coordinator.store.rows import JobView, Kind, KindSpec, NewJob
from coordinator.submit.kinds import KindCache
from coordinator.submit.request import JobRequest
from coordinator.submit.writer import Writer
from shared.catalogue import Entry
from shared.geo.index import load
from shared.ids import new_job_id
from shared.protocol.messages import Message, ModelOffer
from tests.swarm.letters import Letters
from tests.swarm.scripted import ScriptedWorker

DIGEST = "ab" * 32
LETTERS = Letters()
MODEL = ModelOffer("letters", DIGEST, 4096, 1000, loaded=True)
ENTRY = Entry(
    id="letters", digest=DIGEST, path=Path("letters.gguf"), context=4096, size_bytes=1000, price_in=100_000_000,
    price_out=200_000_000, owned_by="tests", created=0, quantization="none", architecture="none", licence="none", note="",
)  # fmt: skip
HOLD = 100_000_000


class Floor:
    """A coordinator without its HTTP face, and an account with credit."""

    def __init__(self, engine: Engine, key: SigningKey | None = None) -> None:
        self.engine = engine
        self.key = key or SigningKey(os.urandom(32))
        self.writer = Writer(engine)
        self.dispatch = Dispatch(
            engine=engine,
            key=self.key,
            name="test",
            public_host="",
            geo_digest=load().digest,
            catalogue={"letters": ENTRY},
            vocabularies={"letters": LETTERS},
            kinds=KindCache(),
            clock=lambda: datetime.now(UTC),
        )
        self.account, self.api_key = uuid4(), uuid4()
        self.url = ""

    async def kind(self, **asked: Any) -> Kind:
        """The kind of jobs that ask for this."""
        async with self.engine.begin() as conn:
            return await self.dispatch.kinds.get(conn, KindSpec(model="letters", context=256, **asked))

    def job(self, kind: Kind, prompt: str = "Say hello.", **different: Any) -> NewJob:
        """A job that asks `prompt`."""
        request = JobRequest(model="letters", messages=[Message("user", prompt)], stop=different.pop("stop", []))
        now = datetime.now(UTC)
        usual = NewJob(
            id=new_job_id(now, os.urandom(16)), account_id=self.account, key_id=self.api_key, kind_id=kind.id,
            model="letters", source="hive", priority="interactive", request=msgspec.json.encode(request),
            tokens_in=len(prompt.encode()), max_tokens=100, hold=HOLD, reward=None, seed="7",
            salt=os.urandom(32).hex(), deadline_at=now + timedelta(hours=1), created_at=now, store=False,
            attached=False, idempotency_key=None, body_hash="",
        )  # fmt: skip
        return msgspec.structs.replace(usual, **different)

    async def submit(self, kind: Kind, **different: Any) -> UUID:
        """Submits a job and wakes the round, as the HTTP face does."""
        job = self.job(kind, **different)
        job_id = await self.writer.submit(job)
        self.dispatch.hub.submitted(kind, job)
        return job_id

    async def read(self, kind: Kind, *, attached: bool = True, **different: Any) -> Reader:
        """Submits a job with a reader that was there before it."""
        job = self.job(kind, attached=attached, **different)
        reader = self.dispatch.relay.open(job.id, attached=attached)
        await self.writer.submit(job)
        self.dispatch.hub.submitted(kind, job)
        return reader

    async def view(self, job_id: UUID) -> JobView:
        """The job as its owner sees it."""
        async with self.engine.connect() as conn:
            view = await views.get_job(conn, job_id)
        assert view is not None
        return view

    async def ended(self, job_id: UUID) -> JobView:
        """The job once it has ended."""
        reader = self.dispatch.relay.open(job_id, attached=False)
        try:
            view = await self.view(job_id)
            if view.completed_at is not None:
                return view
            return (await rest(reader))[-1].view  # type: ignore[union-attr]
        finally:
            reader.close()

    def worker(self, **different: Any) -> ScriptedWorker:
        """A scripted worker for this floor's model."""
        usual: dict[str, Any] = {"model": MODEL, "tokeniser": LETTERS}
        return ScriptedWorker(**usual | different)


async def rest(reader: Reader) -> list[JobEvent]:
    """All events up to and with the end."""
    events = [event async for event in reader]
    assert isinstance(events[-1], Ended)
    return events


@contextlib.asynccontextmanager
async def opened(engine: Engine, key: SigningKey | None = None) -> AsyncIterator[Floor]:
    """A running floor that listens on a free port of the loopback address."""
    floor = Floor(engine, key)
    async with engine.begin() as conn:
        now = datetime.now(UTC)
        await accounts.create_account(conn, floor.account, "floor", now)
        await accounts.create_key(
            conn, floor.api_key, floor.account, name="k", secret_hash=floor.api_key.hex, prefix="hive_k", now=now,
            budget=None,
        )  # fmt: skip
        await accounts.grant(conn, floor.account, 10**14, uuid4(), now)
    async with serving(floor):
        yield floor


@contextlib.asynccontextmanager
async def serving(floor: Floor) -> AsyncIterator[None]:
    """Runs the loops and the socket of a floor."""

    @websocket("/hive/worker")
    async def handler(socket: WebSocket[Any, Any, Any]) -> None:
        await worker_socket(socket, floor.dispatch)

    listener = sockets.create_server(("127.0.0.1", 0))
    listener.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    floor.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/hive/worker"
    config = uvicorn.Config(
        Litestar([handler], openapi_config=None, logging_config=None), log_level="warning", lifespan="off",
        ws=Wire, ws_max_size=1 << 20, ws_per_message_deflate=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    running = [
        asyncio.create_task(server.serve(sockets=[listener])),
        asyncio.create_task(loops.run(floor.dispatch)),
        asyncio.create_task(floor.writer.run()),
    ]
    try:
        yield
    finally:
        loops.drain(floor.dispatch, 0)
        server.should_exit = True
        await running[0]
        for task in running[1:]:
            task.cancel()
        outcomes = await asyncio.gather(*running[1:], return_exceptions=True)
        listener.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
