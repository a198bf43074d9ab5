"""Free slots and pending jobs meet: claim, decide, move, commit, and only then tell the workers."""

import asyncio
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final
from uuid import UUID

import msgspec
import structlog

from coordinator.dispatch.attempts import Attempt
from coordinator.dispatch.carried import known, take
from coordinator.dispatch.memory import readers
from coordinator.dispatch.offer import body_of, in_ms, is_weak, price_of, signed
from coordinator.dispatch.ordering import given, look
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import LEASE_MS, Dispatch
from coordinator.dispatch.telling import tell_of_work
from coordinator.dispatch.waiting import wait_at_most
from coordinator.match.assign import Pairing, asks, assign
from coordinator.queue import moves
from coordinator.queue.limits import LEASE
from coordinator.store.engine import Away, Connection
from coordinator.store.quick import quick, quick_begin
from coordinator.store.rows import Ask, Assignment, Claimed, NewJob
from shared.geo.cells import format_cell, public_cell

IDLE_S: Final = 1.0
"""How long a round waits that nobody wakes: then it looks for jobs that others submitted or gave back."""

SOON_S: Final = 0.1
"""The same, while a job waits for its search to widen or for a moment of its own."""

LOOKS: Final = 20
"""After a look none is made for so many times as long as it took."""

log = structlog.get_logger()


class Found(msgspec.Struct, frozen=True):
    """What a round did: jobs given away, and whether a kind was left that only time makes ready."""

    assigned: int
    soon: bool


class Gift(msgspec.Struct, frozen=True):
    """A job that a worker gets, and the session that it is told on."""

    job: Claimed
    session: Session


async def run(d: Dispatch) -> None:
    """Rounds for ever: again at once after one that gave something away, else when woken, else when the poll is due."""
    poll_at = d.clock()
    while True:
        found = Found(0, soon=False)
        try:
            if (began := d.clock()) >= poll_at:
                await look(d)
                poll_at = next_look(began, d.clock())
            found = await one_round(d)
        except Away:
            log.warning("the database is away: no jobs are given out")
            await asyncio.sleep(SOON_S)
        tell_of_work(d)
        if not found.assigned:
            await wait_at_most(d.hub.work, SOON_S if found.soon else IDLE_S)


def next_look(began: datetime, ended: datetime) -> datetime:
    """When to look again after a look that took so long: while a transaction is open somewhere, PostgreSQL has it walk over all
    that was ready since, and it takes a twentieth of the time at most."""
    return ended + max(timedelta(seconds=IDLE_S), LOOKS * (ended - began))


async def one_round(d: Dispatch) -> Found:
    """Gives pending jobs to free slots once. Raises Away, and then all that was not given away waits on."""
    fresh = d.hub.take_fresh()
    try:
        given = await _give(d, fresh)
    except Away:
        d.hub.still_waiting(job.kind_id for job in fresh)
        raise
    found = await _claim(d)
    return Found(given + found.assigned, soon=found.soon)


async def _give(d: Dispatch, fresh: list[NewJob]) -> int:
    """Gives away jobs whose rows are known because they were just written here: one guarded statement, no claim; how many.
    The others wait. A worker for which something waits is left to the claim."""
    if not fresh:
        return 0
    now, jobs = d.clock(), [job.pending() for job in fresh]
    pairs = assign(jobs, d.hub.fits, d.hub.free(d.now_ms()), now, cached=readers(d, jobs))
    gifts = _gifts(d, [pair for pair in pairs if not d.hub.awaited(pair.worker_pk)])
    moved = []
    if gifts:
        async with quick(d.engine) as conn:
            drawing = asyncio.ensure_future(_drawn_up(d, gifts, now))
            moved = await _move(d, conn, gifts, now)
            attempts = await drawing
        given(d.hub.order, (gift.job for gift in moved))
        for gift in moved:
            _offer(d, gift.session, attempts[gift.job.id])
    gone = {gift.job.id for gift in moved}
    d.hub.still_waiting({job.kind_id for job in jobs if job.id not in gone})
    return len(moved)


async def _drawn_up(d: Dispatch, gifts: list[Gift], now: datetime) -> dict[UUID, Attempt]:
    """The attempts, signed while the database makes up its mind; those that it refuses are never sent."""
    return {gift.job.id: _attempt(d, gift, now) for gift in gifts}


