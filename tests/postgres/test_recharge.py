"""Budgets that grow: as much as is needed, no more than the day's cap and what the account has, and never without a job."""

from datetime import timedelta
from uuid import uuid4

import pytest

from coordinator.store import accounts
from coordinator.store.callers import KeyTerms, Recharge, Spending
from coordinator.store.engine import Engine
from coordinator.store.rows import NewJob
from coordinator.submit.writer import Writer
from shared.errors import BudgetExceeded, Forbidden, HiveError
from tests.postgres.made import HOLD, NOW, Shop, check_books, open_shop
from tests.postgres.test_writer import answers


async def shop_with(engine: Engine, recharge: Recharge, *, credit: int = 100 * HOLD, budget: int = HOLD) -> Shop:
    """A shop whose key has a budget that grows like this."""
    shop, key = await open_shop(engine, credit=credit), uuid4()
    async with engine.begin() as conn:
        await accounts.create_key(
            conn, key, shop.account, name="g", secret_hash=key.hex, prefix="g", now=NOW, budget=budget,
            terms=KeyTerms(recharge=recharge),
        )  # fmt: skip
    return Shop(engine, shop.account, key, shop.kind)


async def spending(shop: Shop) -> Spending:
    async with shop.engine.connect() as conn:
        return await accounts.get_spending(conn, shop.key)


async def told(shop: Shop, *jobs: NewJob, writers: int = 1) -> list[type[HiveError] | None]:
    """What each was refused with."""
    said = await answers([Writer(shop.engine) for _ in range(writers)], list(jobs))
    return [type(one) if isinstance(one, HiveError) else None for one in said]


def jobs(shop: Shop, count: int, hold: int = HOLD) -> list[NewJob]:
    return [shop.job(recharging=True, hold=hold) for _ in range(count)]


@pytest.mark.parametrize("writers", [1, 4])
async def test_a_budget_grows_by_as_many_recharges_as_it_takes(engine: Engine, writers: int) -> None:
    shop = await shop_with(engine, Recharge(amount=2 * HOLD))
    assert await told(shop, *jobs(shop, 10), writers=writers) == [None] * 10
    assert await spending(shop) == Spending(budget=11 * HOLD, held=10 * HOLD, spent=0)
    assert (await check_books(shop)).held == 10 * HOLD


async def test_one_recharge_is_enough_or_as_many_as_it_takes(engine: Engine) -> None:
    shop = await shop_with(engine, Recharge(amount=HOLD // 10))
    assert await told(shop, *jobs(shop, 1, hold=HOLD * 3 // 2)) == [None]
    assert (await spending(shop)).budget == HOLD * 3 // 2


async def test_what_would_be_left_below_the_threshold_grows_too(engine: Engine) -> None:
    shop = await shop_with(engine, Recharge(amount=5 * HOLD, below=2 * HOLD), budget=4 * HOLD)
    assert await told(shop, *jobs(shop, 2)) == [None] * 2
    assert (await spending(shop)).budget == 4 * HOLD
    assert await told(shop, *jobs(shop, 1)) == [None]
    assert (await spending(shop)).budget == 9 * HOLD


async def test_the_day_has_a_cap_and_the_next_day_a_new_one(engine: Engine) -> None:
    shop = await shop_with(engine, Recharge(amount=HOLD, daily=3 * HOLD))
    said = await told(shop, *jobs(shop, 6), writers=2)
    assert (said.count(None), said.count(BudgetExceeded)) == (4, 2)
    assert (await spending(shop)).budget == 4 * HOLD
    tomorrow = NOW + timedelta(days=1)
    more = [shop.job(tomorrow, recharging=True) for _ in range(4)]
    assert await told(shop, *more) == [None] * 3 + [BudgetExceeded]
    assert (await spending(shop)).budget == 7 * HOLD


async def test_the_accounts_balance_is_the_last_word(engine: Engine) -> None:
    shop = await shop_with(engine, Recharge(amount=10 * HOLD), credit=3 * HOLD)
    assert await told(shop, *jobs(shop, 5)) == [None] * 3 + [Forbidden] * 2
    assert await spending(shop) == Spending(budget=3 * HOLD, held=3 * HOLD, spent=0)
    assert (await check_books(shop)).held == 3 * HOLD


async def test_a_refused_job_leaves_the_budget_as_it_was(engine: Engine) -> None:
    shop = await shop_with(engine, Recharge(amount=HOLD, daily=2 * HOLD))
    assert await told(shop, *jobs(shop, 1, hold=50 * HOLD)) == [BudgetExceeded]
    assert await told(shop, *jobs(shop, 1, hold=500 * HOLD)) == [Forbidden]
    assert await spending(shop) == Spending(budget=HOLD, held=0, spent=0)


async def test_keys_with_and_without_recharge_of_many_accounts_do_not_wait_for_each_other(engine: Engine) -> None:
    shops = [await shop_with(engine, Recharge(amount=HOLD), credit=1000 * HOLD) for _ in range(6)]
    mixed = [shops[n % 6].job(recharging=n % 3 == 0, hold=HOLD if n % 3 == 0 else 0) for n in range(240)]
    said = await answers([Writer(engine) for _ in range(4)], mixed)
    assert [one for one in said if isinstance(one, HiveError)] == []
    for shop in shops:
        await check_books(shop)
