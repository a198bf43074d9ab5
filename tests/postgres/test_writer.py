"""Submitting: nobody overdraws, a key stands for one job, and a group answers each of its members."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from coordinator.queue.limits import IDEMPOTENCY
from coordinator.store.engine import Engine
from coordinator.store.rows import NewJob
from coordinator.submit.writer import GROUP, GROUP_BYTES, Writer
from shared.errors import BudgetExceeded, Conflict, Forbidden, HiveError
from tests.postgres.made import HOLD, NOW, Shop, check_books, open_shop, submit_all


async def answers(writers: list[Writer], jobs: list[NewJob]) -> list[UUID | HiveError]:
    """Submits jobs round robin to writers that all run, at once, and returns what each was told."""
    running = [asyncio.create_task(writer.run()) for writer in writers]
    submissions = (writers[i % len(writers)].submit(job) for i, job in enumerate(jobs))
    told = await asyncio.gather(*submissions, return_exceptions=True)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for answer in told:
        assert isinstance(answer, UUID | HiveError), answer
    return [answer for answer in told if isinstance(answer, UUID | HiveError)]


@pytest.mark.parametrize("writers", [1, 4])
async def test_100_parallel_submits_on_a_balance_for_10_admit_10(engine: Engine, writers: int) -> None:
    shop = await open_shop(engine, credit=10 * HOLD)
    told = await answers([Writer(engine) for _ in range(writers)], [shop.job() for _ in range(100)])
    refused = [answer for answer in told if isinstance(answer, HiveError)]
    assert len(refused) == 90
    assert {(type(e), e.code) for e in refused} == {(Forbidden, "insufficient_balance")}
    account = await check_books(shop)
    assert (account.held, account.credit) == (10 * HOLD, 10 * HOLD)
    assert len(await shop.claimed(most=200)) == 10


async def test_a_keys_budget_is_its_own(engine: Engine) -> None:
    shop = await open_shop(engine, budget=3 * HOLD - 1)
    told = await answers([Writer(engine), Writer(engine)], [shop.job() for _ in range(8)])
    refused = [answer for answer in told if isinstance(answer, HiveError)]
    assert len(refused) == 6
    assert {type(e) for e in refused} == {BudgetExceeded}
    assert (await check_books(shop)).held == 2 * HOLD


async def test_the_refusal_of_one_does_not_touch_the_others_of_its_group(engine: Engine) -> None:
    rich, poor = await open_shop(engine), await open_shop(engine, credit=0)
    told = await answers([Writer(engine)], [rich.job(), poor.job(), rich.job(), poor.job(hold=0)])
    assert [isinstance(answer, UUID) for answer in told] == [True, False, True, True]
    assert (await check_books(rich)).held == 2 * HOLD


async def test_an_unknown_account_is_refused(engine: Engine) -> None:
    shop = await open_shop(engine)
    stranger = shop.job(account_id=UUID(int=1))
    assert [type(answer) for answer in await answers([Writer(engine)], [stranger])] == [Forbidden]


async def test_more_than_a_group_is_written_in_order(engine: Engine) -> None:
    shop = await open_shop(engine)
    jobs = [shop.job() for _ in range(2 * GROUP + 1)]
    writer = Writer(engine)
    tasks = [asyncio.ensure_future(writer.submit(job)) for job in jobs]
    await asyncio.sleep(0)
    assert [await writer.one_round() for _ in range(4)] == [GROUP, GROUP, 1, 0]
    assert await asyncio.gather(*tasks) == [job.id for job in jobs]


async def test_large_requests_are_written_a_few_at_once(engine: Engine) -> None:
    shop = await open_shop(engine)
    jobs = [shop.job(request=bytes(GROUP_BYTES // 2)) for _ in range(5)]
    writer = Writer(engine)
    tasks = [asyncio.ensure_future(writer.submit(job)) for job in jobs]
    await asyncio.sleep(0)
    assert [await writer.one_round() for _ in range(4)] == [2, 2, 1, 0]
    assert await asyncio.gather(*tasks) == [job.id for job in jobs]


async def test_a_client_that_left_before_its_turn_gets_no_job(engine: Engine) -> None:
    shop = await open_shop(engine)
    writer = Writer(engine)
    gone, stays = (asyncio.ensure_future(writer.submit(shop.job())) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert await writer.one_round() == 1
    assert [job.id for job in await shop.claimed()] == [await stays]


def keyed(shop: Shop, body: str = "01", **different: Any) -> NewJob:
    return shop.job(**{"idempotency_key": "k", "body_hash": body} | different)


async def test_an_idempotency_key_stands_for_its_first_job(engine: Engine) -> None:
    shop, other = await open_shop(engine), await open_shop(engine)
    first = keyed(shop)
    assert await shop.submit(first, keyed(shop), keyed(shop)) == [first.id] * 3
    assert await shop.submit(keyed(shop)) == [first.id]
    with pytest.raises(Conflict) as conflict:
        await shop.submit(keyed(shop, "02"))
    assert conflict.value.code == "idempotency_conflict"
    stranger = keyed(other)
    assert await other.submit(stranger) == [stranger.id]
    assert (await check_books(shop)).held == HOLD


async def test_an_idempotency_key_is_free_again_after_a_day(engine: Engine) -> None:
    shop = await open_shop(engine)
    first = keyed(shop)
    late = NOW + IDEMPOTENCY
    almost, after = keyed(shop, created_at=late - timedelta(seconds=1)), keyed(shop, created_at=late)
    assert await shop.submit(first) == [first.id]
    assert await shop.submit(almost) == [first.id]
    assert await shop.submit(after) == [after.id]


async def test_a_refused_submission_leaves_its_key_free(engine: Engine) -> None:
    shop = await open_shop(engine, credit=HOLD)
    with pytest.raises(Forbidden):
        await shop.submit(keyed(shop, hold=2 * HOLD))
    good = keyed(shop)
    assert await shop.submit(good) == [good.id]


async def test_parallel_submits_of_one_key_make_one_job(engine: Engine) -> None:
    shop = await open_shop(engine)
    told = await answers([Writer(engine) for _ in range(4)], [keyed(shop) for _ in range(20)])
    assert len(set(map(str, told))) == 1
    assert (await check_books(shop)).held == HOLD


async def test_a_writer_outlives_a_failed_group(engine: Engine) -> None:
    shop = await open_shop(engine)
    writer = Writer(engine)
    twice = shop.job()
    assert await submit_all(writer, [twice]) == [twice.id]
    with pytest.raises(Exception, match="jobs_pkey") as failure:
        await submit_all(writer, [twice])
    assert "00" * 32 not in str(failure.value), "an error quotes the salt, and so would quote a prompt"
    again = shop.job()
    assert await submit_all(writer, [again]) == [again.id]
    assert (await check_books(shop)).held == 2 * HOLD