async def _claim(d: Dispatch) -> Found:
    """Claims what waits, as much as has a slot, and gives it away."""
    floors = d.hub.floors
    chosen = asks(floors.line.in_order, d.hub.fits, d.hub.free(d.now_ms()), d.spare)
    if chosen.full:
        floors.vain(chosen.vain)
    asked = floors.over(chosen.asks)
    found = await _claimed(d, asked) if asked else Found(0, soon=False)
    passed = {ask.kind_id for ask in asked}.union(chosen.vain)
    if floors.more(d.hub.free(d.now_ms()).of_model, passed):
        d.hub.work.set()
    return found


async def _claimed(d: Dispatch, asked: list[Ask]) -> Found:
    now = d.clock()
    try:
        async with quick_begin(d.engine) as conn:
            claimed = sorted(await moves.claim(conn, asked, now), key=attrgetter("tag"))
            pairs = assign(claimed, d.hub.fits, d.hub.free(d.now_ms()), now, _begun(d, claimed), readers(d, claimed))
            gifts = await _move(d, conn, _gifts(d, pairs), now)
    except Away:
        d.hub.still_waiting(ask.kind_id for ask in asked)
        raise
    given(d.hub.order, (gift.job for gift in gifts))
    for gift in gifts:
        _offer(d, gift.session, _attempt(d, gift, now))
    gone = {gift.job.id for gift in gifts}
    d.hub.floors.claimed(asked, claimed, gone)
    counts = _count(claimed)
    left = [job for job in claimed if job.id not in gone]
    d.spare = _count(left)
    more = {ask.kind_id for ask in asked if ask.min_age_ms or counts.get(ask.kind_id, 0) >= ask.limit}
    d.hub.still_waiting(more | d.spare.keys())
    return Found(len(gifts), soon=bool(left) or any(ask.min_age_ms for ask in asked))


def _begun(d: Dispatch, jobs: list[Claimed]) -> set[UUID]:
    """Those of which an earlier attempt made tokens."""
    return {job.id for job in jobs if job.attempt and known(d, job)}


def _count(jobs: list[Claimed]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for job in jobs:
        counts[job.kind_id] = counts.get(job.kind_id, 0) + 1
    return counts


def _gifts(d: Dispatch, pairs: list[Pairing]) -> list[Gift]:
    """The pairs, without workers that went away meanwhile."""
    online = d.hub.sessions
    return [Gift(pair.job, online[pair.worker_pk]) for pair in pairs if pair.worker_pk in online]


async def _move(d: Dispatch, conn: Connection, gifts: list[Gift], now: datetime) -> list[Gift]:
    """The guarded moves; what holds of them."""
    if not gifts:
        return []
    moves_ = [_assignment(gift) for gift in gifts]
    moved = await moves.assign(conn, moves_, coordinator=d.name, now=now, lease_until=now + LEASE)
    return [gift for gift in gifts if gift.job.id in moved]


def _assignment(gift: Gift) -> Assignment:
    facts, job = gift.session.facts, gift.job
    return Assignment(
        id=job.id,
        attempt_before=job.attempt,
        worker_pk=facts.pk,
        cell=format_cell(public_cell(facts.cell)),
        price=price_of(job),
    )


def _attempt(d: Dispatch, gift: Gift, now: datetime) -> Attempt:
    """The next attempt of a job, its offer signed; it goes on from the ids that earlier ones brought."""
    job, at = gift.job, in_ms(now)
    body = body_of(
        job, job.attempt + 1, gift.session.facts, d.catalogue,
        resume_ids=take(d, job), geo_digest=d.geo_digest, expires_at=at + LEASE_MS,
    )  # fmt: skip
    weak = is_weak(gift.session.facts, body.model_id)
    return Attempt(job, signed(d.key, body), at, at, at + LEASE_MS, weak=weak)


def _offer(d: Dispatch, session: Session, attempt: Attempt) -> None:
    """Tells the worker. If it has gone meanwhile, its grace runs from now, as for any socket that dropped."""
    d.hub.attempts.add(attempt)
    d.relay.assigned(attempt.job_id, attempt.body.attempt, session.public, attempt.image_tokens)
    session.last_job_at = attempt.offered_at
    session.send(attempt.offer)
    if d.hub.session_of(session.pk) is not session:
        attempt.dropped_at = attempt.offered_at
        d.watch.set()
