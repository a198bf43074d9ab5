"""What goes wrong in silence: workers and attempts without a sign of life, leases to renew, ends that others made."""

from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from coordinator.dispatch import elsewhere
from coordinator.dispatch.attempts import Attempt, Stage
from coordinator.dispatch.between import Left
from coordinator.dispatch.ending import announce, stop
from coordinator.dispatch.offer import in_ms
from coordinator.dispatch.reports import Lost
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import LEASE_MS, SILENCE_MS, Dispatch
from coordinator.dispatch.waiting import wait_at_most
from coordinator.queue import moves
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import LEASE, READER
from coordinator.store import held, workers
from coordinator.store.engine import Away, alone
from shared.protocol.messages import Cancel, CloseCode

GRACE_MS: Final = 500
"""How long the worker of a job that somebody reads may be gone before the job is given to another."""

LOOK_S: Final = 1.0
RENEW_EVERY: Final = timedelta(seconds=10)

log = structlog.get_logger()


async def run(d: Dispatch) -> None:
    """Watches for ever: sessions and attempts as soon as something is due, the database once a second."""
    looked_at = renewed_at = None
    while True:
        now = d.clock()
        due = one_round(d, in_ms(now))
        try:
            if looked_at is None or now - looked_at >= timedelta(seconds=LOOK_S):
                looked_at = now
                await depart(d)
                await look(d)
            if renewed_at is None or now - renewed_at >= RENEW_EVERY:
                await renew(d)
                renewed_at = now
        except Away:
            log.warning("the database is away: leases are not renewed")
        await wait_at_most(d.watch, min(LOOK_S, max(0.0, (due - d.now_ms()) / 1000)))


def one_round(d: Dispatch, now: int) -> int:
    """Ends silent sessions and loses attempts whose time is over; returns when (ms) the next may be due."""
    d.watch.clear()
    due = now + SILENCE_MS
    for session in list(d.hub.sessions.values()):
        if session.heard_at + SILENCE_MS <= now:
            session.close(CloseCode.SILENT, "no heartbeat for 15 s")
            gone(d, session, now)
        else:
            due = min(due, session.heard_at + SILENCE_MS)
    for attempt in d.hub.attempts.everything():
        if attempt.stage is not Stage.OVER:
            at = _due(d, attempt)
            if at <= now:
                _lose(d, attempt)
            else:
                due = min(due, at)
    return due


def gone(d: Dispatch, session: Session, now: int) -> None:
    """The session is over at `now` (ms): unless a newer one took its place, the grace of what it holds begins."""
    if d.hub.leave(session):
        for attempt in d.hub.attempts.of_worker(session.pk):
            attempt.dropped_at = now
        d.watch.set()


async def renew(d: Dispatch) -> None:
    """Prolongs the leases of what is computed and read here; what is no longer held is stopped. Raises Away."""
    now = d.clock()
    current = [attempt for attempt in d.hub.attempts.everything() if attempt.dropped_at is None]
    attached, _ = d.relay.followed()
    async with d.engine.begin() as conn:
        still = await moves.renew(
            conn, [attempt.key[:2] for attempt in current], attached, lease_until=now + LEASE, reader_until=now + READER
        )
    for attempt in current:
        if attempt.job_id in still:
            attempt.lease_until = in_ms(now) + LEASE_MS
        elif attempt.stage is not Stage.OVER:
            _fenced(d, attempt)
    await _register(d, now)


async def _register(d: Dispatch, now: datetime) -> None:
    """Notes who is here and what they said since the last time, and reads who was here, or elsewhere, within a day."""
    sessions = list(d.hub.sessions.values())
    news = {session: session.news for session in sessions if session.news is not None}
    async with d.engine.begin() as conn:
        await workers.touch_workers(conn, [session.pk for session in sessions], d.name, now)
        for session, said in news.items():
            await workers.set_capabilities(conn, session.pk, msgspec.json.encode(said))
        known = await workers.registered_since(conn, now - elsewhere.REGISTERED)
    for session, said in news.items():
        session.news = None if session.news is said else session.news
    newest = {row.pk: row.session for row in known}
    for session in sessions:
        if newest.get(session.pk, 0) > session.number:
            session.close(CloseCode.SUPERSEDED, "the same worker connected again, to another coordinator")
    elsewhere.note(d, known, now)


async def depart(d: Dispatch) -> None:
    """Notes which workers have left since this was last done. Raises Away."""
    if left := set(d.hub.left):
        async with alone(d.engine) as conn:
            await workers.leave_workers(conn, sorted(left), d.name)
        d.hub.left -= left
        d.bus.tell(Left(sorted(left)))


async def look(d: Dispatch) -> None:
    """Tells readers and workers of jobs that have ended without this process knowing, and forgets their logs. Raises
    Away."""
    attached, others = d.relay.followed()
    attempts = d.hub.attempts.everything()
    over = {attempt.job_id for attempt in attempts if attempt.stage is Stage.OVER}
    known = {*attached, *others, *d.relay.unread(), *(attempt.job_id for attempt in attempts)} - over
    if known:
        async with alone(d.engine) as conn:
            alive = await held.alive(conn, known)
        await announce(d, known - alive)
        d.relay.forget(known - alive)


def _due(d: Dispatch, attempt: Attempt) -> int:
    """When (ms) an attempt is lost, if nothing is heard of it before."""
    if attempt.dropped_at is None:
        return attempt.progress_at + SILENCE_MS
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
