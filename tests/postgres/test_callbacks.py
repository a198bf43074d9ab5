"""Callbacks in the tables: made with their jobs, due with the jobs' ends, claimed lane by lane, listed, replayed, forgotten."""

import asyncio
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coordinator.outside.schedule import Due, Outcome
from coordinator.queue import moves
from coordinator.store import callbacks
from coordinator.store.callbacks import FIRST_LANE, STATES, CallbackRow, Lane
from coordinator.store.engine import Engine
from coordinator.store.rows import NewJob
from coordinator.submit.callback import Callback
from coordinator.submit.writer import LATE, Writer
from shared.errors import Forbidden
from shared.ids import new_job_id
from tests.postgres.made import FORGET, HOLD, NOW, WORKER, Shop, check_books, complete, expire, fail, open_shop, result
from tests.postgres.test_plans import nodes

URL = "https://hooks.example/done"
UNTIL = NOW + timedelta(minutes=1)
DELIVERED = Outcome("delivered", NOW, 204, None)


def called_back(shop: Shop, host: str = "hooks.example", **different: Any) -> NewJob:
    return shop.job(callback=Callback(f"https://{host}/done", host, "hive"), **different)


async def due(
    engine: Engine, after: Lane = FIRST_LANE, now: datetime = NOW, lanes: int = 100, each: int = 8
) -> tuple[list[Due], Lane | None]:
    """What is to be sent now, without keeping the locks."""
    async with engine.begin() as conn:
        return await callbacks.due(conn, after, now, lanes=lanes, each=each)


async def look(engine: Engine, id_: UUID) -> CallbackRow:
    async with engine.begin() as conn:
        row = await callbacks.get(conn, id_)
    assert row is not None
    return row


async def ended(engine: Engine, *ids: UUID, now: datetime = NOW) -> None:
    """The callers cancelled these jobs."""
    async with engine.begin() as conn:
        for id_ in ids:
            assert await moves.cancel(conn, id_, "enough", now) is not None


async def sent(engine: Engine, one: Due, came: Outcome, now: datetime = NOW) -> bool:
    async with engine.begin() as conn:
        await callbacks.claim(conn, [one.id], UNTIL)
        return await callbacks.record(conn, one.id, one.calls + 1, came, now)


async def fill(engine: Engine, account: UUID, host: str, many: int, due_at: datetime) -> None:
    async with engine.begin() as conn:
        await conn.execute(
            text("""
            INSERT INTO callbacks (id, account_id, host, url, shape, state, jobs_left, created_at, due_at)
            SELECT gen_random_uuid(), :account, :host, 'https://' || CAST(:host AS text), 'hive', 'waiting', 0, :now, :due
            FROM generate_series(1, :many)"""),
            {"account": account, "host": host, "many": many, "now": NOW, "due": due_at},
        )


async def test_a_callback_is_made_with_its_job_or_not_at_all(engine: Engine) -> None:
    shop = await open_shop(engine, credit=HOLD)
    job, plain = called_back(shop), shop.job(hold=0)
    await shop.submit(job, plain)
    row = await look(engine, job.id)
    assert (row.account_id, row.url, row.state, row.ended, row.calls) == (shop.account, URL, "waiting", False, 0)
    assert row.due_at == job.deadline_at + LATE
    refused = called_back(shop)
    with pytest.raises(Forbidden):
        await shop.submit(refused)
    async with engine.begin() as conn:
        assert await callbacks.get(conn, plain.id) is None
        assert await callbacks.get(conn, refused.id) is None
        flags = await conn.execute(text("SELECT id, callback FROM jobs WHERE account_id = :id"), {"id": shop.account})
        assert {row.id: row.callback for row in flags} == {job.id: True, plain.id: False}


async def test_a_repeated_submission_calls_back_once(engine: Engine) -> None:
    shop = await open_shop(engine)
    first, again = (called_back(shop, idempotency_key="k") for _ in range(2))
    assert await shop.submit(first) == await shop.submit(again) == [first.id]
    async with engine.begin() as conn:
        assert await callbacks.get(conn, again.id) is None


async def test_a_callback_is_due_when_its_job_has_ended_and_without_a_word_when_it_must_have(engine: Engine) -> None:
    shop = await open_shop(engine)
    job = called_back(shop)
    await shop.submit(job)
    assert (await due(engine, now=NOW + timedelta(hours=24)))[0] == []
    (one,) = (await due(engine, now=job.deadline_at + LATE))[0]
    await ended(engine, job.id)
    assert (await due(engine))[0] == [one]
    assert (one.id, one.host, one.tries, one.generation, one.rotated_at) == (job.id, "hooks.example", 0, 1, None)


