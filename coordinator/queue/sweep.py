"""Repairs what a crash or a silence leaves behind: lost leases, jobs out of time, readers gone, old data."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from coordinator.observe import jobs as observed
from coordinator.queue import moves
from coordinator.queue.limits import HANDOVER, IDEMPOTENCY, KEPT
from coordinator.queue.over import Ends
from coordinator.queue.reach import EVER
from coordinator.settle.partial import NOTHING, Delivered
from coordinator.store import cached, ended, idempotency, jobs, parked, partitions
from coordinator.store.changes import Live
from coordinator.store.engine import Engine

BATCH: Final = 500


class Swept(msgspec.Struct, frozen=True):
    """What one round found: `lost` leases (their jobs wait again or failed), `expired` and `orphaned` jobs, `purged`
    results; `more` says that there is more of it now, `again` names the kinds of the jobs that wait again and of
    the parked jobs that were let in, `adrift` are those that wait again of whose words nothing more is known here."""

    lost: int
    expired: int
    orphaned: int
    purged: int
    more: bool
    again: frozenset[int] = frozenset()
    adrift: frozenset[UUID] = frozenset()


class Verdict(StrEnum):
    """Why the sweep takes a job."""

    EXPIRED = "expired"
    ORPHANED = "orphaned"
    LOST = "lost"


def verdict(job: Live, now: datetime, *, ours: bool = False) -> Verdict | None:
    """What to do with a job now; a job whose time is over is not given to another worker first, and unless it is `ours`
    its own coordinator, which is alive while the lease is, may end it: it alone knows what was made of it."""
    theirs = not ours and job.lease_until is not None and job.lease_until > now
    if job.due_at <= now:
        return None if theirs and job.due_at + HANDOVER > now else Verdict.EXPIRED
    if job.reader_until is not None and job.reader_until <= now:
        return None if theirs and job.reader_until + HANDOVER > now else Verdict.ORPHANED
    if job.lease_until is not None and job.lease_until <= now:
        return Verdict.LOST
    return None


def nothing(_: Iterable[UUID]) -> Delivered:
    """What is known of jobs that other coordinators compute."""
    return NOTHING


async def one_round(
    engine: Engine,
    now: datetime,
    delivered: Callable[[Iterable[UUID]], Delivered] = nothing,
    since: datetime = EVER,
) -> Swept:
    """Sweeps once, up to BATCH rows of each sort, of what is due since then; any number of coordinators may do so at once,
    each of which knows what it has `delivered` of jobs."""
    async with engine.begin() as conn:
        due = await jobs.due(conn, since, now, BATCH)
        told = delivered(job.id for job in due)
        verdicts = [(job, verdict(job, now, ours=told.is_ours(job.id))) for job in due]
        found = {v: [job for job, said in verdicts if said is v] for v in Verdict}
        ends = await moves.repair(conn, found[Verdict.EXPIRED], found[Verdict.ORPHANED], found[Verdict.LOST], now, told)
    _tell(found[Verdict.LOST], ends)
    async with engine.begin() as conn:
        purged = await ended.purge(conn, now, BATCH)
        forgotten = await idempotency.forget(conn, now - IDEMPOTENCY, BATCH)
        outdated = await cached.forget(conn, now - KEPT, BATCH)
        idle = await parked.idle(conn, BATCH)
    let_in = ends.let_in | await _let_in(engine, idle, now)
    async with engine.begin() as conn:
        await partitions.make_partitions(conn, now.astimezone(UTC).date())
    more = BATCH in (len(due), purged, forgotten, outdated, len(idle))
    lost, expired, orphaned = (len(found[v]) for v in (Verdict.LOST, Verdict.EXPIRED, Verdict.ORPHANED))
    over = {one.job.id for one in ends.over}
    back = [job for job in found[Verdict.LOST] if job.id not in over]
    adrift = frozenset(job.id for job in back if moves.is_adrift(job, told))
    again = frozenset(let_in | {job.kind_id for job in back})
    return Swept(lost, expired, orphaned, purged, more, again, adrift)


def _tell(lost: list[Live], ends: Ends) -> None:
    """What was swept is counted and logged, now that it holds."""
    over = {one.job.id for one in ends.over}
    for job in lost:
        observed.lost(moves.LEASE_OVER, again=job.id not in over)
    observed.tell(ends.over)


async def _let_in(engine: Engine, keys: list[UUID], now: datetime) -> set[int]:
    """Lets in what is parked though its key has room: it was locked when its turn came."""
    if not keys:
        return set()
    async with engine.begin() as conn:
        await parked.lock(conn, keys)
        return await parked.promote(conn, keys, now)
