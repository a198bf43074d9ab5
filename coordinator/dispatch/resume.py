"""A worker comes back: which of the attempts that it holds go on, which are delivered, which it should drop."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from coordinator.dispatch.attempts import Attempt, Stage
from coordinator.dispatch.carried import take
from coordinator.dispatch.offer import body_of, is_weak, request_of, signed
from coordinator.dispatch.reports import Lost
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import LEASE_MS, Dispatch
from coordinator.queue.lifecycle import State
from coordinator.store import held as held_rows
from coordinator.store.engine import alone
from shared.protocol.messages import Held, Verdict

MAX_ATTEMPT: Final = 2**31 - 1
"""The largest number that an attempt can have in the database; a worker may name any."""


def job_id_of(text: str) -> UUID | None:
    """The job that a worker names, None if it is no id."""
    try:
        return UUID(text)
    except ValueError:
        return None


async def verdicts(d: Dispatch, session: Session, held: Sequence[Held], now: int) -> list[Verdict]:
    """What becomes of each attempt that the worker says it holds; the ones that it does not name are lost.

    Call it before the session joins the hub; `now` in ms. Raises Away.
    """
    named = [(job_id, one.attempt) for one in held if (job_id := job_id_of(one.job_id)) is not None]
    unknown = [pair for pair in named if d.hub.attempts.find(*pair, session.pk) is None]
    await recall(d, session, unknown, now)
    return [_verdict(d, session, one, now) for one in held]


def missing(d: Dispatch, session: Session, held: Sequence[Held]) -> list[Attempt]:
    """The attempts that this process thinks the worker has and the worker does not name: offers that never arrived are
    returned, to be sent again; what it had accepted and forgot is lost, and so is an offer that no longer fits it: it
    may have come back as another, in another place."""
    named = {(one.job_id, one.attempt) for one in held}
    offers = []
    for attempt in d.hub.attempts.of_worker(session.pk):
        if (attempt.body.job_id, attempt.body.attempt) in named or attempt.stage is Stage.OVER:
            continue
        if attempt.stage is Stage.OFFERED and d.hub.may(attempt.job.kind_id, session.facts):
            attempt.dropped_at = None
            offers.append(attempt)
        else:
            attempt.stage = Stage.OVER
            d.report(Lost(attempt, "the worker forgot it"))
    return offers


async def recall(d: Dispatch, session: Session, pairs: Sequence[tuple[UUID, int]], now: int) -> list[Attempt]:
    """The (job, attempt) pairs that the worker holds by the database, taken up here again. Raises Away.

    A continued attempt cannot be taken up where the tokens of earlier ones are not known.
    """
    pairs = [(job_id, attempt) for job_id, attempt in pairs if 0 < attempt <= MAX_ATTEMPT]
    if not pairs:
        return []
    async with alone(d.engine) as conn:
        rows = await held_rows.recall(conn, session.pk, pairs, d.name)
    return [attempt for row in rows if (attempt := _take_up(d, session, row, now)) is not None]


def _take_up(d: Dispatch, session: Session, row: held_rows.HeldJob, now: int) -> Attempt | None:
    number = row.job.attempt + 1
    known = d.hub.attempts.find(row.job.id, number, session.pk)
    if known is not None:
        return known
    if request_of(row.job).model not in session.facts.models:
        return None
    heard = d.relay.known(row.job.id)
    if heard is not None and heard.attempt == number:
        earlier, gone = heard.resume_ids, False
    else:
        earlier, gone = take(d, row.job), row.job.lost > 0 and row.job.made is None
    body = body_of(
        row.job, number, session.facts, d.catalogue,
        resume_ids=earlier, geo_digest=d.geo_digest, expires_at=now + LEASE_MS,
    )  # fmt: skip
    weak = is_weak(session.facts, body.model_id)
    attempt = Attempt(row.job, signed(d.key, body), now, now, now + LEASE_MS, weak=weak)
    attempt.stage = Stage.RUNNING
    attempt.started = row.state is State.COMPUTING
    d.hub.attempts.add(attempt)
    d.relay.assigned(row.job.id, number, session.public, attempt.image_tokens)
    if gone:
        attempt.stage = Stage.OVER
        d.report(Lost(attempt, "its earlier tokens are gone"))
        return None
    return attempt


def _verdict(d: Dispatch, session: Session, held: Held, now: int) -> Verdict:
    job_id = job_id_of(held.job_id)
    attempt = None if job_id is None else d.hub.attempts.find(job_id, held.attempt, session.pk)
    if attempt is None or (attempt.stage is Stage.OVER and held.state == "running"):
        return Verdict(held.job_id, held.attempt, "abandon")
    if attempt.stage is Stage.OFFERED:
        attempt.stage = Stage.RUNNING
    attempt.dropped_at, attempt.progress_at, attempt.hushed = None, now, False
    return Verdict(held.job_id, held.attempt, "continue" if held.state == "running" else "deliver")
