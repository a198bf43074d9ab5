"""Whatever ends a job that lost workers, and whoever is killed meanwhile: each is owed for what it made, and the books hold."""

import pytest
from sqlalchemy import text

from coordinator.queue import moves
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import LEASE
from coordinator.queue.moves import Reports
from coordinator.settle import ledger, unsigned
from coordinator.settle.due import SIGN
from coordinator.settle.partial import Made
from coordinator.settle.split import split
from coordinator.store import jobs
from coordinator.store.earnings import Sums
from coordinator.store.engine import Away, Engine
from tests.postgres.lost import (
    COORDINATOR,
    COST,
    LOST,
    WHOLE,
    delivered,
    gone_out,
    handed_over,
    killed_at,
    lose,
    sign,
    signed,
    sums,
)
from tests.postgres.made import NOW, OTHER, books, check_books, complete, open_shop, result


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_coordinator_killed_while_it_takes_a_signature_has_taken_all_of_it_or_none(
    engine: Engine, number: int
) -> None:
    id_ = await handed_over(await open_shop(engine))
    with killed_at(engine, number) as seen, pytest.raises(Away):
        await sign(engine, id_)
    assert len(seen) == number
    assert (await sums(engine)).unsigned > 0
    assert (await sign(engine, id_)).verdict == "accepted"
    assert (await sums(engine)).held > 0


@pytest.mark.parametrize("number", [1, 2])
async def test_a_coordinator_killed_while_it_forfeits_has_forfeited_all_of_it_or_none(
    engine: Engine, number: int
) -> None:
    await handed_over(await open_shop(engine))
    with killed_at(engine, number), pytest.raises(Away):
        await unsigned.one_round(engine, NOW + SIGN)
    assert (await sums(engine)).unsigned > 0
    assert await unsigned.one_round(engine, NOW + SIGN) == 1
    assert (await sums(engine)).forfeited > 0


