"""The plans that must not change with the size of the queue, and the shape of the tables that scale rests on."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import Connection as SyncConnection
from sqlalchemy.exc import IntegrityError

from coordinator.queue.lifecycle import Event
from coordinator.store import ended, held, jobs, kinds, settling
from coordinator.store.engine import Connection, Engine, alone
from coordinator.store.migrate import migrate
from coordinator.store.rows import Ask
from coordinator.store.tables import metadata
from tests.postgres.made import FORGET, HOLD, NOW, Shop, open_shop

PENDING = 20_000
FILL = text("""
    INSERT INTO jobs (day, id, account_id, key_id, kind_id, model, source, priority, state, tag, request, tokens_in,
        max_tokens, hold, seed, salt, store, attached, created_at, ready_at, deadline_at, due_at)
    SELECT :day, gen_random_uuid(), :account, :key, :kind, 'm', 'hive', 'batch', 'pending', n, '', 1, 1, 0, '', '', false,
        false, :now, :now, :late, :late
    FROM generate_series(1, :many) AS n
""")


async def fill(shop: Shop, many: int) -> None:
    values = {"account": shop.account, "key": shop.key, "kind": shop.kind.id, "many": many}
    async with shop.engine.begin() as conn:
        await conn.execute(FILL, values | {"day": NOW.date(), "now": NOW, "late": NOW + timedelta(days=1)})


async def nodes(conn: Connection, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Every node of the plan with which a statement runs."""
    (plan,) = await conn.scalar(text("EXPLAIN (ANALYZE, FORMAT JSON) " + statement), values)
    found, left = [], [plan["Plan"]]
    while left:
        node = left.pop()
        found.append(node)
        left += node.get("Plans", [])
    return found


@pytest.mark.parametrize("analysed", [False, True])
async def test_a_claim_reads_only_what_it_takes(engine: Engine, analysed: bool) -> None:
    runnable, blocking = await open_shop(engine), await open_shop(engine)
    await fill(blocking, PENDING)
    await fill(runnable, 50)
    if analysed:
        async with engine.begin() as conn:
            await conn.execute(text("ANALYZE jobs"))
    asks = [Ask(kind_id=runnable.kind.id, limit=8)]
    async with engine.connect() as conn:
        plan = await nodes(conn, jobs.CLAIM, jobs.claim_values(asks, NOW))
    scans = [node for node in plan if node.get("Relation Name") == "jobs"]
    assert [(node["Node Type"], node["Index Name"]) for node in scans] == [("Index Scan", "jobs_ready")]
    assert scans[0]["Actual Rows"] <= 8
    assert not [node for node in plan if node["Node Type"] == "Sort"]


async def test_which_kinds_wait_is_found_without_walking_through_their_jobs_or_all_kinds(engine: Engine) -> None:
    shops = [await open_shop(engine) for _ in range(3)]
    for shop in shops[:2]:
        await fill(shop, 5_000)
    async with engine.connect() as conn:
        found = list(await kinds.first(conn))
        plan = await nodes(conn, kinds.FIRST, {})
    ours = {shop.kind.id for shop in shops}
    assert [id_ for id_ in found if id_ in ours] == sorted(shop.kind.id for shop in shops[:2])
    assert {node["Index Name"] for node in plan if "Index Name" in node} == {"jobs_ready"}
    assert not [node for node in plan if node["Node Type"] in {"Seq Scan", "Sort"}]
    assert all(node["Actual Rows"] <= 1 for node in plan if node.get("Relation Name"))


STATEMENTS = {
    "assign": jobs.ASSIGN, "start": jobs.START, "lock": jobs.LOCK, "due": jobs.DUE, "requeue": jobs.REQUEUE,
    "renew": jobs.RENEW, "read_on": str(jobs._READ_ON), "end": settling.END, "settle": settling.SETTLE,
    "completed": str(ended._COMPLETED), "purge": ended.PURGE, "recall": held.RECALL, "holder": held.HOLDER,
    "alive": str(held._ALIVE), "seen": str(held._SEEN),
}  # fmt: skip


async def plan_of(conn: Connection, statement: str) -> Any:
    """The plan that is kept for a statement, whatever its parameters are."""
    numbers = {name: f"${n}" for n, name in enumerate(dict.fromkeys(re.findall(r"(?<!:):(\w+)", statement)), 1)}
    generic = re.sub(r"(?<!:):(\w+)", lambda bind: numbers[bind[1]], statement)
    raw = await conn.get_raw_connection()
    assert raw.driver_connection is not None
    await raw.driver_connection.execute(f"PREPARE probe AS {generic}")
    nothing = ", ".join("NULL" for _ in numbers)
    plan = await conn.scalar(text(f"EXPLAIN (FORMAT JSON) EXECUTE probe({nothing})"))
    await raw.driver_connection.execute("DEALLOCATE probe")
    return plan[0]["Plan"]


async def walked(
    engine: Engine, statements: Mapping[str, str], *, full: bool, tables: str = "jobs"
) -> dict[str, list[str]]:
    """What `walks` finds in the plan of each statement, with nothing known of the tables, or with thousands of jobs in them."""
    shop = await open_shop(engine)
    if full:
        await fill(shop, 5000)
    async with engine.begin() as conn:
        await conn.execute(text(FORGET))
        if full:
            await conn.execute(text("ANALYZE jobs"))
        return {name: walks(await plan_of(conn, statement), tables) for name, statement in statements.items()}


