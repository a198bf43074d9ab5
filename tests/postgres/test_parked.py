"""At once: of a key with a cap so many jobs are let in as it allows, the others wait their turn and are not in the way."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from coordinator.queue import moves, sweep
from coordinator.queue.lifecycle import Event, State
from coordinator.queue.limits import LEASE
from coordinator.store import accounts, jobs, kinds, parked, views
from coordinator.store.engine import Connection, Engine, alone
from coordinator.store.rows import Ask, Assignment, KindSpec, NewJob
from coordinator.submit.plans import Limits
from coordinator.submit.writer import Writer
from tests.postgres.made import HOLD, NOW, WORKER, Shop, complete, expire, fail, lose, open_shop, result
from tests.postgres.test_plans import FILL, fill, nodes
from tests.support_books import faults_in

SECOND = timedelta(seconds=1)


def capped(shop: Shop, at_once: int, now: datetime = NOW, **different: Any) -> NewJob:
    return shop.job(now, limits=Limits(at_once=at_once), **different)


async def ready(shop: Shop, now: datetime = NOW) -> list[UUID]:
    return [job.id for job in await shop.claimed(now=now)]


async def end(shop: Shop, how: Event, id_: UUID, now: datetime = NOW) -> object:
    async with shop.engine.begin() as conn:
        match how:
            case Event.COMPLETE:
                return await complete(conn, [result(id_, 1)], now)
            case Event.FAIL:
                return await fail(conn, [(id_, 1, WORKER, "crashed", "")], now)
            case Event.EXPIRE:
                return await expire(conn, [id_], now)
            case _:
                return await moves.cancel(conn, id_, "", now)


async def test_so_many_are_let_in_as_the_key_allows_in_the_order_of_their_coming(engine: Engine) -> None:
    shop = await open_shop(engine)
    ids = await shop.submit(*(capped(shop, 2, NOW + n * SECOND) for n in range(5)))
    assert await ready(shop, NOW + 9 * SECOND) == ids[:2]
    async with engine.connect() as conn:
        seen = [await views.get_job(conn, id_) for id_ in ids]
        assert await faults_in(conn) == []
    assert [view and (view.status, view.parked) for view in seen] == [
        (State.PENDING, n >= 2) for n in range(5)
    ]  # fmt: skip


@pytest.mark.parametrize("how", [Event.COMPLETE, Event.FAIL, Event.EXPIRE, Event.CANCEL])
async def test_whatever_ends_a_job_lets_the_next_one_in(engine: Engine, how: Event) -> None:
    shop = await open_shop(engine)
    first, second, third = await shop.submit(*(capped(shop, 1, NOW + n * SECOND) for n in range(3)))
    for id_, then in ((first, [second]), (second, [third]), (third, [])):
        await shop.assigned(now=NOW + 9 * SECOND)
        await end(shop, how, id_, NOW + 9 * SECOND)
        assert await ready(shop, NOW + 9 * SECOND) == then


async def test_a_lost_job_keeps_its_place_and_the_third_loss_gives_it_up(engine: Engine) -> None:
    shop = await open_shop(engine)
    first, second = await shop.submit(capped(shop, 1), capped(shop, 1, NOW + SECOND))
    for attempt in (1, 2, 3):
        assert await ready(shop, NOW + SECOND) == [first]
        await shop.assigned(now=NOW + SECOND)
        async with engine.begin() as conn:
            await lose(conn, [(first, attempt, WORKER, "silent")], NOW + SECOND)
    assert await ready(shop, NOW + SECOND) == [second]


async def test_cancelling_a_parked_job_lets_nobody_in(engine: Engine) -> None:
    shop = await open_shop(engine)
    first, second, third = await shop.submit(*(capped(shop, 1, NOW + n * SECOND) for n in range(3)))
    done = await end(shop, Event.CANCEL, second)
    assert isinstance(done, moves.Cancelled)
    assert (done.before.state, done.let_in) == (State.PENDING, set())
    assert await ready(shop, NOW + 3 * SECOND) == [first]
    done = await end(shop, Event.CANCEL, first)
    assert isinstance(done, moves.Cancelled)
    assert done.let_in == {shop.kind.id}
    assert await ready(shop, NOW + 3 * SECOND) == [third]


async def test_other_keys_of_the_account_and_keys_without_a_cap_are_not_held_up(engine: Engine) -> None:
    shop = await open_shop(engine)
    key = uuid4()
    async with engine.begin() as conn:
        await accounts.create_key(conn, key, shop.account, name="", secret_hash=key.hex, prefix="p", now=NOW)
    other = msgspec.structs.replace(shop, key=key)
    mine = await shop.submit(capped(shop, 1), capped(shop, 1), shop.job(), shop.job())
    theirs = await other.submit(capped(other, 1), capped(other, 1))
    assert len(set(await ready(shop)) & set(mine)) == 3
    assert len(set(await ready(shop)) & set(theirs)) == 1


async def test_the_answers_to_one_request_count_singly(engine: Engine) -> None:
    shop, parent = await open_shop(engine), uuid4()
    children = [capped(shop, 2, parent=parent, choice=n, copy=n > 0) for n in range(3)]
    writer = Writer(engine)
    asking = asyncio.ensure_future(writer.submit(*children))
    await asyncio.sleep(0)
    await writer.one_round()
    assert await asking == parent
    assert len(await ready(shop)) == 2


async def test_the_newest_word_on_a_cap_holds(engine: Engine) -> None:
    shop = await open_shop(engine)
    ids = await shop.submit(*(capped(shop, 1, NOW + n * SECOND) for n in range(3)))
    ids += await shop.submit(capped(shop, 3, NOW + 3 * SECOND))
    assert await ready(shop, NOW + 5 * SECOND) == ids[:3]
    ids += await shop.submit(capped(shop, 2, NOW + 4 * SECOND))
    for ended, left in ((ids[0], ids[1:3]), (ids[1], ids[2:4]), (ids[2], ids[3:])):
        await end(shop, Event.CANCEL, ended)
        assert await ready(shop, NOW + 9 * SECOND) == left


async def test_a_parked_job_can_be_neither_claimed_nor_given_away(engine: Engine) -> None:
    shop = await open_shop(engine)
    _, waits = await shop.submit(capped(shop, 1), capped(shop, 1, NOW + SECOND))
    gift = Assignment(id=waits, attempt_before=0, worker_pk=WORKER, cell="c", price=1)
    async with engine.begin() as conn:
        assert await moves.assign(conn, [gift], coordinator="c", now=NOW, lease_until=NOW + LEASE) == set()
        with pytest.raises(IntegrityError, match="jobs_parked_waits"):
            await conn.execute(
                text("UPDATE jobs SET state = 'assigned', worker_pk = 'w', lease_until = now() WHERE parked")
            )
        await conn.rollback()


async def test_its_search_widens_from_when_it_was_let_in(engine: Engine) -> None:
    shop = await open_shop(engine)
    first, second = await shop.submit(capped(shop, 1), capped(shop, 1))
    later = NOW + 60 * SECOND

    async def old_enough(now: datetime) -> list[UUID]:
        async with engine.connect() as conn:
            ask = Ask(kind_id=shop.kind.id, limit=9, min_age_ms=1000)
            return [job.id for job in await moves.claim(conn, [ask], now)]

    assert await old_enough(later) == [first]
    await end(shop, Event.CANCEL, first, later)
    assert await old_enough(later + SECOND / 2) == []
    assert await old_enough(later + SECOND) == [second]
    (claimed,) = await shop.claimed(now=later + SECOND)
    assert claimed.since == later


async def test_a_deadline_and_a_reader_that_is_gone_end_parked_jobs_too(engine: Engine) -> None:
    shop = await open_shop(engine)
    await shop.submit(capped(shop, 1))
    late, unread = capped(shop, 1, deadline_at=NOW + SECOND), capped(shop, 1, attached=True)
    await shop.submit(late, unread)
    assert (await sweep.one_round(engine, NOW + SECOND)).expired == 1
    assert (await sweep.one_round(engine, NOW + timedelta(minutes=2))).orphaned == 1
    async with engine.connect() as conn:
        ended = [await views.get_job(conn, job.id) for job in (late, unread)]
        assert [view and view.status for view in ended] == [State.TIMED_OUT, State.CANCELLED]
        assert await faults_in(conn) == []


async def test_what_was_locked_when_its_turn_came_is_let_in_by_the_sweep(engine: Engine) -> None:
    shop = await open_shop(engine)
    first, second = await shop.submit(capped(shop, 1), capped(shop, 1, NOW + SECOND))
    async with engine.begin() as reading:
        await jobs.lock(reading, [second])
        done = await end(shop, Event.CANCEL, first)
        assert isinstance(done, moves.Cancelled)
        assert done.let_in == set()
    assert await ready(shop, NOW + SECOND) == []
    assert (await sweep.one_round(engine, NOW + SECOND)).again == {shop.kind.id}
    assert (await sweep.one_round(engine, NOW + SECOND)).again == frozenset()
    assert await ready(shop, NOW + SECOND) == [second]


async def let_in(conn: Connection, key: UUID) -> int:
    many = text("SELECT count(*) FROM jobs WHERE key_id = :key AND NOT parked")
    return int(await conn.scalar(many, {"key": key}) or 0)


async def test_four_coordinators_at_once_never_let_in_too_many_and_leave_none_out(engine: Engine) -> None:
    shop = await open_shop(engine, credit=10_000 * HOLD)
    most, over = 3, asyncio.Event()
    done: list[UUID] = []

    async def submitter() -> None:
        for _ in range(10):
            await shop.submit(*(capped(shop, most) for _ in range(3)))

    async def worker(pk: str) -> None:
        while not over.is_set():
            got = await shop.assigned(pk, NOW + SECOND, most=2)
            async with engine.begin() as conn:
                held = [(job.id, job.attempt, pk) for job in got]
                told = await complete(conn, [result(*one) for one in held], NOW)
            done.extend(one.id for one in told if one.verdict == "accepted")
            if len(done) == 120:
                over.set()
            await asyncio.sleep(0)

    async def watcher() -> None:
        while not over.is_set():
            async with engine.connect() as conn:
                assert await let_in(conn, shop.key) <= most
            await sweep.one_round(engine, NOW + SECOND)

    async with asyncio.timeout(60):
        await asyncio.gather(*(submitter() for _ in range(4)), worker("a" * 64), worker("b" * 64), watcher())
    async with engine.connect() as conn:
        assert await faults_in(conn) == []


@pytest.mark.parametrize("state", ["as it was", "analysed with one row", "analysed when full"])
async def test_a_key_at_its_cap_with_a_long_queue_is_in_nobodys_way(engine: Engine, state: str) -> None:
    greedy, modest = await open_shop(engine), await open_shop(engine)
    async with alone(engine) as conn:
        if state == "analysed with one row":
            await fill(greedy, 1)
            await conn.execute(text("VACUUM ANALYZE jobs"))
            await conn.execute(text("DELETE FROM jobs"))
    modest = msgspec.structs.replace(modest, kind=greedy.kind)
    values = {"account": greedy.account, "key": greedy.key, "kind": greedy.kind.id, "many": 20_000, "day": NOW.date()}
    parking = FILL.text.replace("state,", "parked, at_once, state,").replace("'pending',", "true, 2, 'pending',")
    async with engine.begin() as conn:
        await conn.execute(text(parking), values | {"now": NOW, "late": NOW + timedelta(days=1)})
        if state == "analysed when full":
            await conn.execute(text("ANALYZE jobs"))
    (mine,) = await modest.submit(modest.job(NOW + SECOND))
    async with engine.connect() as conn:
        plan = await nodes(conn, jobs.CLAIM, jobs.claim_values([Ask(kind_id=greedy.kind.id, limit=8)], NOW + SECOND))
        assert await kinds.counts(conn) == {greedy.kind.id: 1}
    assert read(plan) <= 2
    assert await ready(modest, NOW + SECOND) == [mine]
    async with engine.begin() as conn:
        await parked.lock(conn, [greedy.key])
        assert read(await nodes(conn, parked.PROMOTE, parked._keys.bind([(greedy.key,)]) | {"now": NOW})) <= 12
    async with engine.connect() as conn:
        assert await let_in(conn, greedy.key) == 2


def read(plan: list[dict[str, Any]]) -> float:
    """How many jobs a plan has read."""
    scans = [node for node in plan if node.get("Relation Name") == "jobs" and node["Node Type"].endswith("Scan")]
    return float(sum(node["Actual Rows"] * node["Actual Loops"] for node in scans))


async def test_kinds_of_which_all_is_parked_do_not_wait(engine: Engine) -> None:
    shop = await open_shop(engine)
    async with engine.begin() as conn:
        other = await kinds.intern(conn, KindSpec(model=f"other-{shop.account}", context=2048))
    await shop.submit(capped(shop, 1), capped(shop, 1, NOW + SECOND, kind_id=other.id))
    async with engine.connect() as conn:
        assert list(await kinds.first(conn)) == [shop.kind.id]
