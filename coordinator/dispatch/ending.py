"""Ends that do not come from a worker: a job is cancelled, or somebody else (the sweep) has ended it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from coordinator.dispatch import ordering, telling
from coordinator.dispatch.attempts import Attempt, Stage
from coordinator.dispatch.carried import words
from coordinator.dispatch.shares import handed_over
from coordinator.observe import jobs as observed
from coordinator.observe.tracing import TRACING
from coordinator.queue import moves
from coordinator.settle.partial import Delivered
from coordinator.store import held
from coordinator.store.engine import Away, Connection, alone
from coordinator.store.rows import JobView
from shared.protocol.messages import Cancel

if TYPE_CHECKING:
    from coordinator.dispatch.state import Dispatch


LEFT: Final = "its reader left"
AGAIN_S: Final = 0.5
TRIES: Final = 4


async def cancel(d: "Dispatch", job_id: UUID, reason: str) -> bool:
    """Cancels a job, frees its slot and tells its readers; False if it had ended, or never was. The coordinator that has
    its worker does it where it answers: it knows what was made. Raises Away."""
    hush(d, job_id, reason)
    if d.bus.connected and d.hub.attempts.of_job(job_id) is None:
        holder = telling.teller_of(d, job_id)
        if holder is None:
            async with alone(d.engine) as conn:
                holder = await held.holder(conn, job_id)
        if holder not in (None, d.name) and await telling.asked_elsewhere(d, job_id, reason, holder):
            return True
    async with d.engine.begin() as conn:
        done = await moves.cancel(conn, job_id, reason, d.clock(), delivered(d, [job_id]))
        ended = await ended_views(conn, [job_id] if done is not None else [])
    for view in ended.values():
        stop(d, job_id, reason)
        d.relay.end(view)
        d.relay.forget([job_id])
    telling.over(d, ended)
    if done is not None:
        d.hub.wake_ids(done.let_in)
        ordering.over(d, done.over)
        observed.tell(done.over)
    return done is not None


async def run(d: "Dispatch") -> None:
    """Cancels what its last reader has left, for ever; their workers hear of it at once, whatever is being cancelled yet."""
    async with asyncio.TaskGroup() as rounds:
        while True:
            await d.relay.abandoned.wait()
            left = d.relay.take_abandoned()
            for job_id in left:
                hush(d, job_id, LEFT)
            rounds.create_task(_round(d, left))


async def _round(d: "Dispatch", left: Mapping[UUID, int]) -> None:
    """Cancels the jobs that were left. A client may leave while its job is being submitted: what is not there yet is looked
    for a few times."""
    tries = await asyncio.gather(*(_tried(d, job_id, tried) for job_id, tried in left.items()))
    again = {job_id: tried for job_id, tried in zip(left, tries, strict=True) if tried < TRIES}
    if again:
        await asyncio.sleep(AGAIN_S)
    for job_id, tried in again.items():
        d.relay.abandon(job_id, tried)


async def _tried(d: "Dispatch", job_id: UUID, tries: int) -> int:
    """How often a job was not there to be cancelled, TRIES once it needs no more of them."""
    try:
        return TRIES if await cancel(d, job_id, LEFT) else tries + 1
    except Away:
        return 0


def delivered(d: "Dispatch", job_ids: Iterable[UUID]) -> Delivered:
    """What of these jobs this process has relayed so far, to be paid for should they end now or lose their workers."""
    ids = list(job_ids)
    return Delivered(d.relay.made(ids), d.catalogue, handed_over(d, ids), words(d, ids))


async def announce(d: "Dispatch", job_ids: Iterable[UUID]) -> None:
    """Tells workers and readers of those of these jobs that have ended without this process knowing. Raises Away."""
    known = [job_id for job_id in job_ids if d.relay.is_read(job_id) or d.hub.attempts.of_job(job_id) is not None]
    if not known:
        return
    async with d.engine.begin() as conn:
        ended = await ended_views(conn, known)
    for job_id, view in ended.items():
        stop(d, job_id, str(view.status))
        d.relay.end(view)
        d.relay.forget([job_id])
    telling.over(d, ended)


def hush(d: "Dispatch", job_id: UUID, reason: str) -> None:
    """Has the worker of a job that is about to be cancelled stop at once; that it is cancelled holds once it is written."""
    attempt = d.hub.attempts.of_job(job_id)
    if attempt is not None and not attempt.hushed and attempt.stage is not Stage.OVER:
        attempt.hushed = True
        _tell(d, attempt, reason)


def stop(d: "Dispatch", job_id: UUID, reason: str) -> None:
    """Nothing more is wanted of this job: its worker is told, its slot is free."""
    attempt = d.hub.attempts.of_job(job_id)
    if attempt is None:
        return
    d.hub.attempts.remove(attempt)
    TRACING.attempt(attempt, "cancel", reason, d.now_ms())
    if not attempt.hushed:
        _tell(d, attempt, reason)
    d.hub.work.set()


def _tell(d: "Dispatch", attempt: Attempt, reason: str) -> None:
    session = d.hub.session_of(attempt.body.worker_pk)
    if session is not None:
        session.send(Cancel(attempt.body.job_id, attempt.body.attempt, reason))


async def ended_views(conn: Connection, job_ids: Iterable[UUID]) -> dict[UUID, JobView]:
    """These jobs as their owners see them, those that have ended alone."""
    wanted = list(job_ids)
    return await held.ended_views(conn, wanted) if wanted else {}
