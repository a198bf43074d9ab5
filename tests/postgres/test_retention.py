"""Days that are over: their tables go, and nobody waits for that."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text

from coordinator.queue import retention
from coordinator.store import partitions
from coordinator.store.engine import Engine, alone
from tests.postgres.made import NOW, complete, open_shop, result
from tests.support_wait import eventually

KEEP = 40
OLD = NOW - timedelta(days=KEEP + 1)
GOING = [f"{parent}_{OLD:%Y%m%d}" for parent in ("attempts", "job_events", "jobs_ended")]
STAYING = [f"{parent}_{OLD:%Y%m%d}" for parent in ("journal", "payables", "receipts")]


async def tables(engine: Engine) -> list[str]:
    """The tables of that old day that there are."""
    named = text("SELECT CAST(relname AS text) FROM pg_class WHERE relkind = 'r' AND relname ~ :day ORDER BY 1")
    async with engine.connect() as conn:
        return list(await conn.scalars(named, {"day": f"_{OLD:%Y%m%d}$"}))


async def halfway(engine: Engine) -> bool:
    """Whether a table is on its way out, and somebody who reads it is waited for."""
    async with alone(engine) as conn:
        return bool(await conn.scalar(text("SELECT count(*) FROM pg_inherits WHERE inhdetachpending")))


async def make(engine: Engine) -> None:
    async with engine.begin() as conn:
        await conn.execute(text("SELECT hive_make_partitions(:day, :day)"), {"day": OLD.date()})


@pytest.fixture
async def aged(engine: Engine) -> Engine:
    """A database with tables of a day that is over, and a row in one."""
    await make(engine)
    event = text(
        "INSERT INTO job_events (day, job_id, attempt, event, at) VALUES (:day, gen_random_uuid(), 0, 'submit', :at)"
    )
    async with engine.begin() as conn:
        await conn.execute(event, {"day": OLD.date(), "at": OLD})
    return engine


async def test_what_is_old_goes_and_money_and_its_proofs_stay(aged: Engine) -> None:
    assert await tables(aged) == sorted(GOING + STAYING)
    assert await retention.one_round(aged, NOW - timedelta(days=2), KEEP) == []
    assert sorted(await retention.one_round(aged, NOW, KEEP)) == GOING
    assert await tables(aged) == STAYING
    assert await retention.one_round(aged, NOW, KEEP) == []


async def test_jobs_end_while_a_reader_holds_up_the_end_of_an_old_day(aged: Engine) -> None:
    shop = await open_shop(aged)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned()
    async with aged.connect() as reader:
        await reader.execute(text("SELECT count(*) FROM jobs_ended"))
        await reader.execute(text("SELECT count(*) FROM attempts"))
        await reader.execute(text("SELECT count(*) FROM job_events"))
        dropping = asyncio.create_task(retention.one_round(aged, NOW, KEEP))
        await eventually(partial(halfway, aged), 30, "a table that is halfway out")
        async with aged.begin() as conn:
            (done,) = await complete(conn, [result(id_, 1)], NOW)
        assert done.verdict == "accepted"
        assert not dropping.done()
    assert sorted(await dropping) == GOING


async def test_what_was_left_halfway_is_finished_later(aged: Engine) -> None:
    async with aged.connect() as reader:
        await reader.execute(text("SELECT count(*) FROM attempts"))
        async with alone(aged) as conn:
            pid = await conn.scalar(text("SELECT pg_backend_pid()"))
            (first, *_) = await partitions.over(conn, NOW.date() - timedelta(days=KEEP))
            assert first.parent == "attempts"
            detaching = asyncio.create_task(partitions.detach(conn, first))
            await eventually(partial(halfway, aged), 30, "a table that is halfway out")
            async with alone(aged) as other:
                await other.execute(text("SELECT pg_cancel_backend(:pid)"), {"pid": pid})  # as if its time were over
            assert not await detaching
            (first, *_) = await partitions.over(conn, NOW.date() - timedelta(days=KEEP))
            assert (first.parent, first.pending) == ("attempts", True)
    assert sorted(await retention.one_round(aged, NOW, KEEP)) == GOING


async def test_a_table_that_was_detached_and_not_dropped_goes_too(aged: Engine) -> None:
    async with aged.begin() as conn:
        await conn.execute(text(f"ALTER TABLE attempts DETACH PARTITION {GOING[0]}"))
    assert sorted(await retention.one_round(aged, NOW, KEEP)) == GOING


async def test_one_coordinator_alone_drops(aged: Engine) -> None:
    async with alone(aged) as other:
        assert await partitions.alone_here(other)
        assert await retention.one_round(aged, NOW, KEEP) == []
        await partitions.let_others(other)
    assert sorted(await retention.one_round(aged, NOW, KEEP)) == GOING