async def test_a_parents_callback_is_due_with_the_last_of_its_jobs(engine: Engine) -> None:
    shop = await open_shop(engine)
    parent = new_job_id(NOW, secrets.token_bytes(16))
    children = [called_back(shop, parent=parent, choice=n) for n in range(3)]
    writer = Writer(engine)
    submitting = asyncio.ensure_future(writer.submit(*children))
    await asyncio.sleep(0)
    await writer.one_round()
    assert await submitting == parent
    await ended(engine, children[2].id, children[0].id)
    assert not (await look(engine, parent)).ended
    assert (await due(engine))[0] == []
    await ended(engine, children[1].id)
    assert [one.id for one in (await due(engine))[0]] == [parent]


async def test_whatever_ends_a_job_its_callback_is_due_in_that_transaction(engine: Engine) -> None:
    shop = await open_shop(engine)
    jobs = [called_back(shop) for _ in range(4)]
    await shop.submit(*jobs, shop.job())
    held = {row.id: row for row in await shop.assigned()}
    completed, failed, expired, rolled_back = (held[job.id] for job in jobs)
    async with engine.begin() as conn:
        await complete(conn, [result(completed.id, completed.attempt)], NOW)
        await fail(conn, [(failed.id, failed.attempt, WORKER, "engine_error", "It broke.")], NOW)
        await expire(conn, [expired.id], NOW)
    async with engine.connect() as conn:
        await complete(conn, [result(rolled_back.id, rolled_back.attempt)], NOW)
        await conn.rollback()
    assert {one.id for one in (await due(engine))[0]} == {completed.id, failed.id, expired.id}
    async with engine.begin() as conn:
        await complete(conn, [result(completed.id, completed.attempt)], NOW)
        await complete(conn, [result(rolled_back.id, rolled_back.attempt)], NOW)
    assert len((await due(engine))[0]) == 4
    await check_books(shop)


async def test_what_is_claimed_is_due_again_when_nobody_tells_how_it_went(engine: Engine) -> None:
    shop = await open_shop(engine)
    await shop.submit(job := called_back(shop))
    await ended(engine, job.id)
    ((one,), _) = await due(engine)
    async with engine.begin() as conn:
        await callbacks.claim(conn, [one.id], UNTIL)
    assert (await due(engine))[0] == []
    ((again,), _) = await due(engine, now=UNTIL)
    assert (again.tries, again.calls) == (1, 1)
    async with engine.begin() as conn:
        await callbacks.claim(conn, [again.id], UNTIL + timedelta(minutes=1))
        assert not await callbacks.record(conn, one.id, one.calls + 1, DELIVERED, NOW), "it was claimed again since"
        assert await callbacks.record(conn, again.id, again.calls + 1, DELIVERED, NOW)
        assert not await callbacks.record(conn, again.id, again.calls + 1, DELIVERED, NOW), "it is over"
    assert (await look(engine, job.id)).state == "delivered"


async def test_two_coordinators_never_claim_the_same(engine: Engine) -> None:
    shop = await open_shop(engine)
    await fill(engine, shop.account, "hooks.example", 5, NOW)
    async with engine.begin() as one, engine.begin() as other:
        first, _ = await callbacks.due(one, FIRST_LANE, NOW, lanes=10, each=3)
        second, _ = await callbacks.due(other, FIRST_LANE, NOW, lanes=10, each=3)
    assert (len(first), len(second)) == (3, 2)
    assert not {row.id for row in first} & {row.id for row in second}


async def test_lanes_take_turns_whatever_waits_in_them(engine: Engine) -> None:
    shops = [await open_shop(engine) for _ in range(3)]
    for shop in shops:
        await fill(engine, shop.account, "a.example", 20, NOW)
        await fill(engine, shop.account, "b.example", 1, NOW + timedelta(hours=1))
        await fill(engine, shop.account, "c.example", 1, NOW)
    seen: list[tuple[UUID, str]] = []
    lane: Lane | None = FIRST_LANE
    while lane is not None:
        found, lane = await due(engine, after=lane, lanes=2, each=2)
        seen += [(one.account_id, one.host) for one in found]
    wanted = [(shop.account, host) for shop in shops for host in ("a.example", "a.example", "c.example")]
    assert seen == sorted(wanted)


