"""What goes wrong in silence: workers and attempts without a sign of life, leases to renew, ends that others made."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from coordinator.dispatch import memory, register
from coordinator.dispatch.attempts import Attempt, Stage
from coordinator.dispatch.carried import hand_on, packed
from coordinator.dispatch.ending import announce, stop
from coordinator.dispatch.offer import in_ms
from coordinator.dispatch.reports import Lost
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import LEASE_MS, QUIET_MS, SILENCE_MS, Dispatch
from coordinator.dispatch.waiting import wait_at_most
from coordinator.queue import moves
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import LEASE, READER
from coordinator.store import held
from coordinator.store.engine import Away, alone
from shared.protocol.messages import Cancel, CloseCode

GRACE_MS: Final = 500
"""How long the worker of a job that somebody reads may be gone before the job is given to another."""

LOOK_S: Final = 1.0
RENEW_EVERY: Final = timedelta(seconds=10)

log = structlog.get_logger()


async def run(d: Dispatch) -> None:
    """Watches for ever: sessions and attempts as soon as something is due, and beside that, for it may take long, the
    database."""
    async with asyncio.TaskGroup() as loops:
        loops.create_task(_watching(d))
        loops.create_task(_looking(d))


async def _watching(d: Dispatch) -> None:
    while True:
        due = one_round(d, d.now_ms())
        await wait_at_most(d.watch, min(LOOK_S, max(0.0, (due - d.now_ms()) / 1000)))


async def _looking(d: Dispatch) -> None:
    renewed_at = None
    while True:
        now = d.clock()
        try:
            await register.depart(d)
            await look(d)
            if renewed_at is None or now - renewed_at >= RENEW_EVERY:
                await renew(d)
                renewed_at = now
        except Away:
            log.warning("the database is away: leases are not renewed")
        await asyncio.sleep(LOOK_S)


def one_round(d: Dispatch, now: int) -> int:
    """Ends silent sessions and loses attempts whose time is over; returns when (ms) the next may be due."""
    d.watch.clear()
    due = now + SILENCE_MS
    for session in list(d.hub.sessions.values()):
        if session.heard_at + SILENCE_MS <= now:
            _without_progress(d, session, now)
            _silent(d, session, now)
        elif session.heard_at + SILENCE_MS < due:
            due = session.heard_at + SILENCE_MS
    for attempt in d.hub.attempts.everything():
        if attempt.stage is not Stage.OVER:
            session_ = d.hub.session_of(attempt.body.worker_pk)
            if session_ is not None and _missed_at(d, attempt, session_) <= now:
                _silent(d, session_, now)
            at = _due(d, attempt, session_)
            if at <= now:
                _lose(d, attempt)
            else:
                due = min(due, at)
    return due


def _without_progress(d: Dispatch, session: Session, now: int) -> None:
    """Loses what a silent worker has made nothing of for as long: it is no dropped socket, whose lease is waited for."""
    for attempt in d.hub.attempts.of_worker(session.pk):
        if attempt.stage is not Stage.OVER and attempt.progress_at + SILENCE_MS <= now:
            _lose(d, attempt)


def _silent(d: Dispatch, session: Session, now: int) -> None:
    session.close(CloseCode.SILENT, f"no heartbeat for {(now - session.heard_at) // 1000} s")
    gone(d, session, now)


def _missed_at(d: Dispatch, attempt: Attempt, session: Session) -> int:
    """When (ms) an attempt's worker is taken for gone, if it says nothing before: a client that reads does not wait until a
    second heartbeat is missed."""
    wanted = attempt.dropped_at is None and d.relay.is_wanted(attempt.job_id)
    return session.heard_at + (QUIET_MS if wanted else SILENCE_MS)


def gone(d: Dispatch, session: Session, now: int) -> None:
    """The session is over at `now` (ms): unless a newer one took its place, the grace of what it holds begins."""
    if d.hub.leave(session):
        memory.left(d, session)
        for attempt in d.hub.attempts.of_worker(session.pk):
            attempt.dropped_at = now
            d.watch.set()


async def renew(d: Dispatch) -> None:
    """Prolongs the leases of what is computed and read here; what is no longer held is stopped. Raises Away."""
    now = d.clock()
    current = [attempt for attempt in d.hub.attempts.everything() if attempt.dropped_at is None]
    attached, _ = d.relay.followed()
    async with alone(d.engine) as conn:  # one statement by one: both together would lock jobs in no order
        still = await moves.renew(
            conn, [attempt.key[:2] for attempt in current], attached, lease_until=now + LEASE, reader_until=now + READER
        )
    for attempt in current:
        if attempt.job_id in still:
            attempt.lease_until = in_ms(now) + LEASE_MS
        elif attempt.stage is not Stage.OVER:
            _fenced(d, attempt)
    await register.keep(d)
    memory.mended(d)


async def look(d: Dispatch) -> None:
    """Tells readers and workers of jobs that have ended without this process knowing, and forgets their logs; hands on what
    is known of those that lost their workers. Raises Away."""
    attached, others = d.relay.followed()
    attempts = d.hub.attempts.everything()
    over = {attempt.job_id for attempt in attempts if attempt.stage is Stage.OVER}
    known = {*attached, *others, *d.relay.unread(), *(attempt.job_id for attempt in attempts)} - over
    if known:
        async with alone(d.engine) as conn:
            alive = await held.alive(conn, known)
        await announce(d, known - alive.keys())
        d.relay.forget(known - alive.keys())
        adrift = {id_: made for id_, made in alive.items() if made is not None}
        await hand_on(d, [id_ for id_, made in adrift.items() if len(packed(d.relay.ids_of(id_)) or b"") > made])


def _due(d: Dispatch, attempt: Attempt, session: Session | None) -> int:
    """When (ms) an attempt is lost, or its worker is taken for gone, if nothing is heard of it before."""
    if attempt.dropped_at is None:
        lost_at = attempt.progress_at + SILENCE_MS
        return lost_at if session is None else min(lost_at, _missed_at(d, attempt, session))
    return attempt.dropped_at + GRACE_MS if d.relay.is_wanted(attempt.job_id) else attempt.lease_until


def _lose(d: Dispatch, attempt: Attempt) -> None:
    session = d.hub.session_of(attempt.body.worker_pk)
    reason = "no progress for 15 s" if attempt.dropped_at is None else "the worker went away"
    if session is not None:
        session.send(Cancel(attempt.body.job_id, attempt.body.attempt, reason))
    attempt.stage = Stage.OVER
    d.report(Lost(attempt, reason))


def _fenced(d: Dispatch, attempt: Attempt) -> None:
    """The database says that another holds this job now, or none: whoever moved it was right."""
    if d.hub.attempts.of_job(attempt.job_id) is attempt:
        stop(d, attempt.job_id, "the lease is over")
        d.relay.status(attempt.job_id, State.PENDING)
