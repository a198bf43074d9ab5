"""A worker hears what the books say of it: at once, and again when it has changed, at most every ten seconds."""

from datetime import UTC, datetime

import msgspec

from coordinator.dispatch import standing
from coordinator.dispatch.standing import LOOK_MS
from coordinator.queue.lifecycle import State
from coordinator.settle.split import split
from coordinator.store import payables
from tests.swarm.floor import Floor


async def test_a_worker_hears_at_once_and_then_of_what_changes(floor: Floor) -> None:
    d = floor.dispatch
    async with floor.worker().connected(floor.url) as worker:
        first = await worker.standings.get()
        nothing = (first.earned_today, first.held, first.pending, first.paid, first.workers_online)
        assert nothing == (0, 0, 0, 0, 1)
        view = await floor.ended(await floor.submit(await floor.kind()))
        assert view.status is State.COMPLETED
        share = split(view.cost).worker
        now = d.now_ms()
        await standing.one_round(d, now + LOOK_MS)
        earned = await worker.standings.get()
        assert earned == msgspec.structs.replace(first, time=now + LOOK_MS, earned_today=share, held=share)
        async with floor.engine.begin() as conn:
            assert (await payables.mature(conn, 0, datetime.now(UTC))).ready == 1
        assert await standing.one_round(d, now + 2 * LOOK_MS - 1) == now + 2 * LOOK_MS
        await standing.one_round(d, now + 2 * LOOK_MS)
        due = await worker.standings.get()
        assert due == msgspec.structs.replace(earned, time=now + 2 * LOOK_MS, held=0, pending=share)
        await standing.one_round(d, now + 3 * LOOK_MS)
        async with floor.worker().connected(floor.url) as other:
            assert (await other.standings.get()).workers_online == 2
            await standing.one_round(d, now + 4 * LOOK_MS)
            assert await worker.standings.get() == msgspec.structs.replace(
                due, time=now + 4 * LOOK_MS, workers_online=2
            )
        assert worker.standings.empty()


async def test_an_empty_house_waits_for_whoever_comes(floor: Floor) -> None:
    assert await standing.one_round(floor.dispatch, 5) == 5 + LOOK_MS
