"""Limits hold exactly, over any number of coordinators, and a submission that is refused costs nothing."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from coordinator.queue import moves
from coordinator.store import limits, settling
from coordinator.store.engine import Engine, connect
from coordinator.store.limits import Charged
from coordinator.store.rows import NewJob
from coordinator.submit.limits import charges, left
from coordinator.submit.plans import PLANS, UNLIMITED, Limits
from coordinator.submit.writer import Writer
from shared.errors import Conflict, Forbidden, HiveError, RateLimited, RequestError
from tests.postgres.made import FORGET, HOLD, NOW, WORKER, Shop, check_books, complete, fail, open_shop, result
from tests.postgres.test_plans import plan_of
from tests.postgres.test_writer import answers

TOKENS = 110
"""What a shop's usual job may use."""


async def remaining(shop: Shop, allowed: Limits, now: datetime = NOW) -> tuple[int, int]:
    """How many requests and tokens of these limits the shop's key has left."""
    async with shop.engine.connect() as conn:
        found = left(allowed, await limits.read(conn, shop.key), now)
    return found["requests"].remaining, found["tokens"].remaining


async def told(writers: list[Writer], jobs: list[NewJob]) -> list[HiveError | None]:
    """What each job was refused with."""
    return [said if isinstance(said, HiveError) else None for said in await answers(writers, jobs)]


@pytest.mark.parametrize("coordinators", [1, 3])
async def test_not_one_request_too_many_is_admitted(engine: Engine, coordinators: int) -> None:
    shop, allowed = await open_shop(engine, credit=10**12), Limits(requests=100)
    engines = [connect(engine.url.render_as_string(hide_password=False)) for _ in range(coordinators)]
    said = await told([Writer(e) for e in engines], [shop.job(limits=allowed) for _ in range(400)])
    for one in engines:
        await one.dispose()
    refused = [e for e in said if e is not None]
    assert len(refused) == 300
    assert {(type(e), e.status, e.retry_after_s) for e in refused} == {(RateLimited, 429, 1)}
    assert (await check_books(shop)).held == 100 * HOLD
    assert (await remaining(shop, allowed))[0] == 0
    later = NOW + timedelta(seconds=3)
    assert (
        sum(e is None for e in await told([Writer(engine)], [shop.job(later, limits=allowed) for _ in range(9)])) == 5
    )


async def test_the_statement_alone_decides_between_coordinators(engine: Engine) -> None:
    shop, allowed = await open_shop(engine), Limits(requests=7, tokens=1000)
    async with engine.begin() as conn:
        assert await limits.open_rows(conn, [(shop.key, "requests"), (shop.key, "tokens")]) == {}

    async def one() -> int:
        async with engine.begin() as conn:
            used = await limits.charge(conn, [Charged(shop.key, c) for c in charges(allowed, 10, NOW)])
            return len(used.get(shop.key, {}))

    found = await asyncio.gather(*(one() for _ in range(30)))
    assert sorted(found, reverse=True) == [2] * 7 + [1] * 23


async def test_a_day_of_the_free_plan_has_50_messages(engine: Engine) -> None:
    shop, free = await open_shop(engine), PLANS["free"]
    late = NOW.replace(hour=23, minute=59, second=59)
    said = await told([Writer(engine), Writer(engine)], [shop.job(late, limits=free) for _ in range(60)])
    refused = [e for e in said if e is not None]
    assert [(type(e), e.retry_after_s) for e in refused] == [(RateLimited, 1)] * 10
    assert await told([Writer(engine)], [shop.job(late + timedelta(seconds=1), limits=free)]) == [None]
    assert await remaining(shop, free, late + timedelta(seconds=1)) == (49, 10**9)


async def test_a_refused_submission_costs_no_request(engine: Engine) -> None:
    shop, allowed = await open_shop(engine, credit=2 * HOLD), Limits(requests=10, tokens=10_000)
    said = await told([Writer(engine)], [shop.job(limits=allowed) for _ in range(5)])
    assert [type(e) for e in said if e is not None] == [Forbidden] * 3
    assert await remaining(shop, allowed) == (8, 10_000 - 2 * TOKENS)


async def test_a_repeat_and_a_conflict_cost_no_request(engine: Engine) -> None:
    shop, allowed = await open_shop(engine), Limits(requests=10, tokens=10_000)
    writer = Writer(engine)
    for body in ("aa", "aa", "bb"):
        await told([writer], [shop.job(limits=allowed, idempotency_key="k", body_hash=body)])
    said = await told([writer], [shop.job(limits=allowed, idempotency_key="k", body_hash="bb")])
    assert isinstance(said[0], Conflict)
    assert await remaining(shop, allowed) == (9, 10_000 - TOKENS)
    full = Limits(requests=1)
    assert await told([writer], [shop.job(limits=full, idempotency_key="k", body_hash="aa")]) == [None]


