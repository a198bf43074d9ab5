"""The only code that moves a job. Each move is made of statements inside the caller's transaction, believes what it is
told (attempt, worker) only if the row says so too, and takes its effects on money with it.

Moves that belong together go into one `apply`: it locks every job first and touches the hot rows of money once and last,
so that no two transactions wait for each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from coordinator.queue import ending
from coordinator.queue.lifecycle import Event, State, after
from coordinator.queue.limits import DECLINED, HANDED
from coordinator.queue.over import Ends, Over
from coordinator.settle.partial import NOTHING, Delivered
from coordinator.store import ended, jobs, shares
from coordinator.store.changes import Live, Requeue
from coordinator.store.engine import Connection
from coordinator.store.jobs import assign, claim
from coordinator.store.rows import Ask, Assignment, Claimed, Outcome, Result
from shared.receipt import ShareReceipt

__all__ = [
    "LEASE_OVER", "Ask", "Assignment", "Cancelled", "Claimed", "Outcome", "Reported", "Reports", "Result", "apply", "assign",
    "cancel", "claim", "renew", "repair",
]  # fmt: skip

LEASE_OVER: Final = "the lease ran out"

Told = tuple[UUID, int, str, str]
"""A job, its attempt, its worker, and a reason."""


class Reports(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of attempts: first tokens, results, workers that went away, offers not accepted, and attempts that
    failed for good (id, attempt, worker, code, message); `delivered` of the jobs that may fail or wait again by it. A worker
    may have taken its attempt to another coordinator: what is told `by` one of an attempt that came to nothing is believed
    only while the job is its own. `made` are the ids that went out of jobs whose workers were lost."""

    by: str | None = None
    started: Sequence[tuple[UUID, int, str]] = ()
    finished: Sequence[Result] = ()
    lost: Sequence[Told] = ()
    declined: Sequence[Told] = ()
    failed: Sequence[tuple[UUID, int, str, str, str]] = ()
    delivered: Delivered = NOTHING
    made: Mapping[UUID, bytes] = {}


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: one outcome for each result, in their order, the new states of the other jobs that moved, the
    kinds of the parked jobs that were let in, and the jobs that are over."""

    outcomes: list[Outcome]
    states: dict[UUID, State]
    let_in: set[int]
    over: list[Over]


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancelled job was `before`, the kinds of the parked jobs that were let in, and the job that is over."""

    before: Live
    let_in: set[int]
    over: list[Over]


async def apply(conn: Connection, told: Reports, now: datetime) -> Reported:
    """Does all that is told, in this order, each only if it is still believed: of several ends of a job the first holds."""
    live = await jobs.lock(conn, _named(told))
    accepted = _accepted(live, told.finished)
    begun = {started for started in told.started if _believed(live, Event.START, *started)}
    if begun_only := [key for key in begun if key[0] not in accepted]:
        await jobs.start(conn, begun_only, now)
    finished = [told.finished[place] for place in accepted.values()]
    done = [(live.pop(r.id), r, (r.id, r.attempt, r.worker_pk) in begun) for r in finished]
    lost = [(live.pop(i), why) for i, n, w, why in told.lost if _believed(live, Event.LOSE, i, n, w, told.by)]
    states = {job.id: after(job.state, Event.LOSE, job.lost + 1) or job.state for job, _ in lost}
    backs = [
        _back(job, why, now, lost=True, made=told.made.get(job.id))
        for job, why in lost
        if states[job.id] is not State.FAILED
    ]
    part = told.delivered.part
    ends = [
        (job, ending.lost_for_good(job, why, part(job), now)) for job, why in lost if states[job.id] is State.FAILED
    ]
    for i, n, w, why in told.declined:
        if _believed(live, Event.DECLINE, i, n, w, told.by):
            states[i] = State.PENDING
            backs.append(_back(live.pop(i), why, now, lost=False))
    for i, n, w, code, message in told.failed:
        if _believed(live, Event.FAIL, i, n, w, told.by):
            states[i] = State.FAILED
            job = live.pop(i)
            ends.append((job, ending.failed(job, code, message, part(job), now)))
    await jobs.requeue(conn, backs, now)
    await shares.note(conn, _handed_over([job for job, _ in lost], told.delivered))
    ended_ = await ending.complete_all(conn, done, ends, now)
    outcomes = await _outcomes(conn, told.finished, set(accepted.values()))
    return Reported(outcomes=outcomes, states=states, let_in=ended_.let_in, over=ended_.over)


