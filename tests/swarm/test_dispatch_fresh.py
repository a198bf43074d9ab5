"""A job that was just written here is given away without a claim: sooner, and never twice or before its turn."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from coordinator.dispatch import hub as hubs, rounds
from coordinator.dispatch.hub import Hub
from coordinator.dispatch.state import Dispatch
from coordinator.queue import moves
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import LEASE
from coordinator.store.engine import Engine
from coordinator.store.rows import Assignment, Kind, NewJob
from tests.postgres.made import OTHER
from tests.swarm.floor import Floor, opened


@pytest.fixture
async def floor(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Floor]:
    """A floor whose rounds never look for jobs that nobody told them of, as they do once a second, at any moment of a test."""

    async def nowhere(_: Dispatch) -> None:
        return

    monkeypatch.setattr(rounds, "look", nowhere)
    async with opened(engine) as made:
        yield made


def next_of(hub: Hub) -> tuple[set[int], list[UUID]]:
    """The kinds that wait, which are asked now, and the new jobs that go without."""
    fresh = [job.id for job in hub.take_fresh()]
    waiting = hub.floors.line.kind_ids
    hub.floors.line.take(waiting)
    return waiting, fresh


async def test_a_free_slot_gets_it_without_a_claim(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> None:
        raise AssertionError("it was claimed")

    kind, worker = await floor.kind(), floor.worker(slots=2)
    async with worker.connected(floor.url):
        monkeypatch.setattr(moves, "claim", none)
        jobs = [await floor.submit(kind) for _ in range(2)]
        assert {(await floor.ended(job_id)).status for job_id in jobs} == {State.COMPLETED}


async def test_what_another_coordinator_took_meanwhile_is_not_offered(floor: Floor) -> None:
    kind, worker = await floor.kind(), floor.worker(gate=asyncio.Event())
    async with worker.connected(floor.url):
        taken, now = floor.job(kind), datetime.now(UTC)
        await floor.writer.submit(taken)
        theirs = Assignment(id=taken.id, attempt_before=0, worker_pk=OTHER, cell="841e805ffffffff", price=1)
        async with floor.engine.begin() as conn:
            assert await moves.assign(conn, [theirs], coordinator="other", now=now, lease_until=now + LEASE)
        floor.dispatch.hub.submitted(kind, taken)
        ours = await floor.submit(kind)
        assert (await worker.offers.get()).body.job_id == str(ours)
        assert worker.offers.empty()
        assert (await floor.view(taken.id)).worker_pk == OTHER


async def test_what_was_cancelled_meanwhile_is_not_offered(floor: Floor) -> None:
    kind, worker = await floor.kind(), floor.worker(gate=asyncio.Event())
    async with worker.connected(floor.url):
        gone = floor.job(kind)
        await floor.writer.submit(gone)
        assert await floor.dispatch.relay.cancel(gone.id, "not wanted")
        floor.dispatch.hub.submitted(kind, gone)
        ours = await floor.submit(kind)
        assert (await worker.offers.get()).body.job_id == str(ours)


async def test_without_a_free_slot_it_waits_its_turn(floor: Floor) -> None:
    kind, worker = await floor.kind(), floor.worker(slots=1, gate=asyncio.Event())
    async with worker.connected(floor.url):
        first, *others = [await floor.submit(kind) for _ in range(4)]
        order = [str(first)]
        assert (await worker.offers.get()).body.job_id == order[0]
        assert worker.gate is not None
        worker.gate.set()
        order += [(await worker.offers.get()).body.job_id for _ in others]
        assert order == [str(job_id) for job_id in (first, *others)]


async def test_behind_a_kind_that_waits_it_is_claimed_like_the_others(floor: Floor) -> None:
    kind, hub = await floor.kind(), Hub()
    hub.wake(kind)
    hub.submitted(kind, floor.job(kind))
    assert next_of(hub) == ({kind.id}, [])
    assert next_of(hub) == (set(), [])


async def test_new_jobs_go_by_their_lane_and_their_age(floor: Floor) -> None:
    def aged(kind: Kind, seconds: int, priority: str) -> NewJob:
        return floor.job(kind, created_at=datetime.now(UTC) - timedelta(seconds=seconds), priority=priority)

    kind, hub = await floor.kind(), Hub()
    batch, young, old = aged(kind, 60, "batch"), aged(kind, 1, "interactive"), aged(kind, 5, "interactive")
    for job in (batch, young, old):
        hub.submitted(kind, job)
    assert next_of(hub) == (set(), [old.id, young.id, batch.id])


async def test_what_waits_goes_before_a_new_job_of_another_kind(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def idle(d: Dispatch) -> rounds.Found:
        d.hub.work.clear()  # or it would be called again and again, and nothing else
        return rounds.Found(0, soon=False)

    one_round = rounds.one_round
    old, new, worker = await floor.kind(), await floor.kind(region="IT"), floor.worker(slots=1, gate=asyncio.Event())
    async with worker.connected(floor.url):
        monkeypatch.setattr(rounds, "one_round", idle)
        waits = floor.job(old)
        await floor.writer.submit(waits)
        floor.dispatch.hub.wake(old)
        await floor.submit(new)
        await one_round(floor.dispatch)
        assert (await worker.offers.get()).body.job_id == str(waits.id)
        assert worker.offers.empty()


async def test_kinds_that_are_forgotten_meanwhile_stop_nothing(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "MAX_CACHED_KINDS", 2)
    kinds = [await floor.kind(region=region) for region in ("IT", "DE", "FR", "ES")]
    hub, jobs = Hub(), [floor.job(kind) for kind in kinds]
    for kind, job in zip(kinds[:3], jobs, strict=False):
        hub.submitted(kind, job)
    assert next_of(hub) == (set(), [job.id for job in jobs[:3]])
    assert not hub.anyone(kinds[3])
    assert not hub.fits(kinds[0].id).workers
    assert not hub.fits(kinds[3].id).workers


async def test_a_job_that_comes_before_what_was_claimed_last_is_not_passed_over(floor: Floor) -> None:
    kind, worker = await floor.kind(), floor.worker(slots=1, gate=asyncio.Event())
    async with worker.connected(floor.url):
        await floor.submit(kind)
        await worker.offers.get()
        waits = floor.job(kind)
        await floor.writer.submit(waits)
        floor.dispatch.hub.submitted(kind, waits)
        floor.dispatch.hub.floors.seen({kind.id: waits.tag})
        earlier = await floor.submit(kind, start=0)
        assert worker.gate is not None
        worker.gate.set()
        assert [(await worker.offers.get()).body.job_id for _ in range(2)] == [str(earlier), str(waits.id)]
