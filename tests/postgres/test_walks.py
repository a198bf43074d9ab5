"""Random walks of moves by workers that believe right or wrong things: the table is kept, and no stroop is lost."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

from coordinator.queue import moves, sweep
from coordinator.queue.lifecycle import TERMINAL, Event, State, after
from coordinator.queue.limits import DECLINED, LEASE
from coordinator.store import jobs, views
from coordinator.store.engine import Engine, alone, connect
from coordinator.store.rows import Assignment
from tests.postgres.made import (
    HOLD,
    NOW,
    OTHER,
    WORKER,
    Shop,
    check_books,
    complete,
    decline,
    expire,
    fail,
    lose,
    open_shop,
    result,
)
from tests.support_postgres import empty

STEPS = st.lists(
    st.tuples(
        st.sampled_from([*Event, "sweep"]),
        st.integers(0, 3),  # which job
        st.sampled_from([0, 0, 0, 0, -1]),  # how far the believed attempt is off
        st.sampled_from([WORKER, WORKER, WORKER, OTHER]),
        st.integers(0, HOLD),  # the cost
    ),
    max_size=30,
)


@dataclass
class Told:
    """What the table says of a job."""

    state: State = State.PENDING
    attempt: int = 0
    lost: int = 0
    spent: int = 0


@dataclass
class Walk:
    """The jobs of one walk and what is believed of them; each step is half a second later, so declined jobs wait again."""

    shop: Shop
    jobs: dict[UUID, Told] = field(default_factory=dict)
    now: datetime = NOW

    async def step(self, event: Event | str, which: int, off: int, worker: str, cost: int) -> None:
        self.now += DECLINED
        if event == "sweep":
            return await self.sweep()
        if event is Event.SUBMIT or not self.jobs:
            (id_,) = await self.shop.submit(self.shop.job(self.now))
            self.jobs[id_] = Told()
            return None
        id_ = list(self.jobs)[which % len(self.jobs)]
        job = self.jobs[id_]
        assert isinstance(event, Event)
        believed = event in {Event.ASSIGN, Event.EXPIRE, Event.CANCEL} or (off == 0 and worker == WORKER)
        await self.move(event, id_, job.attempt + off, worker, cost)
        to = after(job.state, event, job.lost + 1) if believed else None
        if event is Event.ASSIGN:
            for other in self.jobs.values():
                if other.state is State.PENDING:
                    other.state, other.attempt = State.ASSIGNED, other.attempt + 1
        elif to is not None:
            job.spent += cost if to is State.COMPLETED else 0
            job.lost += event is Event.LOSE
            job.state = to
        return None

    async def sweep(self) -> None:
        self.now += LEASE
        await sweep.one_round(self.shop.engine, self.now)
        for job in self.jobs.values():
            to = after(job.state, Event.LOSE, job.lost + 1)
            if to is not None:
                job.state, job.lost = to, job.lost + 1

    async def move(self, event: Event, id_: UUID, attempt: int, worker: str, cost: int) -> None:
        if event is Event.ASSIGN:
            await self.shop.assigned(WORKER, self.now)
            return
        async with self.shop.engine.begin() as conn:
            match event:
                case Event.START:
                    await jobs.start(conn, [(id_, attempt, worker)], self.now)
                case Event.COMPLETE:
                    done = result(id_, attempt, worker, cost=cost, share=(1, 3))
                    await complete(conn, [done, done], self.now)
                case Event.LOSE:
                    await lose(conn, [(id_, attempt, worker, "silent")] * 2, self.now)
                case Event.DECLINE:
                    await decline(conn, [(id_, attempt, worker, "busy")], self.now)
                case Event.FAIL:
                    await fail(conn, [(id_, attempt, worker, "crashed", "")], self.now)
                case Event.EXPIRE:
                    await expire(conn, [id_], self.now)
                case Event.CANCEL:
                    await moves.cancel(conn, id_, "", self.now)
                case _:
                    raise AssertionError(event)


async def walk(url: str, steps: list[tuple[Event | str, int, int, str, int]]) -> None:
    engine = connect(url)
    try:
        async with engine.begin() as conn:
            await empty(conn)  # what is owed to workers is summed over the whole database
        one = Walk(await open_shop(engine))
        for step in steps:
            await one.step(*step)
        async with engine.connect() as conn:
            for id_, told in one.jobs.items():
                view = await views.get_job(conn, id_)
                assert view is not None
                assert (view.status, view.attempts, view.cost) == (told.state, told.attempt, told.spent)
        await check_walk(one)
    finally:
        await engine.dispose()


async def check_walk(one: Walk) -> None:
    account = await check_books(one.shop)
    live = [job for job in one.jobs.values() if job.state not in TERMINAL]
    assert account.held == HOLD * len(live)
    assert account.spent == sum(job.spent for job in one.jobs.values())


@pytest.mark.timeout(240)
@settings(max_examples=30)
@given(steps=STEPS)
def test_random_walks(database_url: str, steps: list[tuple[Event | str, int, int, str, int]]) -> None:
    asyncio.run(walk(database_url, steps))


async def rush(url: str) -> None:
    """Four coordinators claim, assign, start, complete, lose, cancel and sweep the same jobs at once."""
    engine = connect(url)
    async with engine.begin() as conn:
        await empty(conn)
    shop = await open_shop(engine)
    ids = await shop.submit(*(shop.job() for _ in range(60)))
    now = NOW + timedelta(seconds=1)

    async def claimer(worker: str) -> None:
        while got := await shop.assigned(worker, now, most=7):
            held = [(job.id, job.attempt, worker) for job in reversed(got)]
            async with engine.begin() as conn:
                await jobs.start(conn, held[:4], now)
            async with engine.begin() as conn:
                await lose(conn, [(*one, "silent") for one in held[:2]], now)
            async with engine.begin() as conn:
                await complete(conn, [result(*one) for one in held], now)

    async def canceller() -> None:
        for id_ in ids[::5]:
            async with engine.begin() as conn:
                await moves.cancel(conn, id_, "", now)

    async def sweeper() -> None:
        for _ in range(10):
            await sweep.one_round(engine, now + LEASE)

    await asyncio.gather(claimer("a" * 64), claimer("b" * 64), claimer("c" * 64), canceller(), sweeper())
    await sweep.one_round(engine, now + timedelta(hours=25))
    account = await check_books(shop)
    assert account.held == 0
    assert account.spent % 400_000 == 0
    await engine.dispose()


def test_many_coordinators_at_once_leave_the_books_right(database_url: str) -> None:
    asyncio.run(rush(database_url))


async def test_giving_jobs_away_and_reading_on_never_wait_for_each_other(engine: Engine) -> None:
    shop = await open_shop(engine)
    for _ in range(12):
        ids = await shop.submit(*(shop.job(attached=True) for _ in range(40)))
        gifts = [Assignment(id=i, attempt_before=0, worker_pk=WORKER, cell="c", price=1) for i in reversed(ids)]

        async def give(gifts: list[Assignment] = gifts) -> set[UUID]:
            async with alone(engine) as conn:
                return await jobs.assign(conn, gifts, coordinator="c", now=NOW, lease_until=NOW + LEASE)

        async def read(ids: list[UUID] = ids) -> set[UUID]:
            async with alone(engine) as conn:
                return await jobs.read_on(conn, ids, NOW + LEASE)

        moved, on = await asyncio.gather(give(), read())
        assert moved <= on == set(ids)
