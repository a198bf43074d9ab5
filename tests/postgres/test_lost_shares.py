"""A lost worker's share waits for its signature, is paid once, and is the fund's after a day."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from coordinator.settle import ledger, unsigned
from coordinator.settle.due import SIGN
from coordinator.store import earnings, shares
from coordinator.store.earnings import Sums
from coordinator.store.engine import Engine
from coordinator.verify.shares import TOO_LATE, Answer
from shared.receipt import ShareReceipt
from tests.postgres.lost import (
    HOUR,
    LOST,
    WHOLE,
    gone_out,
    handed_over,
    mature,
    sign,
    sums,
)
from tests.postgres.made import NOW, OTHER, books, check_books, open_shop
from tests.support_books import faults_in


async def test_both_workers_are_in_the_record_and_the_lost_one_waits(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_ = await handed_over(shop)
    share = WHOLE.worker * 40 // 50
    assert await sums(engine) == Sums(worker_pk=LOST, unsigned=share)
    assert (await sums(engine, OTHER)).held == WHOLE.worker * 10 // 50
    folded = await books(shop)
    assert (folded[ledger.earned_by(LOST)], folded[ledger.RESILIENCE]) == (share, WHOLE.resilience)
    async with engine.connect() as conn:
        (asked,) = (await shares.asked(conn, [LOST, OTHER], NOW))[LOST]
        (shown,) = await shares.shown(conn, LOST, 50)
    assert (asked.job_id, asked.attempt, asked.tokens, asked.amount) == (str(id_), 1, 40, share)
    assert asked.chain_head == gone_out(id_).chain_head
    assert (shown.state, shown.amount, shown.until) == ("unsigned", share, NOW + SIGN)
    assert await mature(engine) == 1
    await check_books(shop)


async def test_what_is_signed_is_paid_like_any_other_and_once(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_ = await handed_over(shop)
    share = WHOLE.worker * 40 // 50
    assert await sign(engine, id_) == Answer("accepted")
    assert await sums(engine) == Sums(worker_pk=LOST, today=share, held=share)
    assert (await sign(engine, id_)).verdict == "duplicate"
    assert await mature(engine) == 2
    assert (await sign(engine, id_, NOW + 3 * SIGN)).verdict == "duplicate"
    assert await unsigned.one_round(engine, NOW + 3 * SIGN) == 0
    assert await sums(engine) == Sums(worker_pk=LOST, today=share, pending=share)
    async with engine.connect() as conn:
        assert await shares.asked(conn, [LOST], NOW) == {}
        (day,) = await earnings.days(conn, LOST, NOW.date())
        kept = (await conn.execute(text("SELECT * FROM shares"))).one()
    assert (day.jobs, day.tokens_in, day.tokens_out, day.earned) == (1, 10, 40, share)
    assert msgspec.json.decode(kept.receipt, type=ShareReceipt).engine_build == "b1"
    await check_books(shop)


async def test_it_waits_from_its_signature_on_like_a_new_job(engine: Engine) -> None:
    id_ = await handed_over(await open_shop(engine))
    await sign(engine, id_, NOW + 3 * HOUR)
    assert await mature(engine) == 1
    assert (await sums(engine)).held == WHOLE.worker * 40 // 50


async def test_what_nobody_signs_for_is_the_funds_after_a_day(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_ = await handed_over(shop)
    share = WHOLE.worker * 40 // 50
    assert await unsigned.one_round(engine, NOW + SIGN - timedelta(seconds=1)) == 0
    assert await unsigned.one_round(engine, NOW + SIGN) == 1
    assert await unsigned.one_round(engine, NOW + SIGN) == 0
    assert await sums(engine) == Sums(worker_pk=LOST, forfeited=share)
    folded = await books(shop)
    assert (folded[ledger.earned_by(LOST)], folded[ledger.RESILIENCE]) == (0, WHOLE.resilience + share)
    assert await sign(engine, id_, NOW + SIGN) == Answer("late", TOO_LATE)
    assert await sign(engine, id_, NOW) == Answer("late", TOO_LATE)  # by a coordinator whose clock is behind
    async with engine.connect() as conn:
        owed = (await conn.execute(text("SELECT worker, resilience, state FROM payables WHERE attempt = 1"))).one()
        (shown,) = await shares.shown(conn, LOST, 50)
        assert await faults_in(conn) == []
    assert tuple(owed) == (0, share, "ready")
    assert (shown.forfeited, shown.amount) == (True, share)


async def test_a_signature_that_comes_after_a_day_but_before_the_sweep_is_late(engine: Engine) -> None:
    id_ = await handed_over(await open_shop(engine))
    assert await sign(engine, id_, NOW + SIGN) == Answer("late", TOO_LATE)
    assert (await sums(engine)).unsigned > 0
    assert await unsigned.one_round(engine, NOW + SIGN) == 1


@pytest.mark.parametrize(
    "lie",
    [{"chain_head": "11" * 32}, {"tokens_out": 39}, {"offset": 1}, {"model_digest": "11" * 32}, {"prompt_hash": "x"}],
)
async def test_a_lie_is_rejected_and_the_truth_may_follow_it(engine: Engine, lie: dict[str, Any]) -> None:
    id_ = await handed_over(await open_shop(engine))
    assert (await sign(engine, id_, **lie)).verdict == "rejected"
    assert (await sums(engine)).unsigned > 0
    assert (await sign(engine, id_)).verdict == "accepted"
    assert (await sign(engine, id_, **lie)).verdict == "rejected"
    assert (await sums(engine)).held > 0


async def test_nothing_waits_for_another_worker_another_attempt_or_the_one_that_finished(engine: Engine) -> None:
    id_ = await handed_over(await open_shop(engine))
    assert (await sign(engine, id_, worker_pk="ee" * 32)).verdict == "late"
    assert (await sign(engine, id_, attempt=2)).verdict == "late"
    assert (await sign(engine, id_, worker_pk=OTHER, attempt=2)).verdict == "late"
    assert (await sums(engine)).unsigned > 0


async def test_two_coordinators_that_are_told_at_once_pay_once(engine: Engine) -> None:
    shop = await open_shop(engine)
    ids = [await handed_over(shop) for _ in range(4)]
    told = await asyncio.gather(*(sign(engine, id_) for id_ in ids for _ in range(4)))
    assert sorted(one.verdict for one in told) == ["accepted"] * 4 + ["duplicate"] * 12
    assert (await sums(engine)).held == 4 * (WHOLE.worker * 40 // 50)


async def test_of_a_signature_and_the_sweep_at_once_one_holds(engine: Engine) -> None:
    shop = await open_shop(engine)
    ids = [await handed_over(shop) for _ in range(6)]
    rounds = [unsigned.one_round(engine, NOW + SIGN) for _ in range(3)]
    signs = [sign(engine, id_, NOW + SIGN - HOUR) for id_ in ids]
    done: list[Any] = await asyncio.gather(*signs[:3], *rounds, *signs[3:])
    verdicts = [one.verdict for one in done if isinstance(one, Answer)]
    forfeited = sum(one for one in done if isinstance(one, int))
    assert set(verdicts) <= {"accepted", "late"}
    left = await unsigned.one_round(engine, NOW + SIGN)
    assert (verdicts.count("accepted") + forfeited + left, left) == (6, 0)
    share, known = WHOLE.worker * 40 // 50, await sums(engine)
    assert (known.held, known.forfeited) == (share * verdicts.count("accepted"), share * forfeited)


async def test_more_than_a_rounds_worth_is_forfeited_in_one_go(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "FORFEITED_AT_ONCE", 2)
    shop = await open_shop(engine)
    for _ in range(5):
        await handed_over(shop)
    assert await unsigned.one_round(engine, NOW + SIGN) == 5
    assert (await sums(engine)).unsigned == 0