async def test_a_coordinator_killed_at_any_statement_of_an_end_leaves_books_that_hold(engine: Engine) -> None:
    shop = await open_shop(engine)
    for number in range(1, 40):
        (id_,) = await shop.submit(shop.job())
        await shop.assigned(LOST)
        await lose(shop, id_, gone_out(id_))
        await shop.assigned(OTHER, NOW + LEASE)
        done = result(id_, 2, OTHER, share=(10, 50), tokens_out=50)
        try:
            with killed_at(engine, number):
                async with engine.begin() as conn:
                    await complete(conn, [done], NOW)
        except Away:
            await sums(engine)
            async with engine.begin() as conn:
                await complete(conn, [done], NOW)
        else:
            break
    assert 3 < number < 39
    assert (await sums(engine)).unsigned == number * (WHOLE.worker * 40 // 50)


async def test_three_workers_lost_in_turn_each_wait_for_their_own_and_the_pools_with_the_last(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job(reward=COST))
    for attempt, offset in enumerate((0, 10, 30), 1):
        await shop.assigned(LOST, NOW + attempt * LEASE)
        share = gone_out(id_, attempt, offset, list(range(10 * attempt)))
        state = await lose(shop, id_, share)
    assert state is State.FAILED
    cost = COST * 60 // 100
    async with engine.connect() as conn:
        owed = (
            await conn.execute(text("SELECT attempt, worker, platform, state FROM payables ORDER BY attempt"))
        ).all()
    whole = split(cost)
    assert [tuple(row) for row in owed] == [
        (1, whole.worker // 6, 0, "unsigned"), (2, whole.worker // 3, 0, "unsigned"),
        (3, whole.worker // 2, whole.platform, "unsigned"),
    ]  # fmt: skip
    third, signature = signed(gone_out(id_, 3, 30, list(range(30))))
    async with engine.begin() as conn:
        assert (await unsigned.sign(conn, id_, third, signature, COORDINATOR, NOW))[0].verdict == "accepted"
    assert await unsigned.one_round(engine, NOW + SIGN) == 2
    assert await sums(engine) == Sums(
        worker_pk=LOST, today=whole.worker // 2, held=whole.worker // 2, forfeited=whole.worker // 6 + whole.worker // 3
    )
    await check_books(shop)


@pytest.mark.parametrize("while_it", ["waits", "runs"])
async def test_a_cancelled_job_owes_its_lost_worker_what_it_made(engine: Engine, while_it: str) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job(reward=COST))
    await shop.assigned(LOST)
    await lose(shop, id_, gone_out(id_))
    made = Made(1, LOST, 40, 40)
    if while_it == "runs":
        await shop.assigned(OTHER, NOW + LEASE)
        made = Made(2, OTHER, 50, 10)
    async with engine.begin() as conn:
        await moves.cancel(conn, id_, "asked", NOW, delivered(id_, made))
    whole = split(COST * made.tokens // 100)
    assert (await sums(engine)).unsigned == whole.worker * 40 // made.tokens
    assert (await sums(engine, OTHER)).held == (whole.worker * 10 // 50 if while_it == "runs" else 0)
    assert (await sign(engine, id_)).verdict == "accepted"
    assert (await sums(engine)).held == whole.worker * 40 // made.tokens
    await check_books(shop)


async def test_a_job_out_of_time_owes_its_lost_worker_what_it_made(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job(reward=COST))
    await shop.assigned(LOST)
    await lose(shop, id_, gone_out(id_))
    async with engine.begin() as conn:
        live = await jobs.lock(conn, [id_])
        await moves.repair(conn, list(live.values()), [], [], NOW, delivered(id_, Made(1, LOST, 40, 40)))
    assert (await sums(engine)).unsigned == split(COST * 40 // 100).worker
    assert await unsigned.one_round(engine, NOW + SIGN) == 1
    await check_books(shop)


async def test_a_lease_that_the_sweep_finds_over_hands_over_what_its_coordinator_knows(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned(LOST)
    async with engine.begin() as conn:
        live = await jobs.lock(conn, [id_])
        await moves.repair(conn, [], [], list(live.values()), NOW, delivered(id_, Made(1, LOST, 40, 40), gone_out(id_)))
    await shop.assigned(OTHER, NOW + LEASE)
    async with engine.begin() as conn:
        await complete(conn, [result(id_, 2, OTHER, share=(10, 50), tokens_out=50)], NOW)
    assert (await sums(engine)).unsigned == WHOLE.worker * 40 // 50


@pytest.mark.parametrize("known", [False, True])
async def test_what_is_not_known_to_be_in_the_answer_is_the_funds_at_once(engine: Engine, known: bool) -> None:
    """The lost worker's coordinator died with it, or the next worker made the answer anew."""
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned(LOST)
    async with engine.begin() as conn:
        told = [(id_, 1, LOST, "gone")]
        share = delivered(id_, Made(1, LOST, 40, 40), gone_out(id_) if known else None)
        await moves.apply(conn, Reports(lost=told, delivered=share), NOW)
    await shop.assigned(OTHER, NOW + LEASE)
    async with engine.begin() as conn:
        own = 50 if known else 10
        await complete(conn, [result(id_, 2, OTHER, share=(own, 50), tokens_out=50)], NOW)
    assert await sums(engine) == Sums(worker_pk=LOST)
    folded = await books(shop)
    assert folded[ledger.RESILIENCE] == WHOLE.resilience + WHOLE.worker - WHOLE.worker * own // 50


async def test_a_loss_that_is_not_believed_notes_nothing(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned(OTHER)
    async with engine.begin() as conn:
        told = [(id_, 1, LOST, "gone")]
        await moves.apply(conn, Reports(lost=told, delivered=delivered(id_, Made(1, LOST, 40, 40), gone_out(id_))), NOW)
        assert await conn.scalar(text("SELECT count(*) FROM attempts WHERE share IS NOT NULL")) == 0


async def test_a_job_that_cost_nothing_owes_nobody(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned(LOST)
    await lose(shop, id_, gone_out(id_))
    await shop.assigned(OTHER, NOW + LEASE)
    async with engine.begin() as conn:
        await complete(conn, [result(id_, 2, OTHER, share=(10, 50), cost=0)], NOW)
    assert (await sign(engine, id_)).verdict == "late"
    assert await sums(engine) == Sums(worker_pk=LOST)
