"""A hold never leaks: whatever becomes of jobs of several accounts and keys, what was held is spent or given back, and what
an unfinished job costs is what was made of it."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy import text

from coordinator.dispatch.channel import WorkerPublic
from coordinator.dispatch.relay import Relay
from coordinator.queue import moves, sweep
from coordinator.queue.lifecycle import TERMINAL, Event, State
from coordinator.queue.limits import DECLINED, LEASE, NO_PROGRESS
from coordinator.settle.partial import Delivered
from coordinator.store import accounts, held, jobs, money, views
from coordinator.store.engine import Engine, alone, connect
from coordinator.store.rows import JobView, NewJob
from coordinator.submit.plans import Limits
from coordinator.submit.price import LEAST, cost
from coordinator.submit.writer import Writer
from shared.catalogue import Entry
from shared.ids import new_job_id
from tests.postgres.made import HOLD, NOW, OTHER, WORKER, Shop, open_shop, result
from tests.support_books import faults_in
from tests.support_postgres import empty

ENTRY = Entry(
    id="m", digest="ab" * 32, path=Path("m.gguf"), context=4096, size_bytes=1000, price_in=100_000_000,
    price_out=900_000_000, owned_by="tests", created=0, quantization="none", architecture="none", licence="none", note="",
)  # fmt: skip
MOST = 40
BUDGET = 3 * HOLD
AT_ONCE = {1: 2, 3: 1}
"""How many jobs the keys of some of the shops may have at once."""
IDLE = text("""
    SELECT key_id FROM jobs WHERE at_once IS NOT NULL GROUP BY key_id
    HAVING count(*) FILTER (WHERE NOT parked) < least(count(*), max(at_once))""")
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*Event, Event.START, Event.START, Event.CANCEL, "sweep", "strange sweep", "strange cancel"]),
        st.integers(0, 7),  # which job, or whose
        st.sampled_from([WORKER, OTHER]),
        st.integers(1, 7),  # tokens, or choices
        st.sampled_from([None, None, 0, 7, HOLD]),  # the reward
    ),
    min_size=12,
    max_size=40,
)
Step = tuple[Event | str, int, str, int, int | None]


async def never(job_id: UUID, reason: str) -> bool:
    raise AssertionError("nobody leaves here")


@dataclass
class World:
    """Two accounts with two keys each, one of them with a budget, and a coordinator's relay, to which workers talk."""

    shops: list[Shop]
    relay: Relay = field(default_factory=lambda: Relay(never))
    jobs: list[NewJob] = field(default_factory=list)
    uncounted: set[UUID] = field(default_factory=set)
    now: datetime = NOW

    @property
    def engine(self) -> Engine:
        return self.shops[0].engine

    async def step(self, what: Event | str, which: int, worker: str, many: int, reward: int | None) -> None:
        self.now += DECLINED
        if isinstance(what, str) and what.startswith("strange"):
            await self.strange(what, which)
        elif what == "sweep":
            self.now += LEASE
            await sweep.one_round(self.engine, self.now, self.delivered)
        elif what is Event.SUBMIT or not self.jobs:
            await self.submit(self.shops[which % len(self.shops)], min(many, 3), reward)
        elif what is Event.ASSIGN:
            await self.assign(worker)
        else:
            assert isinstance(what, Event)
            await self.move(what, self.jobs[which % len(self.jobs)].id, many)

    async def strange(self, what: str, which: int) -> None:
        """Another coordinator, which has relayed nothing, ends jobs: what it ends costs nothing."""
        before = await self.live()
        if what == "strange sweep":
            self.now += LEASE
            await sweep.one_round(self.engine, self.now)
        elif self.jobs:
            async with self.engine.begin() as conn:
                await moves.cancel(conn, self.jobs[which % len(self.jobs)].id, "", self.now)
        self.uncounted |= before - await self.live()

    async def live(self) -> set[UUID]:
        async with self.engine.connect() as conn:
            return set(await held.alive(conn, [job.id for job in self.jobs]))

    async def submit(self, shop: Shop, choices: int, reward: int | None) -> None:
        """One request for so many answers, if its key and its account can pay for them."""
        parent = new_job_id(self.now, secrets.token_bytes(16)) if choices > 1 else None
        made = [
            shop.job(
                self.now, max_tokens=MOST, reward=reward, parent=parent, choice=choice, copy=choice > 0,
                hold=cost(ENTRY, 10, MOST, reward, copy=choice > 0),
                limits=Limits(at_once=AT_ONCE.get(self.shops.index(shop))),
                deadline_at=self.now + (NO_PROGRESS if choices == 2 else timedelta(hours=1)),
            )
            for choice in range(choices)
        ]  # fmt: skip
        async with self.engine.connect() as conn:
            room = await money.read_room(conn, [shop.account], [shop.key])
        hold = sum(job.hold for job in made)
        if hold <= room.accounts[shop.account] and hold <= room.keys.get(shop.key, hold):
            await together(self.engine, made)
            self.jobs += made

    async def assign(self, worker: str) -> None:
        for shop in self.shops:
            for job in await shop.assigned(worker, self.now):
                self.relay.assigned(
                    job.id, job.attempt, WorkerPublic(worker, None, "841e805ffffffff", ["IT"], "seedling")
                )

    async def move(self, what: Event, id_: UUID, many: int) -> None:
        """One move of a job by the worker that has it, if any has."""
        view = await self.view(id_)
        mine = (id_, view.attempts, view.worker_pk or WORKER)
        log = self.relay.channel(id_)
        async with self.engine.begin() as conn:
            match what:
                case Event.START:
                    if await jobs.start(conn, [mine], self.now) or view.status is State.COMPUTING:
                        sent = list(range(min(many, MOST - len(log.ids))))
                        self.relay.tokens(id_, view.attempts, len(log.ids), sent, "x" * len(sent))
                case Event.COMPLETE:
                    own = log.made.own
                    done = result(
                        *mine, cost=self.priced(view, len(log.ids)), tokens_out=len(log.ids), share=(own, len(log.ids))
                    )
                    await self.apply(conn, finished=[done])
                case Event.LOSE:
                    await self.apply(conn, lost=[(*mine, "silent")])
                case Event.DECLINE:
                    await self.apply(conn, declined=[(*mine, "busy")])
                case Event.FAIL:
                    await self.apply(conn, failed=[(*mine, "crashed", "")])
                case Event.EXPIRE:
                    live = await jobs.lock(conn, [id_])
                    await moves.repair(conn, list(live.values()), [], [], self.now, self.delivered([id_]))
                case _:
                    await moves.cancel(conn, id_, "", self.now, self.delivered([id_]))

    async def apply(self, conn: Any, **told: Any) -> None:
        ids = [job.id for job in self.jobs]
        await moves.apply(conn, moves.Reports(**told, delivered=self.delivered(ids)), self.now)

    def delivered(self, ids: Any) -> Delivered:
        return Delivered(self.relay.made(ids), {shop.kind.model: ENTRY for shop in self.shops})

    def priced(self, view: JobView, tokens: int) -> int:
        return cost(ENTRY, view.tokens_in, tokens, view.gns_reward, copy=view.copy)

    async def view(self, id_: UUID) -> JobView:
        async with self.engine.connect() as conn:
            view = await views.get_job(conn, id_)
        assert view is not None
        return view


