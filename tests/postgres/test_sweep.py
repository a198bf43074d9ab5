"""The sweep: what it finds, when, and that it can run anywhere at once."""

import asyncio
from datetime import datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from sqlalchemy import text

from coordinator.queue.lifecycle import State
from coordinator.queue.limits import HANDOVER, KEPT, LEASE, NO_PROGRESS, READER, STORED
from coordinator.queue.reach import RECENT
from coordinator.queue.sweep import Swept, Verdict, one_round, verdict
from coordinator.store import views
from coordinator.store.changes import Live
from coordinator.store.engine import Engine
from coordinator.store.partitions import DAYS_AHEAD, DAYS_BEHIND
from tests.postgres.made import HOLD, NOW, OTHER, WORKER, check_books, complete, open_shop, result

PAST, FUTURE = NOW, NOW + timedelta(microseconds=1)
CASES = list(product((PAST, FUTURE), (PAST, FUTURE, None), (PAST, FUTURE, None)))
NOTHING = Swept(lost=0, expired=0, orphaned=0, purged=0, more=False)


def live(due: datetime, lease: datetime | None, reader: datetime | None) -> Live:
    return Live(
        id=UUID(int=1), state=State.ASSIGNED, attempt=1, worker_pk=WORKER, account_id=UUID(int=2), model="m", key_id=UUID(int=3),
        source="v1", priority="interactive", created_at=NOW, assigned_at=NOW,
        tokens_in=1, max_tokens=1, hold=0, reward=None, copy=False, at_once=None, lost=0, store=False, attached=True, due_at=due,
        lease_until=lease, reader_until=reader,
    )  # fmt: skip


@pytest.mark.parametrize(("due", "lease", "reader"), CASES)
def test_verdict(due: datetime, lease: datetime | None, reader: datetime | None) -> None:
    table = [(due, Verdict.EXPIRED), (reader, Verdict.ORPHANED), (lease, Verdict.LOST)]
    wanted = next((told for moment, told in table if moment == PAST), None)
    assert verdict(live(due, lease, reader), NOW, ours=True) is wanted
    theirs = wanted in (Verdict.EXPIRED, Verdict.ORPHANED) and lease == FUTURE
    assert verdict(live(due, lease, reader), NOW) is (None if theirs else wanted)


@pytest.mark.parametrize(
    ("job", "wanted"),
    [(live(NOW, NOW + LEASE, None), Verdict.EXPIRED), (live(NOW + LEASE, NOW + LEASE, NOW), Verdict.ORPHANED)],
)
def test_a_job_that_its_own_coordinator_does_not_end_is_ended_by_another(job: Live, wanted: Verdict) -> None:
    assert verdict(job, NOW + HANDOVER - timedelta(microseconds=1)) is None
    assert verdict(job, NOW + HANDOVER) is wanted


async def state_of(engine: Engine, id_: UUID) -> State:
    async with engine.connect() as conn:
        view = await views.get_job(conn, id_)
    assert view is not None
    return view.status


