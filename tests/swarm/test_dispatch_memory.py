"""What a coordinator remembers of workers and jobs between two messages: no more and no longer than it must."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from coordinator.dispatch import watch
from coordinator.queue.lifecycle import State
from coordinator.store import workers
from coordinator.store.engine import Engine
from shared.protocol.messages import Capabilities, Gpu, Inventory
from tests.postgres.made import expire, lose
from tests.swarm.floor import MODEL, Floor, opened
from tests.swarm.scripted import NEW_YORK
from tests.swarm.test_dispatch_repairs import attempt_at


async def deaf(*_: object) -> None:
    """An offer came, and nothing is said of it."""


async def test_an_offer_is_not_made_again_to_a_worker_that_came_back_in_another_place(floor: Floor) -> None:
    worker = floor.worker(script=deaf)
    moved = floor.worker(key=worker.key, cell=NEW_YORK, script=deaf)
    kind = await floor.kind(region="IT", countries=("IT",))
    async with worker.connected(floor.url):
        job_id = await floor.submit(kind)
        await worker.offers.get()
        worker.cut()
    async with moved.connected(floor.url), floor.worker().connected(floor.url) as other:
        view = await floor.ended(job_id)
        assert (view.status, view.worker_pk, view.attempts) == (State.COMPLETED, other.pk, 2)
        assert moved.offers.empty()


async def test_the_log_of_a_job_that_ended_unseen_is_forgotten(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    look = watch.look
    monkeypatch.setattr(watch, "look", deaf)  # the watch, which runs, would be first
    deadline = datetime.now(UTC) + timedelta(seconds=60)
    async with opened(engine) as floor, floor.worker(gate=asyncio.Event()).connected(floor.url) as worker:
        job_id = await floor.submit(await floor.kind(), deadline_at=deadline)
        await worker.offers.get()
        attempt = attempt_at(floor, job_id)
        async with floor.engine.begin() as conn:
            await lose(conn, [(*attempt.key, "the lease was over")], datetime.now(UTC))
            await expire(conn, [job_id], datetime.now(UTC))
        await watch.renew(floor.dispatch)
        assert floor.dispatch.relay.unread() == [job_id]
        await look(floor.dispatch)
        assert floor.dispatch.relay.unread() == []


async def test_the_register_knows_what_a_worker_said_later(floor: Floor) -> None:
    worker = floor.worker()
    gpu = Gpu("a card", "CUDA0", 1, 1)
    hardware = msgspec.structs.replace(worker.capabilities.hardware, gpus=[gpu] * 100)
    later = msgspec.structs.replace(worker.capabilities, engine_build="b1", hardware=hardware, models=[MODEL] * 1000)
    async with worker.connected(floor.url):
        await worker.send(Inventory(later))
        session = floor.dispatch.hub.sessions[worker.pk]
        async with asyncio.timeout(10):
            while session.news is None:
                await floor.dispatch.hub.work.wait()
                floor.dispatch.hub.work.clear()
        await watch.renew(floor.dispatch)
        async with floor.engine.connect() as conn:
            row = await workers.get_worker(conn, worker.pk)
    assert row is not None
    kept = msgspec.json.decode(row.capabilities, type=Capabilities)
    assert (kept.engine_build, kept.models, kept.hardware.gpus) == ("b1", [MODEL], [gpu] * 16)
    assert session.news is None
