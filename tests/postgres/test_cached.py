"""Answers that may be given again: kept by the commit that completes their job, bounded, and never across accounts."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from coordinator.queue import sweep
from coordinator.queue.limits import KEPT
from coordinator.store import cached, ended, views
from coordinator.store.engine import Engine
from tests.postgres.made import NOW, WORKER, Shop, complete, fail, open_shop, result

KEY = bytes(range(32))
BEFORE = NOW - KEPT


@pytest.fixture
async def shop(engine: Engine) -> Shop:
    return await open_shop(engine)


async def found(shop: Shop, key: bytes = KEY) -> UUID | None:
    async with shop.engine.connect() as conn:
        return await cached.find(conn, shop.account, key, BEFORE)


async def rows(shop: Shop) -> int:
    async with shop.engine.connect() as conn:
        return int(await conn.scalar(text("SELECT count(*) FROM cached_answers")) or 0)


async def completed(shop: Shop, *keys: bytes | None) -> list[UUID]:
    """Jobs with these keys, completed by one commit."""
    jobs = [shop.job(cache_key=key) for key in keys]
    await shop.submit(*jobs)
    claimed = await shop.assigned()
    async with shop.engine.begin() as conn:
        await complete(conn, [result(job.id, job.attempt, WORKER) for job in claimed], NOW)
    return [job.id for job in jobs]


async def test_the_commit_that_completes_a_job_keeps_its_answer(shop: Shop) -> None:
    (job,) = await completed(shop, KEY)
    assert await found(shop) == job
    assert await found(shop, bytes(32)) is None


async def test_a_job_without_a_key_leaves_nothing(shop: Shop) -> None:
    await completed(shop, None, None)
    assert await rows(shop) == 0


async def test_what_failed_is_not_given_again(shop: Shop) -> None:
    await shop.submit(shop.job(cache_key=KEY))
    (job,) = await shop.assigned()
    async with shop.engine.begin() as conn:
        await fail(conn, [(job.id, job.attempt, WORKER, "engine_crashed", "It crashed.")], NOW)
    assert await found(shop) is None


async def test_the_youngest_answer_counts(shop: Shop) -> None:
    first = await completed(shop, KEY, KEY, KEY)
    assert await found(shop) == max(first)
    (last,) = await completed(shop, KEY)
    assert await found(shop) == last
    assert await rows(shop) == 1


async def test_never_across_accounts(shop: Shop) -> None:
    other = await open_shop(shop.engine)
    (mine,) = await completed(shop, KEY)
    assert await found(other) is None
    (theirs,) = await completed(other, KEY)
    assert (await found(shop), await found(other)) == (mine, theirs)


async def test_an_account_has_so_many_places(shop: Shop) -> None:
    """Two keys that fall on one place: the younger answer takes it."""
    alike = KEY[:2] + bytes(30)
    near = bytes([KEY[0], KEY[1] ^ 0b100, *KEY[2:]])
    assert cached.PLACES == 1 << 14
    await completed(shop, KEY)
    (last,) = await completed(shop, alike)
    (other,) = await completed(shop, near)
    assert (await found(shop), await found(shop, alike), await found(shop, near)) == (None, last, other)
    extremes = [bytes([first, second, *KEY[2:]]) for first in (0, 255) for second in (0, 3, 4, 255)]
    await completed(shop, *extremes)
    async with shop.engine.connect() as conn:
        places = sorted(await conn.scalars(text("SELECT place FROM cached_answers")))
    assert places == [0, 1, 63, 255 << 6, (255 << 6) + 1, cached.PLACES - 1]


async def test_it_is_forgotten_with_the_text(shop: Shop) -> None:
    (job,) = await completed(shop, KEY)
    async with shop.engine.begin() as conn:
        assert await cached.forget(conn, NOW - timedelta(seconds=1), 10) == 0
        await ended.purge(conn, NOW + KEPT, 10)
        view = await views.get_job(conn, job)
    assert view is not None
    assert view.result_text is None
    async with shop.engine.connect() as conn:
        assert await cached.find(conn, shop.account, KEY, NOW) is None
    await sweep.one_round(shop.engine, NOW + KEPT)
    assert await rows(shop) == 0
