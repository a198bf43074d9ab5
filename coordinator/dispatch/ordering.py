"""The order of the queue, between the coordinators: what each has to know of the others is in the database, and looked up once
a second."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from coordinator.queue.order import Flow, Lane, Order, Pool, start_of
from coordinator.queue.over import Over
from coordinator.store import clocks
from coordinator.store.engine import alone
from coordinator.store.rows import Claimed, Kind, NewJob

if TYPE_CHECKING:
    from coordinator.dispatch.state import Dispatch


async def look(d: "Dispatch") -> None:
    """Looks which kinds of jobs wait at all, whoever submitted them, and how far the other coordinators have come. Raises
    Away."""
    now, order = d.clock(), d.hub.order
    flows = order.take_newest()
    d.hub.floors.began()
    async with alone(d.engine) as conn:
        if order.take_moved():
            await clocks.tell(conn, d.name, order.virtual, now)
        furthest = await clocks.furthest(conn)
        asked = await clocks.asked(conn, ((flow.account, flow.lane) for flow in flows)) if flows else []
        first = await d.kinds.first(conn)
    for one in asked:
        order.asked(Flow(one.account_id, one.lane), start_of(one.tag, one.lane), one.tokens)
    order.told(furthest, ((_pool(kind), start_of(tag, lane)) for kind, tag, lane in first), now)
    d.hub.seen({kind.id: tag for kind, tag, _ in first}, (kind for kind, *_ in first))


def placed(order: Order, jobs: Iterable[tuple[NewJob, Kind]], share: int) -> tuple[NewJob, ...]:
    """The jobs of one caller, each with its place in the queue."""
    return tuple(msgspec.structs.replace(job, start=_start(order, job, kind, share)) for job, kind in jobs)


def withdrawn(order: Order, jobs: Iterable[tuple[NewJob, Kind]]) -> None:
    """These were given places and were not made."""
    for job, kind in jobs:
        order.withdraw(_flow(job), _pool(kind), _tokens(job))


def given(order: Order, jobs: Iterable[Claimed]) -> None:
    """Workers got these."""
    for job in jobs:
        order.given(start_of(job.tag, job.priority))


def over(d: "Dispatch", ended: Iterable[Over]) -> None:
    """These have ended: what they did not use of what they were given places for counts no more, for those that come next."""
    for one in ended:
        kind, job = d.kinds.of(one.job.kind_id), one.job
        if kind is not None:
            unused = job.max_tokens - one.end.tokens_out + (0 if job.attempt else job.tokens_in)
            d.hub.order.unused(Flow(job.account_id, job.priority), _pool(kind), max(0, unused))


def _start(order: Order, job: NewJob, kind: Kind, share: int) -> int:
    return order.start(_flow(job), _pool(kind), _tokens(job), share, job.created_at)


def _flow(job: NewJob) -> Flow:
    lane: Lane = job.priority
    return Flow(job.account_id, lane)


def _pool(kind: Kind) -> Pool:
    return Pool(kind.model, kind.region, kind.cell)


def _tokens(job: NewJob) -> int:
    """What a job may take of a worker: its prompt and the most that it may make."""
    return job.tokens_in + job.max_tokens
