"""A job whose worker was lost together with its coordinator: whoever heard of it says what, and the next goes on from there."""

from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import text

from coordinator.queue import sweep
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import HANDED, LEASE
from coordinator.settle.partial import Delivered
from coordinator.store import adrift, jobs
from coordinator.store.engine import Engine
from tests.postgres.made import NOW, OTHER, WORKER, Shop, open_shop

LATER = NOW + LEASE
FEW, MORE = (msgspec.msgpack.encode(list(range(count))) for count in (2, 5))


async def made_of(shop: Shop, id_: UUID) -> bytes | None:
    async with shop.engine.connect() as conn:
        made: bytes | None = await conn.scalar(text("SELECT made FROM jobs WHERE id = :id"), {"id": id_})
    return made


async def begun(shop: Shop, worker: str = WORKER) -> UUID:
    """A job of which a worker makes tokens."""
    (id_,) = await shop.submit(shop.job())
    await shop.assigned(worker)
    async with shop.engine.begin() as conn:
        assert await jobs.start(conn, [(id_, 1, worker)], NOW) == {id_}
    return id_


async def hand_on(shop: Shop, id_: UUID, attempt: int, made: bytes) -> set[int]:
    async with shop.engine.begin() as conn:
        return await adrift.hand_on(conn, {id_: (attempt, made)}, LATER)


async def test_it_waits_a_moment_for_those_who_heard_of_it_and_no_longer(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_ = await begun(shop)
    assert (await sweep.one_round(engine, LATER)).adrift == {id_}
    assert await shop.claimed(now=LATER + HANDED - timedelta(milliseconds=1)) == []
    assert [job.made for job in await shop.claimed(now=LATER + HANDED)] == [None]
    assert await hand_on(shop, id_, 1, FEW) == {shop.kind.id}
    assert [job.made for job in await shop.claimed(now=LATER)] == [FEW]


async def test_who_has_heard_most_is_believed_and_only_of_the_attempt_that_was_lost(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_ = await begun(shop)
    assert await hand_on(shop, id_, 1, MORE) == set()
    await sweep.one_round(engine, LATER)
    assert await hand_on(shop, id_, 2, MORE) == set()
    assert await hand_on(shop, id_, 1, FEW) == {shop.kind.id}
    assert await hand_on(shop, id_, 1, MORE) == {shop.kind.id}
    assert await hand_on(shop, id_, 1, FEW) == set()
    assert await made_of(shop, id_) == MORE
    await shop.assigned(OTHER, LATER)
    assert await hand_on(shop, id_, 2, msgspec.msgpack.encode(list(range(9)))) == set()


async def test_who_sweeps_and_has_heard_of_it_says_so_at_once(engine: Engine) -> None:
    shop = await open_shop(engine)
    heard, stale, silent = [await begun(shop) for _ in range(3)]
    (offered,) = await shop.submit(shop.job())
    await shop.assigned()
    told = Delivered(carried={heard: (1, MORE), stale: (2, MORE)})
    swept = await sweep.one_round(engine, LATER, lambda _: told)
    assert (swept.lost, set(swept.adrift)) == (4, {stale, silent})
    assert {job.id: job.made for job in await shop.claimed(now=LATER)} == {heard: MORE, offered: None}


async def test_what_was_known_already_is_not_forgotten(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_ = await begun(shop)
    for made, attempt in ((MORE, 1), (FEW, 2)):
        await sweep.one_round(engine, LATER, lambda _, made=made, n=attempt: Delivered(carried={id_: (n, made)}))  # type: ignore[misc]
        if attempt == 1:
            await shop.assigned(OTHER, LATER)
            async with engine.begin() as conn:
                await conn.execute(text("UPDATE jobs SET lease_until = :now"), {"now": NOW})
    assert await made_of(shop, id_) == MORE
    async with engine.connect() as conn:
        live = await conn.execute(text("SELECT state, lost FROM jobs"))
        assert live.one() == (State.PENDING, 2)