def walks(node: Any, tables: str = "jobs") -> list[str]:
    """Where a plan reads tables whose names begin so otherwise than by a key: a whole table, or the whole of an index."""
    parts = node.get("Plans", [])
    found = [walk for part in parts for walk in walks(part, tables)]
    if node.get("Relation Name") and node["Relation Name"].startswith(tables) and node["Node Type"].endswith("Scan"):
        keyed = "Index Cond" in node or any("Index Cond" in part for part in parts)
        found += [] if keyed else [f"{node['Node Type']} of {node['Relation Name']}"]
    return found


@pytest.mark.parametrize("state", ["as it was made", "vacuumed while empty", "with thousands of rows"])
async def test_no_statement_walks_through_the_jobs(engine: Engine, state: str) -> None:
    shop = await open_shop(engine, credit=10_000 * HOLD)
    forget = FORGET
    if state == "vacuumed while empty":
        forget += " AND relname !~ '^jobs_?(ready|check|account|pkey)?$'"
        async with alone(engine) as conn:
            await conn.execute(text("TRUNCATE jobs"))
            await conn.execute(text("VACUUM ANALYZE jobs"))
    await shop.submit(*(shop.job() for _ in range(3000 if state == "with thousands of rows" else 5)))
    async with engine.begin() as conn:  # until it is over no vacuum says anew how little there is
        await conn.execute(text(forget))
        found = {name: walks(await plan_of(conn, statement)) for name, statement in STATEMENTS.items()}
    assert found == {name: [] for name in STATEMENTS}


async def test_the_day_is_in_every_key_of_what_is_partitioned(engine: Engine) -> None:
    keys = text("""
        SELECT c.relname, (SELECT array_agg(a.attname::text) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey)) AS columns
        FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        WHERE c.relkind = 'p' AND c.relnamespace = 'public'::regnamespace""")
    async with engine.connect() as conn:
        found = {row.relname: set(row.columns) for row in await conn.execute(keys)}
    assert set(found) == {"jobs_ended", "attempts", "job_events", "receipts", "journal", "payables"}
    assert all("day" in columns for columns in found.values())


async def test_the_tables_that_core_knows_are_those_of_the_migrations(engine: Engine) -> None:
    def differences(conn: SyncConnection) -> list[Any]:
        def known(name: str | None, kind: str, _: Any) -> bool:
            return name in metadata.tables if kind == "table" else kind in {"schema", "column"}

        context = MigrationContext.configure(conn, opts={"compare_type": True, "include_name": known})
        return list(compare_metadata(context, metadata))

    async with engine.connect() as conn:
        assert await conn.run_sync(differences) == []


async def test_several_may_migrate_at_once_and_again(engine: Engine, database_url: str) -> None:
    await asyncio.gather(*(migrate(database_url) for _ in range(3)))
    async with engine.connect() as conn:
        assert (await conn.scalars(text("SELECT version_num FROM alembic_version"))).all() == ["0005"]


BROKEN = {
    "journal_balanced": """INSERT INTO journal VALUES
        (current_date, gen_random_uuid(), 'grant', '{a,b}', '{1,1}', now())""",
    "journal_legs": """INSERT INTO journal VALUES
        (current_date, gen_random_uuid(), 'grant', '{a,b,c}', '{1,-1}', now())""",
    "spend_within_credit": "UPDATE spend SET held = credit + 1",
    "jobs_lease": "UPDATE jobs SET state = 'assigned', worker_pk = 'w'",
    "jobs_worker": "UPDATE jobs SET worker_pk = 'w'",
    "jobs_state": "UPDATE jobs SET state = 'completed', worker_pk = 'w', lease_until = now()",
    "payables_batch": """INSERT INTO payables (day, job_id, attempt, worker_pk, worker, platform, resilience,
        quorum, state, created_at) VALUES (current_date, gen_random_uuid(), 1, 'w', 1, 1, 1, 1, 'reserved', now())""",
}


@pytest.mark.parametrize("constraint", BROKEN)
async def test_the_database_refuses_nonsense(engine: Engine, constraint: str) -> None:
    shop = await open_shop(engine)
    await shop.submit(shop.job())
    async with engine.begin() as conn:
        with pytest.raises(IntegrityError, match=constraint):
            await conn.execute(text(BROKEN[constraint]))
        await conn.rollback()


async def test_a_job_has_one_entry_of_a_kind(engine: Engine) -> None:
    shop = await open_shop(engine)
    await shop.submit(shop.job())
    again = text("INSERT INTO journal SELECT day, ref, kind, accounts, amounts, at FROM journal WHERE kind = 'hold'")
    async with engine.begin() as conn:
        with pytest.raises(IntegrityError, match=r"journal_.*pkey"):
            await conn.execute(again)
        await conn.rollback()


async def test_an_event_happens_once_in_an_attempt(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned()
    async with engine.begin() as conn:
        assert await jobs.start(conn, [(id_, 1, "ab" * 32)] * 2, NOW) == {id_}
    async with engine.connect() as conn:
        told = await conn.scalars(text("SELECT event FROM job_events WHERE job_id = :id"), {"id": id_})
        assert sorted(told) == sorted([Event.SUBMIT, Event.ASSIGN, Event.START])