def _accepted(live: dict[UUID, Live], finished: Sequence[Result]) -> dict[UUID, int]:
    """By job the place of the first result that is believed."""
    accepted: dict[UUID, int] = {}
    for place, r in enumerate(finished):
        if r.id not in accepted and _believed(live, Event.COMPLETE, r.id, r.attempt, r.worker_pk):
            accepted[r.id] = place
    return accepted


async def repair(
    conn: Connection,
    expired: Sequence[Live],
    orphaned: Sequence[Live],
    lost: Sequence[Live],
    now: datetime,
    delivered: Delivered = NOTHING,
) -> Ends:
    """Does to jobs that this transaction has locked what the sweep found: their time is over, nobody reads them, or
    their lease ran out."""
    part = delivered.part
    ends = [(job, ending.timed_out(job, part(job), now)) for job in expired]
    ends += [(job, ending.cancelled(job, "nobody reads it any more", part(job), now)) for job in orphaned]
    gone = [job for job in lost if after(job.state, Event.LOSE, job.lost + 1) is State.FAILED]
    ends += [(job, ending.lost_for_good(job, LEASE_OVER, part(job), now)) for job in gone]
    backs = [_adrift(job, now, delivered) for job in lost if job not in gone]
    await jobs.requeue(conn, backs, now)
    await shares.note(conn, _handed_over(lost, delivered))
    return await ending.end_all(conn, ends, now)


def is_adrift(job: Live, delivered: Delivered) -> bool:
    """Whether others may have more words of a job whose lease ran out than are known here."""
    return job.state == State.COMPUTING and delivered.words(job) is None


def _adrift(job: Live, now: datetime, delivered: Delivered) -> Requeue:
    """Whoever reads a job says soon what it has of it: until then it is not begun anew."""
    back = _back(job, LEASE_OVER, now, lost=True, made=delivered.words(job))
    return msgspec.structs.replace(back, ready_at=now + HANDED) if is_adrift(job, delivered) else back


async def cancel(
    conn: Connection, id_: UUID, reason: str, now: datetime, delivered: Delivered = NOTHING
) -> Cancelled | None:
    """Cancels a job, of which so much was `delivered`; None if there is none or it has ended."""
    job = (await jobs.lock(conn, [id_])).get(id_)
    if job is None:
        return None
    done = await ending.end_all(conn, [(job, ending.cancelled(job, reason, delivered.part(job), now))], now)
    return Cancelled(before=job, let_in=done.let_in, over=done.over)


async def renew(
    conn: Connection,
    held: Iterable[tuple[UUID, int]],
    attached: Iterable[UUID],
    *,
    lease_until: datetime,
    reader_until: datetime,
) -> set[UUID]:
    """Prolongs the leases of running attempts and of attached jobs that are read; returns the jobs still held."""
    still = await jobs.renew(conn, held, lease_until)
    await jobs.read_on(conn, attached, reader_until)
    return still


def _handed_over(lost: Iterable[Live], delivered: Delivered) -> list[ShareReceipt]:
    return [share for job in lost if (share := delivered.handed_over(job)) is not None]


def _named(told: Reports) -> set[UUID]:
    ids = {r.id for r in told.finished} | {id_ for id_, *_ in told.started} | {id_ for id_, *_ in told.failed}
    return ids | {id_ for id_, *_ in (*told.lost, *told.declined)}


def _believed(
    live: dict[UUID, Live], event: Event, id_: UUID, attempt: int, worker_pk: str, by: str | None = None
) -> bool:
    job = live.get(id_)
    if job is None or (job.attempt, job.worker_pk) != (attempt, worker_pk) or by not in (None, job.coordinator):
        return False
    return after(job.state, event) is not None


def _back(job: Live, reason: str, now: datetime, *, lost: bool, made: bytes | None = None) -> Requeue:
    assert job.worker_pk is not None, "a held job has a worker"
    return Requeue(
        id=job.id, attempt=job.attempt, lost=lost, worker_pk=job.worker_pk, reason=reason,
        ready_at=now if lost else now + DECLINED, made=made,
    )  # fmt: skip


async def _outcomes(conn: Connection, results: Sequence[Result], accepted: set[int]) -> list[Outcome]:
    """Tells a result that comes twice from one that comes late: only the first was this very attempt's."""
    others = [(r.id, r.attempt, r.worker_pk) for place, r in enumerate(results) if place not in accepted]
    repeats = await ended.completed_by(conn, others) if others else set()
    outcomes = []
    for place, r in enumerate(results):
        missed: Literal["duplicate", "late"] = "duplicate" if (r.id, r.attempt, r.worker_pk) in repeats else "late"
        outcomes.append(Outcome(id=r.id, verdict="accepted" if place in accepted else missed))
    return outcomes
