"""A transaction that stays open keeps what was claimed, or due, in the index: claims and sweeps do not walk over it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from coordinator.queue import moves
from coordinator.queue.floors import Floors
from coordinator.queue.limits import LEASE
from coordinator.queue.reach import EVER, RECENT
from coordinator.store import jobs
from coordinator.store.engine import Connection, Engine, alone
from coordinator.store.rows import Ask, Claimed
from tests.postgres.made import NOW, open_shop
from tests.postgres.test_plans import fill

MANY = 4_000
TAKE = text("""
    UPDATE jobs j SET state = 'assigned', worker_pk = 'w', lease_until = :late
    FROM unnest(CAST(:ids AS uuid[])) AS w(id) WHERE j.day = :day AND j.id = w.id""")


async def blocks(conn: Connection, ask: Ask) -> int:
    """How many blocks a claim reads."""
    values: dict[str, Any] = jobs.claim_values([ask], NOW)
    (plan,) = await conn.scalar(text("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + jobs.CLAIM), values)
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


async def test_a_claim_costs_the_same_after_thousands_of_others_beside_an_idle_transaction(engine: Engine) -> None:
    shop, floors = await open_shop(engine), Floors()
    await fill(shop, MANY)
    asked = Ask(kind_id=shop.kind.id, limit=8)
    async with engine.connect() as idle:
        await idle.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await idle.execute(text("SELECT pg_current_snapshot()"))
        async with engine.connect() as conn:
            fresh = await blocks(conn, floors.over([asked])[0])
        for _ in range(MANY // 100):
            asks = floors.over([Ask(kind_id=shop.kind.id, limit=80)])
            async with engine.begin() as conn:
                rows: list[Claimed] = await moves.claim(conn, asks, NOW)
                given = [row.id for row in rows]
                await conn.execute(TAKE, {"day": NOW.date(), "ids": given, "late": NOW + LEASE})
            floors.claimed(asks, rows, given)
        async with alone(engine) as conn:
            await conn.execute(text("VACUUM jobs"))
        async with engine.connect() as conn:
            assert await blocks(conn, asked) > 10 * fresh  # what it would be
            assert await blocks(conn, floors.over([asked])[0]) < 3 * fresh


async def test_a_sweep_costs_the_same_after_thousands_of_leases_beside_an_idle_transaction(engine: Engine) -> None:
    shop = await open_shop(engine)
    await fill(shop, MANY)
    due = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + jobs.DUE
    late = NOW + timedelta(hours=2)

    async def read(since: datetime) -> int:
        async with engine.connect() as conn:
            (plan,) = await conn.scalar(text(due), {"since": since, "now": late, "most": 500})
        return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])

    async with engine.begin() as conn:
        take = text("UPDATE jobs SET state = 'assigned', worker_pk = 'w', lease_until = :late")
        await conn.execute(take, {"late": NOW + LEASE})
    async with engine.connect() as idle:
        await idle.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await idle.execute(text("SELECT pg_current_snapshot()"))
        async with engine.begin() as conn:
            await conn.execute(text("UPDATE jobs SET lease_until = :late"), {"late": late + LEASE})
        assert await read(EVER) > 10 * await read(late - RECENT)
