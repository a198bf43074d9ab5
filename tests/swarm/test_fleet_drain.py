"""A coordinator of a fleet stops: its workers go elsewhere with what they do, and its clients get the rest of their answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import pytest

from coordinator.dispatch import loops
from coordinator.store import views
from coordinator.store.engine import Engine
from shared.protocol.messages import CloseCode, Held, Offer, Tokens
from tests.support_nats import NatsServer, nats
from tests.support_wait import eventually
from tests.swarm.fleet import CHAT, SAYS, STREAM, coordinators, known, texts, worker_of
from tests.swarm.scripted import ScriptedWorker
from tests.swarm.whole import Swarm

__all__ = ["nats"]


class Pair:
    """Two coordinators of which one is going to stop."""

    def __init__(self, stays: Swarm, goes: Swarm, going: AsyncExitStack) -> None:
        self.stays, self.goes = stays, goes
        self._going = going

    def stop(self) -> "asyncio.Task[None]":
        """Stops the one, as SIGTERM does."""
        return asyncio.create_task(self._going.aclose())


@pytest.fixture
async def pair(engine: Engine, database_url: str, tmp_path: Path, nats: NatsServer) -> AsyncIterator[Pair]:
    async with coordinators(database_url, tmp_path, nats.url, count=1) as (stays,), AsyncExitStack() as going:
        (goes,) = await going.enter_async_context(coordinators(database_url, tmp_path, nats.url, count=1, first=1))
        yield Pair(stays, goes, going)


async def deliver(worker: ScriptedWorker, offer: Offer) -> None:
    """All tokens of an attempt from its first on, as a worker that comes back sends them, and its result."""
    ids, parts = worker.answer(offer.body)
    await worker.send(Tokens(offer.body.job_id, offer.body.attempt, 0, ids, "".join(parts)))
    await worker.send(worker.result(offer.body, ids, "".join(parts)))


async def test_a_stream_goes_on_while_its_worker_moves_away_from_a_coordinator_that_stops(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "MOVE_S", loops.FINISH_S)  # to move may take long on a slow machine
    worker = worker_of(pair.goes, gate=asyncio.Event())
    async with pair.goes.client() as http, worker.connected(pair.goes.url):
        async with http.stream("POST", "/v1/chat/completions", json=STREAM) as stream:
            said = texts(stream.aiter_lines())
            begun = await anext(said)
            offer = await worker.offers.get()
            stopping = pair.stop()
            await worker.gone.wait()
            assert worker.closed is not None
            assert worker.closed.code is CloseCode.RESTART
            moved = worker_of(pair.stays, key=worker.key)
            held = [Held(offer.body.job_id, offer.body.attempt, "running", 2)]
            async with moved.connected(pair.stays.url, held):
                await deliver(moved, offer)
                assert begun + "".join([part async for part in said]) == SAYS
        await stopping
    async with pair.stays.hive.engine.connect() as conn:
        view = await views.get_job(conn, UUID(offer.body.job_id))
    assert view is not None
    assert (view.status, view.attempts) == ("completed", 1)


async def test_a_request_that_waits_is_answered_by_a_worker_elsewhere(pair: Pair) -> None:
    worker = worker_of(pair.stays, slots=1, gate=asyncio.Event())
    async with pair.goes.client() as http, worker.connected(pair.stays.url):
        await known(pair.goes, worker)
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT))
        await worker.offers.get()
        stopping = pair.stop()
        assert worker.gate is not None
        worker.gate.set()
        answer = await asking
        assert answer.json()["choices"][0]["message"]["content"] == SAYS
        await stopping


async def test_whoever_nobody_can_tell_the_rest_is_sent_away_soon(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "MOVE_S", 0.5)  # far from FINISH_S, on a slow machine too
    worker = worker_of(pair.goes, gate=asyncio.Event())
    async with pair.goes.client() as http, worker.connected(pair.goes.url):
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT))
        await worker.offers.get()
        began = time.monotonic()
        stopping = pair.stop()
        answer = await asking
        await stopping
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "restarting")
    assert time.monotonic() - began < loops.FINISH_S


async def test_workers_of_a_coordinator_that_stopped_are_nowhere_at_once(pair: Pair) -> None:
    async with worker_of(pair.goes).connected(pair.goes.url):
        await pair.stop()

        async def gone() -> bool:
            await pair.stays.hive.look_elsewhere()
            return pair.stays.hive.hub.online == 0

        await eventually(gone, 30, "the worker off the register")
