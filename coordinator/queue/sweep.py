"""Repairs what a crash or a silence leaves behind: lost leases, jobs out of time, readers gone, old data."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from coordinator.queue import moves
from coordinator.queue.limits import IDEMPOTENCY
from coordinator.store import ended, idempotency, jobs, partitions
from coordinator.store.changes import Live
from coordinator.store.engine import Engine

BATCH: Final = 500


class Swept(msgspec.Struct, frozen=True):
    """What one round found: `lost` leases (their jobs wait again or failed), `expired` and `orphaned` jobs, `purged`
    results; `more` says that there is more of it now."""

    lost: int
    expired: int
    orphaned: int
    purged: int
    more: bool


class Verdict(StrEnum):
    """Why the sweep takes a job."""

    EXPIRED = "expired"
    ORPHANED = "orphaned"
    LOST = "lost"


def verdict(job: Live, now: datetime) -> Verdict | None:
    """What to do with a job now; a job whose time is over is not given to another worker first."""
    if job.due_at <= now:
        return Verdict.EXPIRED
    if job.reader_until is not None and job.reader_until <= now:
        return Verdict.ORPHANED
    if job.lease_until is not None and job.lease_until <= now:
        return Verdict.LOST
    return None


async def one_round(engine: Engine, now: datetime) -> Swept:
    """Sweeps once, up to BATCH rows of each sort; any number of coordinators may do so at once."""
    async with engine.begin() as conn:
        due = await jobs.due(conn, now, BATCH)
        found = {v: [job for job in due if verdict(job, now) is v] for v in Verdict}
        await moves.repair(conn, found[Verdict.EXPIRED], found[Verdict.ORPHANED], found[Verdict.LOST], now)
    async with engine.begin() as conn:
        purged = await ended.purge(conn, now, BATCH)
        forgotten = await idempotency.forget(conn, now - IDEMPOTENCY, BATCH)
    async with engine.begin() as conn:
        await partitions.make_partitions(conn, now.astimezone(UTC).date())
    more = BATCH in (len(due), purged, forgotten)
    lost, expired, orphaned = (len(found[v]) for v in (Verdict.LOST, Verdict.EXPIRED, Verdict.ORPHANED))
    return Swept(lost, expired, orphaned, purged, more)
