"""Every move on a real PostgreSQL: what it does, what it believes, and that being second changes nothing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from coordinator.queue import moves
from coordinator.queue.lifecycle import TERMINAL, Event, State, after
from coordinator.queue.limits import DECLINED, LEASE, READER
from coordinator.store import jobs, receipts, views
from coordinator.store.engine import Connection, Engine
from coordinator.store.rows import Ask, Claimed, JobView
from tests.postgres.made import (
    HOLD,
    NOW,
    OTHER,
    WORKER,
    Shop,
    assign_all,
    books,
    check_books,
    complete,
    decline,
    expire,
    fail,
    lose,
    open_shop,
    result,
)

Move = Callable[[Connection, UUID, int, str], Awaitable[object]]


async def _assign(conn: Connection, id_: UUID, attempt: int, worker: str) -> object:
    view = await views.get_job(conn, id_)
    assert view is not None
    claimed = Claimed(
        id=id_, attempt=attempt, kind_id=1, account_id=view.account_id, request=b"", seed="", salt="", hold=0,
        reward=None, tokens_in=0, max_tokens=0, avoid=[], lost=0, since=NOW, deadline_at=NOW, attached=False,
    )  # fmt: skip
    return await assign_all(conn, [claimed], worker, NOW)


MOVES: dict[Event, Move] = {
    Event.ASSIGN: _assign,
    Event.START: lambda conn, i, n, w: jobs.start(conn, [(i, n, w)], NOW),
    Event.COMPLETE: lambda conn, i, n, w: complete(conn, [result(i, n, w)], NOW),
    Event.LOSE: lambda conn, i, n, w: lose(conn, [(i, n, w, "silent")], NOW),
    Event.DECLINE: lambda conn, i, n, w: decline(conn, [(i, n, w, "busy")], NOW),
    Event.FAIL: lambda conn, i, n, w: fail(conn, [(i, n, w, "engine_crashed", "It crashed.")], NOW),
    Event.EXPIRE: lambda conn, i, n, w: expire(conn, [i], NOW),
    Event.CANCEL: lambda conn, i, n, w: moves.cancel(conn, i, "asked", NOW),
}
WAYS = {
    State.PENDING: [],
    State.ASSIGNED: [Event.ASSIGN],
    State.COMPUTING: [Event.ASSIGN, Event.START],
    State.COMPLETED: [Event.ASSIGN, Event.COMPLETE],
    State.FAILED: [Event.ASSIGN, Event.FAIL],
    State.TIMED_OUT: [Event.EXPIRE],
    State.CANCELLED: [Event.CANCEL],
}


async def do(shop: Shop, event: Event, id_: UUID, attempt: int, worker: str = WORKER) -> object:
    async with shop.engine.begin() as conn:
        return await MOVES[event](conn, id_, attempt, worker)


async def seen(shop: Shop, id_: UUID) -> JobView:
    async with shop.engine.connect() as conn:
        view = await views.get_job(conn, id_)
    assert view is not None
    return view


async def job_in(shop: Shop, state: State) -> tuple[UUID, int]:
    """A job in this state, and its attempt."""
    (id_,) = await shop.submit(shop.job())
    attempt = 0
    for event in WAYS[state]:
        await do(shop, event, id_, attempt)
        attempt += event is Event.ASSIGN
    return id_, attempt


@pytest.mark.parametrize("state", State)
async def test_every_state_and_event(engine: Engine, state: State) -> None:
    shop = await open_shop(engine)
    for event in MOVES:
        id_, attempt = await job_in(shop, state)
        before = await seen(shop, id_)
        assert before.status is state
        await do(shop, event, id_, attempt)
        now = await seen(shop, id_)
        assert now.status is (after(state, event) or state), event
        assert now.attempts == attempt + (event is Event.ASSIGN and state is State.PENDING)
        if after(state, event) is None:
            assert now == before
    await check_books(shop)


@pytest.mark.parametrize(("attempt", "worker"), [(2, WORKER), (0, WORKER), (1, OTHER)])
@pytest.mark.parametrize("event", [Event.START, Event.COMPLETE, Event.LOSE, Event.DECLINE, Event.FAIL])
async def test_a_wrong_belief_moves_nothing(engine: Engine, event: Event, attempt: int, worker: str) -> None:
    shop = await open_shop(engine)
    id_, _ = await job_in(shop, State.ASSIGNED)
    before, money = await seen(shop, id_), await books(shop)
    await do(shop, event, id_, attempt, worker)
    assert (await seen(shop, id_), await books(shop)) == (before, money)


async def test_the_way_of_one_job(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    (job,) = await shop.assigned()
    assert (job.id, job.attempt) == (id_, 1)
    async with engine.begin() as conn:
        assert await jobs.start(conn, [(id_, 1, WORKER)], NOW) == {id_}
    done = result(id_, 1, text="hello \0 \ud800 wörld")
    async with engine.begin() as conn:
        assert [o.verdict for o in await complete(conn, [done], NOW)] == ["accepted"]
    async with engine.connect() as conn:
        view = await views.get_job(conn, id_)
        events = await views.job_events(conn, id_)
        signed = await receipts.get_receipt(conn, id_)
    assert view is not None
    assert (view.status, view.result_text, view.settled) == (State.COMPLETED, "hello \0 ? wörld", False)
    assert (view.worker_pk, view.worker_cell, view.attempts, view.cost) == (WORKER, "841e805ffffffff", 1, 400_000)
    assert [e.event for e in events] == ["submit", "assign", "start", "complete"]
    assert signed is not None
    assert (signed.receipt, signed.signatures.coordinator) == (done.receipt, "2" * 128)


async def test_a_completed_job_is_shared_out_to_the_stroop(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned()
    async with engine.begin() as conn:
        await complete(conn, [result(id_, 1, cost=999_999, share=(1, 4))], NOW)
    folded = await books(shop)
    pools = [folded[f"pool:{name}"] for name in ("platform", "resilience", "quorum")]
    assert folded[f"worker:{WORKER}"] == 600_002 // 4
    assert pools == [249_999, 99_999 + 600_002 - 600_002 // 4, 49_999]
    assert (await check_books(shop)).spent == 999_999


async def test_the_second_completer_is_late_and_a_repeat_a_duplicate(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_, _ = await job_in(shop, State.ASSIGNED)
    await do(shop, Event.LOSE, id_, 1)
    await shop.assigned(OTHER)
    good, late = result(id_, 2, OTHER), result(id_, 1, WORKER, text="old", cost=HOLD)
    async with engine.begin() as conn:
        told = await complete(conn, [late, good, good, late], NOW)
    assert [o.verdict for o in told] == ["late", "accepted", "duplicate", "late"]
    before, money = await seen(shop, id_), await books(shop)
    for one, verdict in ((late, "late"), (good, "duplicate"), (result(id_, 2, WORKER), "late")):
        async with engine.begin() as conn:
            assert [o.verdict for o in await complete(conn, [one], NOW)] == [verdict]
    assert (await seen(shop, id_), await books(shop)) == (before, money)
    assert before.worker_pk == OTHER


async def test_a_lost_job_comes_back_and_fails_at_the_third_loss(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    states, avoided = [], []
    for attempt, worker in enumerate((WORKER, OTHER, WORKER), 1):
        (job,) = await shop.assigned(worker)
        assert (job.attempt, job.lost) == (attempt, attempt - 1)
        avoided.append(job.avoid)
        async with engine.begin() as conn:
            states += await lose(conn, [(id_, attempt, worker, "silent")], NOW)
    assert states == [(id_, State.PENDING), (id_, State.PENDING), (id_, State.FAILED)]
    assert avoided == [[], [WORKER], [WORKER, OTHER]]
    view = await seen(shop, id_)
    assert (view.status, view.error_code, view.attempts) == (State.FAILED, "workers_lost", 3)
    assert (await check_books(shop)).held == 0


async def test_a_declined_job_waits_a_moment_and_costs_no_loss(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_, _ = await job_in(shop, State.ASSIGNED)
    await do(shop, Event.DECLINE, id_, 1)
    assert await shop.claimed() == []
    (job,) = await shop.claimed(now=NOW + DECLINED)
    assert (job.attempt, job.lost, job.avoid) == (1, 0, [WORKER])


async def test_claims_go_by_kind_by_age_and_never_twice(engine: Engine) -> None:
    shop, other = await open_shop(engine), await open_shop(engine)
    later = NOW + timedelta(seconds=1)
    batch = shop.job(priority="batch")
    jobs = [shop.job(later), shop.job(NOW), batch, shop.job(NOW - timedelta(minutes=59))]
    await shop.submit(*jobs)
    await other.submit(*(other.job() for _ in range(5)))
    asks = [Ask(kind_id=shop.kind.id, limit=9, min_age_ms=500), Ask(kind_id=other.kind.id, limit=2)]
    async with engine.connect() as first, engine.connect() as second:
        mine = await moves.claim(first, asks, later)
        theirs = await moves.claim(second, asks, later)
    of_kind = [c.id for c in mine if c.kind_id == shop.kind.id]
    assert of_kind == [jobs[3].id, jobs[1].id, batch.id]
    assert len(mine) == 5
    assert len(theirs) == 2
    assert not {c.id for c in mine} & {c.id for c in theirs}


async def test_a_claim_never_starts_what_is_out_of_time(engine: Engine) -> None:
    shop = await open_shop(engine)
    await shop.submit(shop.job(deadline_at=NOW + timedelta(seconds=5)))
    assert len(await shop.claimed(now=NOW + timedelta(seconds=4))) == 1
    assert await shop.claimed(now=NOW + timedelta(seconds=5)) == []


async def test_a_cancelled_job_tells_what_it_was(engine: Engine) -> None:
    shop = await open_shop(engine)
    id_, _ = await job_in(shop, State.COMPUTING)
    async with engine.begin() as conn:
        was = await moves.cancel(conn, id_, "asked", NOW)
        assert await moves.cancel(conn, id_, "asked", NOW) is None
    assert was is not None
    assert (was.before.state, was.before.worker_pk, was.before.attempt) == (State.COMPUTING, WORKER, 1)
    assert (await seen(shop, id_)).status is State.CANCELLED
    assert (await check_books(shop)).held == 0


async def test_leases_are_renewed_for_those_who_hold_them(engine: Engine) -> None:
    shop = await open_shop(engine)
    held, _ = await job_in(shop, State.COMPUTING)
    gone, _ = await job_in(shop, State.FAILED)
    (waiting,) = await shop.submit(shop.job(attached=True))
    until = {"lease_until": NOW + 2 * LEASE, "reader_until": NOW + 2 * READER}
    async with engine.begin() as conn:
        pairs = [(held, 1), (gone, 1), (waiting, 0), (held, 7)]
        assert await moves.renew(conn, pairs, [waiting, gone], **until) == {held}
    async with engine.begin() as conn:
        live = await jobs.lock(conn, [held, waiting])
    assert (live[held].lease_until, live[waiting].reader_until) == (until["lease_until"], until["reader_until"])
    assert live[held].due_at == NOW + LEASE + timedelta(minutes=5)


async def test_terminal_jobs_are_out_of_the_hot_table(engine: Engine) -> None:
    shop = await open_shop(engine)
    ids = [(await job_in(shop, state))[0] for state in TERMINAL]
    async with engine.connect() as conn:
        numbers = await views.status_numbers(conn)
        listed = await views.list_jobs(conn, shop.account, None, 10)
    assert {view.id for view in listed} == set(ids)
    assert (numbers.pending, numbers.assigned, numbers.computing) == (0, 0, 0)
    assert (numbers.completed, numbers.failed, numbers.timed_out, numbers.cancelled) == (1, 1, 1, 1)
    assert (numbers.tokens_in, numbers.tokens_out, numbers.paid) == (10, 3, 0)


async def test_what_is_told_together_is_done_in_one_go(engine: Engine) -> None:
    shop = await open_shop(engine)
    ids = await shop.submit(*(shop.job() for _ in range(6)))
    await shop.assigned()
    done, both, lost, declined, failed, wrong = ids
    async with engine.begin() as conn:
        told = await moves.apply(
            conn,
            moves.Reports(
                started=[(done, 1, WORKER), (failed, 1, WORKER)],
                finished=[result(done, 1), result(both, 1), result(wrong, 2)],
                lost=[(both, 1, WORKER, "silent"), (lost, 1, WORKER, "silent"), (wrong, 1, OTHER, "silent")],
                declined=[(declined, 1, WORKER, "busy"), (lost, 1, WORKER, "busy")],
                failed=[(failed, 1, WORKER, "crashed", "It crashed."), (done, 1, WORKER, "crashed", "")],
            ),
            NOW,
        )
    assert [o.verdict for o in told.outcomes] == ["accepted", "accepted", "late"]
    assert told.states == {lost: State.PENDING, declined: State.PENDING, failed: State.FAILED}
    states = [(await seen(shop, id_)).status for id_ in ids]
    assert states == [
        State.COMPLETED, State.COMPLETED, State.PENDING, State.PENDING, State.FAILED, State.ASSIGNED,
    ]  # fmt: skip
    assert (await check_books(shop)).spent == 2 * 400_000
