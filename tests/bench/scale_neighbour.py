"""A neighbour's chat beside a batch of 100 000 jobs of its kind and its lane: how many of those are given away first."""

import time
from datetime import UTC, datetime
from uuid import UUID

from coordinator.queue import moves
from coordinator.queue.floors import Floors
from coordinator.queue.limits import LEASE
from coordinator.queue.order import TOKEN, Flow, Order, Pool
from coordinator.store.rows import Ask, Assignment
from tests.bench.figure import Figure, percentile
from tests.bench.scale_claims import CELL, MS, Queue

JOBS, CHATS, TOKENS = 100_000, 100, 300
BATCH, CHAT = Flow(UUID(int=1), "interactive"), Flow(UUID(int=2), "interactive")
POOL = Pool("m1", "", 1)


async def neighbour(queue: Queue) -> list[Figure]:
    """One slot after the other gets free, and a chat comes after every three jobs."""
    order, floors, ask, now = Order(), Floors(), Ask(kind_id=min(queue.models), limit=1), datetime.now(UTC)
    starts = [order.start(BATCH, POOL, TOKENS, 1, now) for _ in range(JOBS)]
    await queue.empty()
    await queue.workers(1)
    await queue.fill(JOBS, kinds=1, at=starts[0] - TOKENS * TOKEN, step=TOKENS * TOKEN)
    before, took = [], []
    for _ in range(CHATS):
        for _ in range(3):
            await _give(queue, order, floors, ask)
        chat = order.start(CHAT, POOL, TOKENS, 1, datetime.now(UTC))
        began = time.perf_counter()
        await queue.fill(1, kinds=1, at=chat, step=0)
        floors.put(ask.kind_id, chat)
        given = [await _give(queue, order, floors, ask)]
        while chat not in given:
            given.append(await _give(queue, order, floors, ask))
        before.append(len(given) - 1)
        took.append((time.perf_counter() - began) * MS)
    return [
        Figure(f"a chat beside {JOBS} jobs of another account: jobs that go first, most", max(before), "jobs", 1),
        Figure("the same: from its submission to its worker, p99", percentile(took, 99), "ms"),
    ]


async def _give(queue: Queue, order: Order, floors: Floors, ask: Ask) -> int:
    """Gives the first job to the slot that has become free; where it stood."""
    now = datetime.now(UTC)
    asked = floors.over([ask])
    async with queue.engine.begin() as conn:
        (job,) = await moves.claim(conn, asked, now)
        gift = Assignment(id=job.id, attempt_before=job.attempt, worker_pk="w1", cell=CELL, price=1)
        moved = await moves.assign(conn, [gift], coordinator="c", now=now, lease_until=now + LEASE)
    floors.claimed(asked, [job], moved)
    order.given(job.tag)
    return job.tag