async def together(engine: Engine, made: list[NewJob]) -> None:
    """Submits the jobs of one request."""
    writer = Writer(engine)
    submitting = asyncio.ensure_future(writer.submit(*made))
    await asyncio.sleep(0)
    await writer.one_round()
    await submitting


async def opened(engine: Engine) -> World:
    """Each account's second key is another shop with the same account."""
    shops = [await open_shop(engine, credit=20 * HOLD) for _ in range(2)]
    for shop in list(shops):
        key = uuid4()
        async with engine.begin() as conn:
            await accounts.create_key(
                conn, key, shop.account, name="second", secret_hash=key.hex, prefix="p", now=NOW, budget=BUDGET
            )
        shops.append(msgspec.structs.replace(shop, key=key))
    return World(shops)


async def walk(url: str, steps: list[Step]) -> None:
    engine = connect(url)
    try:
        async with engine.begin() as conn:
            await empty(conn)
        world = await opened(engine)
        for step in steps:
            await world.step(*step)
            async with alone(engine) as conn:
                assert (await conn.scalars(IDLE)).all() == []
        async with engine.connect() as conn:
            assert await faults_in(conn) == []
        await end_all(world)
    finally:
        await engine.dispose()


async def end_all(world: World) -> None:
    """Ends what has not ended, and looks at every stroop."""
    for job in world.jobs:
        await world.move(Event.CANCEL, job.id, 1)
    for job in world.jobs:
        view = await world.view(job.id)
        made = len(world.relay.channel(job.id).ids)
        assert view.status in TERMINAL
        if view.status is State.COMPLETED:
            assert (view.tokens_generated, view.cost) == (made, world.priced(view, made))
        elif job.id in world.uncounted or not made:
            assert (view.tokens_generated, view.cost) == (0, 0)
        else:
            assert view.tokens_generated == made
            whole = world.priced(view, made)
            assert view.cost == (whole if view.gns_reward is None else view.gns_reward * made // MOST) <= view.hold
            assert view.cost >= LEAST or view.copy or view.gns_reward is not None
    left = text("SELECT sum(held) FROM (SELECT held FROM spend UNION ALL SELECT held FROM key_spend) h")
    async with world.engine.connect() as conn:
        assert await conn.scalar(left) == 0
        assert await faults_in(conn) == []


@pytest.mark.timeout(240)
@settings(max_examples=25)
@given(steps=STEPS)
def test_whatever_becomes_of_jobs_no_hold_is_left_and_every_stroop_is_accounted_for(
    database_url: str, steps: list[Step]
) -> None:
    asyncio.run(walk(database_url, steps))
