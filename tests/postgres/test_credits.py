"""An owner spends what its worker earned: only when it is due, once, never as well as it is paid, and not after parting."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coordinator.settle import credit, ledger
from coordinator.settle.split import split
from coordinator.store import accounts, earnings, owners, payables
from coordinator.store.earnings import Sums
from coordinator.store.engine import Connection, Engine
from tests.postgres.made import HOLD, NOW, OTHER, WORKER, Shop, books, complete, open_shop, result
from tests.support_books import faults_in

HOUR = timedelta(hours=1)


async def earn(shop: Shop, jobs: int = 1, worker: str = WORKER, cost: int = HOLD) -> int:
    """The worker completes so many jobs; its share of each, in stroops."""
    await shop.submit(*(shop.job() for _ in range(jobs)))
    done = await shop.assigned(worker)
    async with shop.engine.begin() as conn:
        await complete(conn, [result(job.id, job.attempt, worker, cost=cost) for job in done], NOW)
    return split(cost).worker


async def mature(engine: Engine, held_jobs: int = 0) -> int:
    async with engine.begin() as conn:
        return await credit.mature(conn, held_jobs, NOW, NOW + HOUR)


async def link(engine: Engine, account: UUID, *, spend: bool = True, worker: str = WORKER) -> None:
    async with engine.begin() as conn:
        await owners.link(conn, worker, account, NOW, spend=spend)


async def owner_of(engine: Engine) -> UUID:
    account = uuid4()
    async with engine.begin() as conn:
        await accounts.create_account(conn, account, "owner", NOW)
    return account


async def room(conn: Connection, account: UUID) -> int:
    row = await accounts.get_account(conn, account)
    assert row is not None
    return row.credit - row.held - row.spent


async def sums(engine: Engine, worker: str = WORKER) -> Sums:
    async with engine.connect() as conn:
        assert await faults_in(conn) == []
        return (await earnings.sums(conn, [worker], NOW.date()))[worker]


async def test_what_an_owner_spends_is_credited_when_it_is_due_and_not_before(engine: Engine) -> None:
    shop, owner = await open_shop(engine), await owner_of(engine)
    await link(engine, owner)
    share = await earn(shop, jobs=3)
    assert await sums(engine) == Sums(worker_pk=WORKER, today=3 * share, held=3 * share)
    assert await mature(engine, held_jobs=2) == 1
    assert await sums(engine) == Sums(worker_pk=WORKER, today=3 * share, held=2 * share, credited=share)
    assert await mature(engine) == 2
    assert await mature(engine) == 0
    assert await sums(engine) == Sums(worker_pk=WORKER, today=3 * share, credited=3 * share)
    folded = await books(shop)
    assert (folded[ledger.balance_of(owner)], folded[ledger.earned_by(WORKER)]) == (3 * share, 0)
    async with engine.connect() as conn:
        assert await room(conn, owner) == 3 * share
        due = await payables.due(conn, 0, NOW + HOUR, 10, 10)
    pools = split(HOLD)
    assert [(d.payable.worker, d.payable.platform) for d in due] == [(0, pools.platform)] * 3


async def test_the_owner_can_spend_it(engine: Engine) -> None:
    shop, own = await open_shop(engine), await open_shop(engine, credit=0)
    await link(engine, own.account)
    share = await earn(shop, jobs=2)
    await mature(engine)
    await own.submit(own.job(hold=2 * share))
    async with engine.connect() as conn:
        assert await room(conn, own.account) == 0
        assert await faults_in(conn) == []


@pytest.mark.parametrize("cost", [1, 2, 3, 4, 5, 39, 40])
async def test_a_batch_always_has_somebody_to_pay(engine: Engine, cost: int) -> None:
    await link(engine, await owner_of(engine))
    await earn(await open_shop(engine), cost=cost)
    await mature(engine)
    async with engine.connect() as conn:
        (due,) = await payables.due(conn, 0, NOW + HOUR, 10, 10)
    owed = due.payable.worker, due.payable.platform, due.payable.resilience, due.payable.quorum
    assert sum(owed) > 0
    assert (await sums(engine)).pending == due.payable.worker


async def test_a_link_that_does_not_spend_and_a_worker_without_one_are_paid(engine: Engine) -> None:
    shop = await open_shop(engine)
    await link(engine, await owner_of(engine), spend=False)
    share = await earn(shop)
    await earn(shop, worker=OTHER)
    assert await mature(engine) == 2
    for worker in (WORKER, OTHER):
        assert await sums(engine, worker) == Sums(worker_pk=worker, today=share, pending=share)


async def test_after_parting_nothing_is_credited_though_it_was_just_about_to_be(engine: Engine) -> None:
    shop, owner = await open_shop(engine), await owner_of(engine)
    await link(engine, owner)
    share = await earn(shop)
    async with engine.begin() as parting:
        assert await owners.unlink(parting, WORKER)
        maturing = asyncio.create_task(mature(engine))
        await until_one_waits(engine)
        assert not maturing.done()
    assert await maturing == 1
    assert await sums(engine) == Sums(worker_pk=WORKER, today=share, pending=share)


async def test_parting_waits_for_what_is_being_credited(engine: Engine) -> None:
    shop, owner = await open_shop(engine), await owner_of(engine)
    await link(engine, owner)
    share = await earn(shop)

    async def part() -> bool:
        async with engine.begin() as conn:
            return await owners.unlink(conn, WORKER)

    async with engine.begin() as conn:
        assert await credit.mature(conn, 0, NOW, NOW + HOUR) == 1
        parting = asyncio.create_task(part())
        await until_one_waits(engine)
        assert not parting.done()
    assert await parting
    assert await sums(engine) == Sums(worker_pk=WORKER, today=share, credited=share)


async def test_two_that_mature_at_once_credit_once(engine: Engine) -> None:
    shop, owner = await open_shop(engine), await owner_of(engine)
    await link(engine, owner)
    share = await earn(shop, jobs=5)
    assert sum(await asyncio.gather(*(mature(engine) for _ in range(4)))) == 5
    async with engine.connect() as conn:
        assert await room(conn, owner) == 5 * share
        assert await faults_in(conn) == []


async def until_one_waits(engine: Engine) -> None:
    """Until a transaction waits for the lock of another."""
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(20), engine.connect() as conn:
        while not await conn.scalar(waits):
            await conn.rollback()
            await asyncio.sleep(0)
