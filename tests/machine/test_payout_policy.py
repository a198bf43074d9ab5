"""When a payable is paid: what is held back, what is due, what a job shows, and what asking costs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from coordinator.settle.payout import Policy
from coordinator.settle.stellar import worker_address
from coordinator.store import accounts, owners, payables, views
from coordinator.store.engine import Engine
from tests.machine.payout_world import World
from tests.postgres.made import complete, open_shop, result

HOUR = timedelta(hours=1)
NEWER = datetime(2026, 1, 1, tzinfo=UTC)
STATES = "SELECT state FROM payables ORDER BY created_at, job_id"


async def ready_after(world: World, held_jobs: int, before: datetime) -> list[str]:
    async with world.engine.begin() as conn:
        await payables.mature(conn, held_jobs, before)
    return [state for (state,) in await world.rows(STATES)]


async def test_pay_is_held_for_the_newest_jobs_and_the_last_hours(world: World) -> None:
    one, two = "aa" * 32, "bb" * 32
    for hours in (5, 4, 3, 2, 1):
        await world.earn(one, 100, ago=hours * HOUR)
    await world.earn(two, 100, 100, ago=6 * HOUR)
    assert await ready_after(world, 5, world.now) == ["accrued"] * 7
    assert await ready_after(world, 2, world.now - 4 * HOUR) == ["accrued"] * 2 + ["ready"] * 2 + ["accrued"] * 3
    assert await ready_after(world, 2, world.now) == ["accrued"] * 2 + ["ready"] * 3 + ["accrued"] * 2


async def test_of_jobs_that_ended_together_the_newest_are_held_too(world: World) -> None:
    await world.earn("aa" * 32, *[100] * 5)
    assert sorted(await ready_after(world, 2, world.now)) == ["accrued"] * 2 + ["ready"] * 3


async def test_a_payout_is_due_at_a_sum_or_at_an_age(world: World) -> None:
    small, big = world.workers(2)
    payer = await world.started(Policy(held_jobs=0, held_hours=0, threshold=6_000, age_s=3_600))
    await world.earn(small, 9_000)
    await world.earn(big, 5_000, 5_000)
    await payer.one_round(world.now)
    world.close()
    await payer.one_round(world.now)
    assert [world.balance(worker_address(worker)) for worker in (small, big)] == [0, 6_000]
    world.now += HOUR + timedelta(minutes=1)
    await world.until_paid(payer)
    await world.check_all_paid()


async def test_a_job_is_settled_once_its_batch_is_read_back_from_the_ledger(world: World) -> None:
    (worker,) = world.workers(1)
    shop = await open_shop(world.engine)
    (job,) = await shop.submit(shop.job())
    (claimed,) = await shop.assigned(worker)
    async with world.engine.begin() as conn:
        await complete(conn, [result(job, claimed.attempt, worker)], world.now)
    payer = await world.started()

    async def shown() -> tuple[bool, str | None]:
        async with world.engine.connect() as conn:
            view = await views.get_job(conn, job)
        assert view is not None
        return view.settled, view.stellar_tx_hash

    assert await shown() == (False, None)
    await payer.one_round(world.now)
    assert await world.rows("SELECT state FROM payables") == [("reserved",)]
    assert await shown() == (False, None)
    world.close()
    assert await shown() == (False, None)
    await payer.one_round(world.now)
    ((tx_hash,),) = await world.rows("SELECT tx_hash FROM payout_batches")
    assert await shown() == (True, tx_hash)
    assert world.http.get(f"/transactions/{tx_hash}").json()["successful"]


async def test_nothing_due_costs_no_question_for_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("mature", "due"):
        real = getattr(payables, name)

        async def counted(*args: Any, real: Any = real, name: str = name) -> Any:
            asked.append(name)
            return await real(*args)

        monkeypatch.setattr(payables, name, counted)
    payer = await world.started(Policy(held_jobs=50, held_hours=72, threshold=10_000_000, age_s=3_600))
    for seconds in (0, 0.5, 1, 59):
        await payer.one_round(world.now + timedelta(seconds=seconds))
    assert asked == ["mature", "due"]
    await payer.one_round(world.now + timedelta(seconds=60))
    assert asked == ["mature", "due"] * 2


@pytest.mark.parametrize(
    ("state", "statement", "values", "most"),
    [
        ("accrued", payables.MATURE, {"held": 50, "before": NEWER - HOUR, "most": 5_000}, 600),
        ("ready", payables.DUE, {"threshold": 0, "older": NEWER, "workers": 97, "limit": 100}, 22_000),
    ],
    ids=["mature: the newest of each worker", "due: each row once, then what is taken"],
)
async def test_asking_reads_no_more_than_it_must(
    engine: Engine, state: str, statement: Any, values: dict[str, Any], most: int
) -> None:
    async with engine.begin() as conn:
        await conn.execute(_MANY, {"now": NEWER, "each": 2_000, "state": state})
        await conn.execute(text("ANALYZE payables"))
        (plan,) = await conn.scalars(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"), values)
    scans = list(_scans(plan[0]["Plan"]))
    assert {scan["Node Type"] for scan in scans if scan["Actual Loops"]} <= {"Index Scan", "Index Only Scan"}
    assert sum(scan["Actual Rows"] * scan["Actual Loops"] for scan in scans) < most


_MANY = text("""
INSERT INTO payables (day, job_id, attempt, worker_pk, worker, platform, resilience, quorum, state, created_at)
SELECT (SELECT CAST(right(relname, 8) AS date) FROM pg_class WHERE relname LIKE 'payables\\_2%' AND relkind = 'r'
         ORDER BY relname LIMIT 1),
       gen_random_uuid(), 1, 'worker' || w, 1, 0, 0, 0, :state, CAST(:now AS timestamptz) + n * interval '1 second'
  FROM generate_series(0, 9) w, generate_series(1, CAST(:each AS integer)) n
""")


def _scans(plan: dict[str, Any]) -> Any:
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        yield plan
    for part in plan.get("Plans", []):
        yield from _scans(part)


async def test_what_an_owner_spends_is_not_paid_as_well_but_the_pools_are(world: World) -> None:
    spending, paid = world.workers(2)
    owner = await open_shop(world.engine, credit=0)
    async with world.engine.begin() as conn:
        await owners.link(conn, spending, owner.account, world.now, spend=True)
    await world.earn(spending, 100_000, 50_000)
    await world.earn(paid, 10_000)
    credited = world.owed.pop(spending)
    await world.until_paid(await world.started())
    await world.check_all_paid()
    assert world.balance(worker_address(spending)) == 0
    async with world.engine.connect() as conn:
        account = await accounts.get_account(conn, owner.account)
    assert account is not None
    assert account.credit == credited == 90_000