async def test_a_lost_lease_comes_back_and_the_third_ends_it(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    now = NOW
    for worker, then in ((WORKER, State.PENDING), (OTHER, State.PENDING), (WORKER, State.FAILED)):
        (job,) = await shop.assigned(worker, now)
        assert await one_round(engine, now + LEASE - timedelta(microseconds=1)) == NOTHING
        now += LEASE
        swept = await one_round(engine, now)
        assert (swept.lost, set(swept.again)) == (1, {shop.kind.id} if then is State.PENDING else set())
        assert await state_of(engine, id_) is then
    assert job.avoid == [WORKER, OTHER]
    assert (await check_books(shop)).held == 0


async def test_a_sweep_finds_what_came_due_since_then(engine: Engine) -> None:
    shop = await open_shop(engine)
    await shop.submit(shop.job())
    await shop.assigned()
    ended, moment = NOW + LEASE, timedelta(microseconds=1)
    assert await one_round(engine, ended + RECENT, since=ended) == NOTHING
    assert (await one_round(engine, ended + RECENT, since=ended - moment)).lost == 1


async def test_a_fenced_attempt_pays_nothing(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned()
    await one_round(engine, NOW + LEASE)
    async with engine.begin() as conn:
        (told,) = await complete(conn, [result(id_, 1)], NOW + LEASE)
    assert (told.verdict, await state_of(engine, id_)) == ("late", State.PENDING)
    assert (await check_books(shop)).spent == 0


async def test_a_claimed_job_without_progress_times_out_wherever_it_waits(engine: Engine) -> None:
    shop = await open_shop(engine)
    never, (id_,) = shop.job(), await shop.submit(shop.job())
    await shop.assigned()
    await shop.submit(never)
    assert (await one_round(engine, NOW + LEASE)).lost == 1
    assert await one_round(engine, NOW + NO_PROGRESS - timedelta(seconds=1)) == NOTHING
    assert (await one_round(engine, NOW + NO_PROGRESS)).expired == 1
    assert await state_of(engine, id_) is State.TIMED_OUT
    assert await state_of(engine, never.id) is State.PENDING


async def test_a_deadline_ends_a_job_that_only_waited(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job(deadline_at=NOW + timedelta(seconds=9)))
    assert (await one_round(engine, NOW + timedelta(seconds=9))).expired == 1
    assert await state_of(engine, id_) is State.TIMED_OUT
    assert (await check_books(shop)).held == 0


async def test_an_attached_job_is_cancelled_when_nobody_said_that_it_is_read(engine: Engine) -> None:
    shop = await open_shop(engine)
    attached, kept = shop.job(attached=True), shop.job()
    await shop.submit(attached, kept)
    assert (await one_round(engine, NOW + READER)).orphaned == 1
    assert await state_of(engine, attached.id) is State.CANCELLED
    assert await state_of(engine, kept.id) is State.PENDING


async def test_prompt_and_result_are_purged_when_their_time_is_over(engine: Engine) -> None:
    shop = await open_shop(engine)
    day, month = shop.job(), shop.job(store=True)
    await shop.submit(day, month)
    await shop.assigned()
    async with engine.begin() as conn:
        await complete(conn, [result(day.id, 1), result(month.id, 1)], NOW)
    left = text("SELECT id FROM jobs_ended WHERE request IS NOT NULL AND result IS NOT NULL AND result_ids IS NOT NULL")
    for now, purged, kept in (
        (NOW + KEPT - timedelta(seconds=1), 0, {day.id, month.id}),
        (NOW + KEPT, 1, {month.id}),
        (NOW + STORED, 1, set()),
    ):
        assert (await one_round(engine, now)).purged == purged
        async with engine.connect() as conn:
            assert set(await conn.scalars(left)) == kept
    assert await state_of(engine, day.id) is State.COMPLETED


async def test_many_sweeps_at_once_take_each_job_once(engine: Engine) -> None:
    shop = await open_shop(engine)
    await shop.submit(*(shop.job(attached=i % 3 == 0) for i in range(60)))
    await shop.assigned(most=30)
    swept = await asyncio.gather(*(one_round(engine, NOW + READER) for _ in range(6)))
    swept.append(await one_round(engine, NOW + READER))
    assert sum(one.orphaned for one in swept) == 20
    assert sum(one.lost for one in swept) == 20
    assert (await check_books(shop)).held == 40 * HOLD


async def test_partitions_are_made_ahead(engine: Engine) -> None:
    later = NOW + timedelta(days=40)
    await one_round(engine, later)
    async with engine.connect() as conn:
        names = set(await conn.scalars(text("SELECT relname FROM pg_class WHERE relname LIKE 'jobs_ended_2%'")))
    wanted = {f"jobs_ended_{later + timedelta(days=days):%Y%m%d}" for days in range(-DAYS_BEHIND, DAYS_AHEAD + 1)}
    assert wanted <= names