async def test_several_answers_are_one_request_and_read_the_prompt_once(engine: Engine) -> None:
    shop, allowed = await open_shop(engine), Limits(requests=10, tokens=10_000)
    parent = shop.job().id
    children = [shop.job(limits=allowed, parent=parent, choice=i, copy=i > 0) for i in range(3)]
    running = asyncio.create_task((writer := Writer(engine)).run())
    assert await writer.submit(*children) == parent
    running.cancel()
    assert await remaining(shop, allowed) == (9, 10_000 - 310)
    assert writer.seen.marks(shop.key).keys() == {"requests", "tokens"}


async def test_what_can_never_fit_is_refused_for_good_and_costs_nothing(engine: Engine) -> None:
    shop, allowed = await open_shop(engine), Limits(requests=10, tokens=TOKENS - 1)
    (said,) = await told([Writer(engine)], [shop.job(limits=allowed)])
    assert isinstance(said, RequestError)
    assert await remaining(shop, allowed) == (10, TOKENS - 1)


async def test_others_of_a_group_are_not_touched(engine: Engine) -> None:
    limited, free = await open_shop(engine), await open_shop(engine)
    jobs = [shop.job(limits=allowed) for shop, allowed in [(limited, Limits(requests=1)), (free, UNLIMITED)] * 3]
    said = await told([Writer(engine)], jobs)
    assert [e is None for e in said] == [True, True, False, True, False, True]
    async with engine.connect() as conn:
        assert await limits.read(conn, free.key) == {}


ENDS: dict[str, tuple[int, Any]] = {
    "completed": (13, lambda conn, id_: complete(conn, [result(id_, 1)], NOW)),
    "failed": (0, lambda conn, id_: fail(conn, [(id_, 1, WORKER, "engine", "broken")], NOW)),
    "cancelled": (0, lambda conn, id_: moves.cancel(conn, id_, "gone", NOW)),
}


@pytest.mark.parametrize("how", ENDS)
async def test_what_was_not_used_comes_back_when_the_job_ends(engine: Engine, how: str) -> None:
    shop, allowed = await open_shop(engine), Limits(requests=10, tokens=10_000)
    assert await told([Writer(engine)], [shop.job(limits=allowed), shop.job()]) == [None, None]
    assert (await remaining(shop, allowed))[1] == 10_000 - TOKENS
    used, end = ENDS[how]
    for job in await shop.assigned():
        async with engine.begin() as conn:
            await end(conn, job.id)
    assert await remaining(shop, allowed) == (9, 10_000 - used)


async def test_coordinators_that_end_and_submit_at_once_do_not_wait_for_each_other(engine: Engine) -> None:
    shop, allowed = await open_shop(engine), Limits(requests=10**6, tokens=10**9)
    await told([Writer(engine)], [shop.job(limits=allowed) for _ in range(60)])
    held = await shop.assigned()

    async def end(id_: Any) -> None:
        async with engine.begin() as conn:
            await complete(conn, [result(id_, 1)], NOW)

    others = told([Writer(engine), Writer(engine)], [shop.job(limits=allowed) for _ in range(120)])
    said, *_ = await asyncio.gather(others, *(end(job.id) for job in held))
    assert said == [None] * 120
    assert await remaining(shop, allowed) == (10**6 - 180, 10**9 - 120 * TOKENS - 60 * 13)


MANY = "INSERT INTO limits SELECT gen_random_uuid(), 'requests', n FROM generate_series(1, 20000) n"
STATES = {
    "empty": (FORGET,),
    "full and never analysed": (FORGET, MANY),
    "analysed when full": (MANY, "ANALYZE limits"),
}


@pytest.mark.parametrize("state", STATES)
async def test_a_charge_looks_its_rows_up_however_many_keys_there_are(engine: Engine, state: str) -> None:
    async with engine.begin() as conn:
        for statement in STATES[state]:
            await conn.execute(text(statement))
    async with engine.connect() as conn:
        for asked in (limits._CHARGE, limits._OPEN, settling.SETTLE, limits._READ):
            left_, scans = [await plan_of(conn, str(asked))], []
            while left_:
                node = left_.pop()
                left_ += node.get("Plans", [])
                if node.get("Relation Name") == "limits" and node["Node Type"] != "ModifyTable":
                    scans.append((node["Node Type"].removeprefix("Bitmap "), "key_id" in node.get("Index Cond", "")))
            assert set(scans) <= {("Index Scan", True), ("Heap Scan", False)}, (str(asked), scans)
            assert ("Index Scan", True) in scans
