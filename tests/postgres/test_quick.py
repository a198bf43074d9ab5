"""The short way to PostgreSQL: what a Connection does for hot statements, and what becomes of a connection that breaks."""

import asyncio
import traceback
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from asyncpg.exceptions import CheckViolationError, DivisionByZeroError
from sqlalchemy import TextClause, text

from coordinator.queue.lifecycle import State
from coordinator.store.engine import Away, Engine
from coordinator.store.quick import quick, quick_begin
from tests.postgres.made import NOW

SECRET = "a prompt that nobody may read in a log"
PID = text("SELECT pg_backend_pid()")
WORKER = text("INSERT INTO workers (pk, cell, capabilities, countries, first_seen, last_seen)"
              " VALUES (:pk, 1, '', '{}', :now, :now) RETURNING pk")  # fmt: skip
WORKERS = text("SELECT pk FROM workers ORDER BY pk")


async def test_values_of_every_kind_come_back_as_they_went(engine: Engine) -> None:
    values = {
        "whole": 2**40, "part": 1.5, "yes": True, "word": "a:b '", "raw": b"\0x", "id": uuid4(), "day": date(2026, 1, 2),
        "at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "long": timedelta(seconds=1.5), "nothing": None,
    }  # fmt: skip
    asked = text("SELECT " + ", ".join(f":{name} AS {name}" for name in values))
    async with quick(engine) as conn:
        row = (await conn.execute(asked, values)).one_or_none()
        assert row is not None
        assert dict(row._mapping) == values
        assert (row.whole, row.word) == (2**40, "a:b '")
        assert await conn.scalar(text("SELECT CAST(:state AS text)"), {"state": State.PENDING}) == "pending"
        assert await conn.scalar(text("SELECT 2 = ANY(:of)"), {"of": [1, 2]}) is True


async def test_a_parameter_that_is_named_twice_is_given_once_and_a_cast_is_none(engine: Engine) -> None:
    asked = text("SELECT :b + :a * 10 + :b * 100, '12:30'::time::text FROM (SELECT 1) x")
    async with quick(engine) as conn:
        row = (await conn.execute(asked, {"a": 1, "b": 2})).one_or_none()
    assert row is not None
    assert tuple(row) == (212, "12:30:00")


async def test_a_transaction_holds_whole_or_not_at_all(engine: Engine) -> None:
    async with quick_begin(engine) as conn:
        assert list(await conn.scalars(WORKER, {"pk": "a", "now": NOW})) == ["a"]
    with pytest.raises(DivisionByZeroError):
        await _write_and(engine, text("SELECT 1 / 0"))
    async with quick(engine) as conn:
        assert list(await conn.scalars(WORKERS)) == ["a"]


async def test_a_connection_is_used_again_also_after_a_refused_statement(engine: Engine) -> None:
    async with quick(engine) as conn:
        first = await conn.scalar(PID)
    with pytest.raises(DivisionByZeroError):
        async with quick_begin(engine) as conn:
            await conn.execute(text("SELECT 1 / 0"))
    async with quick(engine) as conn:
        assert await conn.scalar(PID) == first


async def test_a_connection_that_is_cut_is_away_and_the_next_one_is_new(engine: Engine) -> None:
    async with quick(engine) as conn:
        first = await conn.scalar(PID)
    with pytest.raises(Away):
        await _write_and(engine, text("SELECT pg_terminate_backend(pg_backend_pid())"))
    async with quick(engine) as conn:
        assert await conn.scalar(PID) != first
        assert list(await conn.scalars(WORKERS)) == []


async def test_a_connection_that_was_cut_while_it_rested_is_not_lent(engine: Engine) -> None:
    async with quick(engine) as conn:
        first = await conn.scalar(PID)
    async with engine.connect() as other:
        await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
        await other.execute(text("SELECT 1"))  # the news of the cut is here before the answer to this
    async with quick(engine) as conn:
        assert await conn.scalar(PID) != first


async def test_who_is_cancelled_in_mid_statement_leaves_no_connection_behind_that_others_would_get(
    engine: Engine,
) -> None:
    running = asyncio.Event()
    task = asyncio.create_task(_write_and(engine, text("SELECT pg_sleep(10)"), running))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with quick(engine) as conn:
        assert list(await conn.scalars(WORKERS)) == []


async def test_an_exception_does_not_quote_the_row_that_was_refused(engine: Engine) -> None:
    wrong = text("INSERT INTO workers (pk, handle, cell, capabilities, countries, first_seen, last_seen, tier)"
                 " VALUES ('x', :handle, 1, '', '{}', :now, :now, 9)")  # fmt: skip
    with pytest.raises(CheckViolationError) as refused:
        async with quick(engine) as conn:
            await conn.execute(wrong, {"handle": SECRET, "now": NOW})
    told = "".join(traceback.format_exception(refused.value))
    assert "workers_rungs" in told
    assert SECRET not in told


async def _write_and(engine: Engine, then: TextClause, running: asyncio.Event | None = None) -> None:
    """A transaction that writes something, and runs this after it."""
    async with quick_begin(engine) as conn:
        await conn.execute(WORKER, {"pk": "b", "now": NOW})
        if running is not None:
            running.set()
        await conn.execute(then)
