"""Claims from a queue of so many jobs of 7 500 kinds, beside a transaction that stays open all the while."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import text

from coordinator.match.assign import asks, assign
from coordinator.match.free import Free
from coordinator.match.roster import Fits
from coordinator.match.score import Bench, Fit
from coordinator.queue import moves
from coordinator.queue.floors import Floors
from coordinator.queue.limits import LEASE
from coordinator.queue.moves import Reports
from coordinator.store import accounts, kinds
from coordinator.store.engine import Engine, alone
from coordinator.store.quick import quick_begin
from coordinator.store.rows import Assignment
from tests.bench.figure import percentile
from tests.postgres.made import HOLD, result

Gift = tuple[UUID, int, str]

MODELS, CELLS, TIERS = 5, 300, 5
FREE = 64
SAY_S = 30
MS = 1000
CELL = "841e805ffffffff"

KINDS = text("""
    INSERT INTO kinds (model, region, cell, strict, min_tier, min_evidence, context)
    SELECT 'm' || m, '', c, false, t, 0, 4096
    FROM generate_series(1, :models) m, generate_series(1, :cells) c, generate_series(1, :tiers) t
""")
# The day is in a job's id, where the coordinator looks for it.
JOBS = text(f"""
    INSERT INTO jobs (day, id, account_id, key_id, kind_id, model, source, priority, state, tag, request, tokens_in,
        max_tokens, hold, seed, salt, store, attached, created_at, ready_at, deadline_at, due_at)
    SELECT CAST(:day AS date), CAST(overlay(CAST(gen_random_uuid() AS text) PLACING
            lpad(to_hex(CAST(:day AS date) - date '1970-01-01'), 4, '0') FROM 10 FOR 4) AS uuid), :account, :key,
        k.ids[1 + n % least(cardinality(k.ids), :kinds)], 'm', 'hive', 'interactive', 'pending',
        CAST(:at AS bigint) + n * :step, repeat('x', 100)::bytea, 10, 100,
        {HOLD}, '7', repeat('0', 64), false, false, :now, :now, :late, :late
    FROM (SELECT array_agg(id ORDER BY min_tier, cell, model) AS ids FROM kinds) k,
        generate_series(CAST(:first AS bigint), :last) n
""")
EMPTY = (
    "TRUNCATE jobs, jobs_ended, attempts, job_events, receipts, journal, payables, worker_sums, worker_days, workers"
)
WORKERS = text("""
    INSERT INTO workers (pk, cell, capabilities, countries, first_seen, last_seen)
    SELECT 'w' || n, 1, '', '{}', :now, :now FROM generate_series(1, :many) n
