"""What is read and kept for a worker's own pages costs the same however many workers, days and jobs there are."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from coordinator.store import earnings, kinds, parked, payables, settling, shares, usage, workers
from coordinator.store.engine import Connection, Engine
from tests.postgres.made import FORGET, NOW, WORKER, open_shop
from tests.postgres.test_plans import fill, nodes, plan_of

STATEMENTS = {
    "sums": earnings.SUMS, "days": earnings.DAYS, "payments": earnings.PAYMENTS, "owner": earnings.OWNER,
    "settle": settling.SETTLE, "mature": str(payables.MATURE), "usage": usage.OF_ONE, "usage of all": usage.OF_ALL,
    "promote": parked.PROMOTE, "idle": parked.IDLE, "lock keys": parked.LOCK, "made": shares.MADE, "note": shares.NOTE,
    "asked": shares.ASKED, "find": shares.FIND, "sign": shares.SIGN, "keep": shares.KEEP, "forfeit": shares.FORFEIT,
    "shown": shares.SHOWN, "leave": workers.LEAVE,
}  # fmt: skip
FILL = """
    INSERT INTO worker_sums SELECT lpad(n::text, 64, '0'), n, 0, 0, 0 FROM generate_series(1, 3000) n;
    INSERT INTO worker_days SELECT lpad((n % 300)::text, 64, '0'), date '2026-01-01' + n / 300, 'm', 1, 1, 1, 1, now()
        FROM generate_series(1, 30000) n;
    INSERT INTO usage_days SELECT CAST(lpad((n % 300)::text, 32, '0') AS uuid), date '2026-01-01' + n / 300,
        gen_random_uuid(), 'm', 1, 1, 1, 1, 1 FROM generate_series(1, 30000) n;
    INSERT INTO payout_channels (account, seq) VALUES ('G', 1);
    INSERT INTO payout_batches (channel, seq, state, memo_root, total, created_at)
        SELECT 'G', n, 'failed', '', 1, now() FROM generate_series(1, 1000) n;
    INSERT INTO payout_orders SELECT b.id, n, 'worker:' || n, 'G', 1, 'pay', 'returned'
        FROM payout_batches b, generate_series(1, 20) n"""


def walks(node: Any) -> Iterator[str]:
    """Where a plan reads a table otherwise than by a key."""
    for part in node.get("Plans", []):
        yield from walks(part)
    if node.get("Relation Name") and node["Node Type"].endswith("Scan"):
        keyed = "Index Cond" in node or any("Index Cond" in part for part in node.get("Plans", []))
        first = (
            node.get("Index Name") in {"jobs_ready", "jobs_parked", "payables_waiting"}
            or "payables" in node["Relation Name"]
        )
        if not keyed and not first:  # the first of an index is found at once
            yield f"{node['Node Type']} of {node['Relation Name']}"


@pytest.mark.parametrize("full", [False, True])
async def test_nothing_walks_through_a_table(engine: Engine, full: bool) -> None:
    async with engine.begin() as conn:
        await conn.execute(text(FORGET))
        for part in FILL.split(";") if full else ():
            await conn.execute(text(part))
        if full:
            await conn.execute(text("ANALYZE worker_sums, worker_days, usage_days, payout_orders, payout_batches"))
        found = {name: list(walks(await plan_of(conn, statement))) for name, statement in STATEMENTS.items()}
    assert found == {name: [] for name in STATEMENTS}


async def test_counting_what_waits_reads_a_bounded_part_of_the_queue(engine: Engine) -> None:
    async with engine.begin() as conn:
        await conn.execute(text(FORGET))
    large, small = await open_shop(engine), await open_shop(engine)
    await fill(large, 3 * kinds.COUNTED)
    await fill(small, 7)
    async with engine.connect() as conn:
        assert await kinds.counts(conn) == {large.kind.id: kinds.COUNTED, small.kind.id: 7}
        plan = await nodes(conn, kinds.COUNTS, {})
    scans = [node for node in plan if node.get("Relation Name")]
    assert {node["Index Name"] for node in scans} == {"jobs_ready"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) <= kinds.COUNTED + 7 + 10


@pytest.mark.parametrize("state", ["as it was made", "analysed with one row", "analysed when full"])
async def test_the_standing_of_many_workers_is_one_look_for_each(engine: Engine, state: str) -> None:
    async with engine.begin() as conn:
        await conn.execute(text(FORGET))
        if state == "analysed with one row":
            await conn.execute(text("INSERT INTO worker_sums VALUES ('first', 1, 0, 0, 0)"))
            await conn.execute(text("ANALYZE worker_sums, worker_days"))
        for part in FILL.split(";"):
            await conn.execute(text(part))
        if state == "analysed when full":
            await conn.execute(text("ANALYZE worker_sums, worker_days"))
    async with engine.connect() as conn:
        assert await read(conn, ["0" * 63 + "7", WORKER]) == {"0" * 63 + "7": 7, WORKER: 0}
        values = {"pks": [WORKER] * 5, "today": NOW.date()}
        plan = await nodes(conn, earnings.SUMS, values)
    scans = [node for node in plan if node.get("Relation Name")]
    assert all(node["Actual Loops"] == 5 and node["Actual Rows"] <= 1 for node in scans)


async def read(conn: Connection, pks: list[str]) -> dict[str, int]:
    day = (NOW + timedelta(days=9999)).date()
    return {pk: sums.held for pk, sums in (await earnings.sums(conn, pks, day)).items()}