async def test_a_lane_is_read_no_further_than_it_is_taken_from(engine: Engine) -> None:
    shop = await open_shop(engine)
    await fill(engine, shop.account, "a.example", 5_000, NOW)
    await fill(engine, shop.account, "b.example", 5_000, NOW + timedelta(hours=1))
    async with engine.begin() as conn:
        await conn.execute(text(FORGET))
    values = {"account_id": FIRST_LANE[0], "host": FIRST_LANE[1], "now": NOW, "lanes": 100, "each": 8}
    for analysed in (False, True):
        async with engine.begin() as conn:
            if analysed:
                await conn.execute(text("ANALYZE callbacks"))
            plan = await nodes(conn, callbacks.DUE, values)
        scans = [node for node in plan if node.get("Relation Name") == "callbacks"]
        assert {node.get("Index Name") for node in scans} == {"callbacks_lanes"}
        assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) <= 2 + 8
        assert not [node for node in scans if node.get("Rows Removed by Filter", 0) > 2]


async def test_an_accounts_list_and_everybodys(engine: Engine) -> None:
    shop, other = await open_shop(engine), await open_shop(engine)
    mine = [called_back(shop, now=NOW + timedelta(seconds=n)) for n in range(4)]
    await shop.submit(*mine)
    await other.submit(called_back(other))
    await ended(engine, *(job.id for job in mine))
    found = {one.id: one for one in (await due(engine))[0]}
    dead = Outcome("dead", NOW, 500, "answers with status 500")
    assert await sent(engine, found[mine[0].id], DELIVERED)
    assert await sent(engine, found[mine[1].id], dead)
    newest_first = [job.id for job in reversed(mine)]
    async with engine.begin() as conn:
        page = await callbacks.page(conn, shop.account, STATES, None, 3)
        assert [row.id for row in page] == newest_first[:3]
        rest = await callbacks.page(conn, shop.account, STATES, (page[-1].created_at, page[-1].id), 3)
        assert [row.id for row in rest] == newest_first[3:]
        (row,) = await callbacks.page(conn, shop.account, ["dead"], None, 3)
        assert (row.id, row.last_status, row.last_reason, row.last_at) == (mine[1].id, 500, dead.reason, NOW)
        assert len(await callbacks.page(conn, None, STATES, None, 10)) == 5
        assert len(await callbacks.page(conn, uuid4(), STATES, None, 10)) == 0


async def test_a_replay_starts_anew_once_the_job_has_ended(engine: Engine) -> None:
    shop = await open_shop(engine)
    await shop.submit(job := called_back(shop))
    async with engine.begin() as conn:
        assert not await callbacks.replay(conn, job.id, NOW), "there is nothing to tell yet"
    await ended(engine, job.id)
    ((one,), _) = await due(engine)
    assert await sent(engine, one, Outcome("dead", NOW, None, "has no public address"))
    assert (await due(engine))[0] == []
    async with engine.begin() as conn:
        assert await callbacks.replay(conn, job.id, NOW)
    ((again,), _) = await due(engine)
    assert (again.tries, again.calls) == (0, 1)
    assert await sent(engine, again, DELIVERED)
    assert (await look(engine, job.id)).calls == 2


async def test_what_has_been_over_for_long_is_forgotten(engine: Engine) -> None:
    shop = await open_shop(engine)
    jobs = [called_back(shop) for _ in range(3)]
    await shop.submit(*jobs)
    await ended(engine, jobs[0].id, jobs[1].id)
    for one, at in zip((await due(engine))[0], (NOW - timedelta(days=31), NOW), strict=True):
        await sent(engine, one, DELIVERED, at)
    async with engine.begin() as conn:
        assert await callbacks.forget(conn, NOW - timedelta(days=30), 10) == 1
        assert len(await callbacks.page(conn, shop.account, STATES, None, 10)) == 2


async def test_a_secret_is_the_first_until_it_is_rotated(engine: Engine) -> None:
    shop = await open_shop(engine)
    async with engine.begin() as conn:
        first = await callbacks.secret(conn, shop.account)
        second = await callbacks.rotate(conn, shop.account, NOW)
        third = await callbacks.rotate(conn, shop.account, UNTIL)
        assert await callbacks.secret(conn, shop.account) == third
    assert [(row.generation, row.rotated_at) for row in (first, second, third)] == [(1, None), (2, NOW), (3, UNTIL)]
    await shop.submit(job := called_back(shop))
    await ended(engine, job.id)
    ((one,), _) = await due(engine)
    assert (one.generation, one.rotated_at) == (3, UNTIL)