""")


class Measured(msgspec.Struct, frozen=True):
    """How long each claim took, and each decision what to claim and who gets it, in ms; how many jobs ended in how many
    seconds; how long a look at all kinds took at the end, in ms."""

    claims: list[float]
    decisions: list[float]
    ended: int
    seconds: float
    look: float


class Queue:
    """An account with credit, and the kinds that its jobs are of."""

    def __init__(self, engine: Engine, account: UUID, key: UUID, models: Mapping[int, str], cost: int) -> None:
        self.engine, self.account, self.key, self.models, self.cost = engine, account, key, models, cost
        self._last = 0

    async def fill(self, many: int, *, kinds: int = 10**6, at: int = 0, step: int = 1) -> None:
        """So many jobs more wait, of so many kinds; job n of all stands at `at` + n × `step`."""
        now, first = datetime.now(UTC), self._last + 1
        self._last += many
        values = {"account": self.account, "key": self.key, "now": now, "late": now + timedelta(days=1)}
        async with self.engine.begin() as conn:
            await conn.execute(text("SET LOCAL statement_timeout = 0"))
            await conn.execute(
                JOBS,
                values
                | {"day": now.date(), "first": first, "last": self._last, "kinds": kinds, "at": at, "step": step},
            )
            held = text("UPDATE spend SET credit = credit + :sum, held = held + :sum WHERE account_id = :owner")
            await conn.execute(held, {"sum": many * HOLD, "owner": self.account})
            held = text("UPDATE key_spend SET held = held + :sum WHERE key_id = :owner")
            await conn.execute(held, {"sum": many * HOLD, "owner": self.key})

    async def empty(self) -> None:
        """Nothing waits, and nothing is left of what did."""
        async with self.engine.begin() as conn:
            await conn.execute(text(EMPTY))
            self._last = 0
            await conn.execute(text("UPDATE spend SET held = 0"))
            await conn.execute(text("UPDATE key_spend SET held = 0"))

    async def workers(self, many: int) -> None:
        """So many workers are registered."""
        async with self.engine.begin() as conn:
            await conn.execute(WORKERS, {"now": datetime.now(UTC), "many": many})


@asynccontextmanager
async def idle(engine: Engine) -> AsyncIterator[None]:
    """A transaction that does nothing, and keeps all that is deleted meanwhile."""
    async with engine.connect() as conn:
        await conn.execute(text("SET SESSION idle_in_transaction_session_timeout = 0"))
        await conn.commit()
        await conn.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await conn.execute(text("SELECT pg_current_snapshot()"))
        yield
        await conn.rollback()
        await conn.execute(text("RESET idle_in_transaction_session_timeout"))


async def opened(engine: Engine) -> Queue:
    """A queue without jobs."""
    account, key, now = uuid4(), uuid4(), datetime.now(UTC)
    async with engine.begin() as conn:
        await accounts.create_account(conn, account, "bench", now)
        await accounts.create_key(conn, key, account, name="k", secret_hash=key.hex, prefix="hive_k", now=now)
        await conn.execute(KINDS, {"models": MODELS, "cells": CELLS, "tiers": TIERS})
        models = {row.id: row.model for row in await conn.execute(text("SELECT id, model FROM kinds ORDER BY id"))}
    return Queue(engine, account, key, models, HOLD * 4 // 10)


async def claimed(
    queue: Queue, seconds: float, crew: "Crew", *, top_up: bool, say: Callable[[str], None], complete: bool = True
) -> Measured:
    """Claims, assigns and completes for so long, as a coordinator does: it ends what it gave away while it claims more. With
    `top_up` as many come as end; without `complete` it is left at giving away. It `say`s how far it is."""
    floors = Floors()
    claims: list[float] = []
    decisions: list[float] = []
    ending: asyncio.Queue[list[Gift]] = asyncio.Queue(2)
    ender = asyncio.create_task(_end(queue, ending, top_up=top_up, complete=complete))
    began = time.perf_counter()
    await _look(queue, floors)
    said = looked = time.perf_counter()
    while time.perf_counter() - began < seconds and not ender.done():
        if time.perf_counter() > said + SAY_S:
            said = time.perf_counter()
            say(f"{said - began:.0f} s, {len(claims)} claims, p99 {percentile(claims, 99):.1f} ms")
        if time.perf_counter() > looked + 1:
            took = await _look(queue, floors)
            looked = time.perf_counter() + 20 * took
        given = await _round(queue, crew, floors, claims, decisions)
        if given:
            await ending.put(given)
        else:
            await asyncio.sleep(0)
            if not len(floors.line):
                await _look(queue, floors)
                if not (top_up or len(floors.line)):
                    break  # all of it is given away
    await ending.put([])
    ended = await ender
    seconds = time.perf_counter() - began
    return Measured(claims, decisions, ended, seconds, await _look(queue, floors) * MS)


async def _round(queue: Queue, crew: "Crew", floors: Floors, claims: list[float], decisions: list[float]) -> list[Gift]:
    """What a coordinator's round does, and how long it took to claim and to decide."""
    now, at = datetime.now(UTC), time.perf_counter()
    asked = floors.over(asks(floors.line.in_order, crew.fits, crew.free, {}).asks)
    deciding = time.perf_counter() - at
    async with quick_begin(queue.engine) as conn:
        at = time.perf_counter()
        rows = sorted(await moves.claim(conn, asked, now), key=lambda job: job.tag)
        claims.append((time.perf_counter() - at) * MS)
        at = time.perf_counter()
        pairs = assign(rows, crew.fits, crew.free, now)
        decisions.append((deciding + time.perf_counter() - at) * MS)
        given = [
            Assignment(id=p.job.id, attempt_before=p.job.attempt, worker_pk=p.worker_pk, cell=CELL, price=1)
            for p in pairs
        ]
        moved = await moves.assign(conn, given, coordinator="c", now=now, lease_until=now + LEASE) if given else set()
    floors.claimed(asked, rows, moved)
    found = Counter(row.kind_id for row in rows)
    for ask in asked:
        if found[ask.kind_id] >= ask.limit:
            floors.waits(ask.kind_id, queue.models[ask.kind_id])
    return [(p.job.id, p.job.attempt + 1, p.worker_pk) for p in pairs if p.job.id in moved]


class Crew:
    """So many workers, each with one of the models; FREE slots in all are free, or one of each worker if they are `idle`."""

    def __init__(self, queue: Queue, online: int, *, idle: bool = False) -> None:
        self.online, self.free = online, Free()
        self._models = queue.models
        self._fits = {f"m{number}": Fits() for number in range(1, MODELS + 1)}
        each = 1 if idle else -(-FREE // online)
        for n in range(1, online + 1):
            model = f"m{1 + n % MODELS}"
            self._fits[model].put(f"w{n}", Fit(0, loaded=True, pace=n % 9))
            self.free.put(f"w{n}", Bench(each, 0 if idle or n <= FREE else each, 0), [model])

    def fits(self, kind_id: int) -> Fits:
        """Who may do jobs of this kind."""
        return self._fits[self._models[kind_id]]


async def _look(queue: Queue, floors: Floors) -> float:
    began = time.perf_counter()
    floors.began()
    async with alone(queue.engine) as conn:
        first = await kinds.first(conn)
    floors.seen({kind_id: tag for kind_id, (tag, _) in first.items()})
    for kind_id in first:
        floors.waits(kind_id, queue.models[kind_id])
    return time.perf_counter() - began


async def _end(queue: Queue, given: asyncio.Queue[list[Gift]], *, top_up: bool, complete: bool) -> int:
    """Completes what was given away, until there is no more; how many."""
    ended = 0
    while rows := await given.get():
        if not complete:
            ended += len(rows)
            continue
        done = [result(id_, attempt, worker, cost=queue.cost) for id_, attempt, worker in rows]
        async with quick_begin(queue.engine) as conn:
            reported = await moves.apply(conn, Reports(finished=done), datetime.now(UTC))
        ended += sum(outcome.verdict == "accepted" for outcome in reported.outcomes)
        if top_up:
            await queue.fill(len(rows))
    return ended
