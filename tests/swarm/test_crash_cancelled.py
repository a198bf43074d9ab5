"""A part that is cancelled while it waits for the database ends: it does not take that for a database that is away."""

import asyncio

import pytest
from sqlalchemy import text

from coordinator.store.engine import Engine, connect
from tests.support_wait import eventually

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")


async def test_a_cancelled_statement_is_cancelled(engine: Engine, database_url: str) -> None:
    onlooker = connect(database_url)

    async def ask() -> None:
        async with engine.begin() as conn:
            await conn.execute(text("SELECT pg_sleep(30)"))

    async def asked() -> bool:
        async with onlooker.connect() as conn:
            return bool(await conn.scalar(WAITING))

    asking = asyncio.create_task(ask())
    await eventually(asked, 10, "the statement runs")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asking, 10)
    async with engine.connect() as conn:
        assert await conn.scalar(text("SELECT 1")) == 1
    await onlooker.dispose()
