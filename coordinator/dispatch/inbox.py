"""What each message of a worker does. A message of an attempt that the worker does not hold is dropped."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final, assert_never
from uuid import UUID

import structlog

from coordinator.dispatch import resume, shares
from coordinator.dispatch.admission import Refusal, facts_of, fault_of, for_register, place_of
from coordinator.dispatch.attempts import Attempt, Stage
from coordinator.dispatch.judging import judged
from coordinator.dispatch.reports import Declined, Finished, GaveUp, Lost, Started
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import Dispatch
from coordinator.observe.series import DECODE, DISPATCH, FIRST_TOKEN, named
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import NO_PROGRESS
from coordinator.store import workers
from coordinator.store.engine import Away
from coordinator.verify.checks import read_receipt
from shared.errors import ModelLoading
from shared.protocol.messages import (
    Accept,
    Ack,
    Cancel,
    CloseCode,
    Decline,
    Done,
    Failed,
    Heartbeat,
    Inventory,
    Leave,
    Pong,
    Progress,
    Share,
    ToCoordinator,
    Tokens,
)

TOO_LONG_MS: Final = 60_000
"""For so long a client waits for a model that is being loaded."""

LOADING_MS: Final = NO_PROGRESS // timedelta(milliseconds=1)
"""How long an attempt may load its model."""

TEXT_MS: Final = 120_000
"""How long a worker may take for a text: a large model reads a long one on a processor in half of it."""

REST_MS: Final = 1000
"""How long a worker that declined is left alone."""

FOR_GOOD: Final = 2**62
"""A moment (ms) that never comes."""

MAX_TEXT_PER_TOKEN: Final = 1024
"""More text for a token (in characters) than any vocabulary makes."""

MUCH_TEXT: Final = 1 << 18
"""A result of more characters takes so long to check that others would wait for it."""

log = structlog.get_logger()


def take(d: Dispatch, session: Session, message: ToCoordinator, now: int) -> Coroutine[Any, Any, None] | None:
    """Does what the message asks for, or ends the session that sent it; returns what of it has to be waited for. `now` in
    ms."""
    session.heard_at = now
    match message:
        case Heartbeat():
            session.answers = not session.answers
            if session.answers:
                session.send(Pong(now))
        case Inventory():
            _inventory(d, session, message)
        case Accept() | Progress() | Tokens() | Decline() | Failed():
            attempt = d.hub.attempts.find(UUID(message.job_id), message.attempt, session.pk)
            if attempt is not None and attempt.stage is not Stage.OVER:
                _about(d, session, attempt, message, now)
        case Done():
            return _done(d, session, message, now)
        case Share():
            return shares.take(d, session, message)
        case Leave():
            return _leave(d, session, message)
        case _:
            assert_never(message)
    return None


def _about(
    d: Dispatch, session: Session, attempt: Attempt, message: Accept | Progress | Tokens | Decline | Failed, now: int
) -> None:
    match message:
        case Accept():
            attempt.stage = Stage.RUNNING
            attempt.advance((1, 0), now)
            DISPATCH.observe((now - attempt.offered_at) / 1000, named(attempt.job_id))
        case Progress():
            attempt.stage = Stage.RUNNING
            _progress(d, session, attempt, message, now)
        case Tokens():
            attempt.stage = Stage.RUNNING
            attempt.advance((2, message.offset + len(message.ids)), now)
            _tokens(d, session, attempt, message)
        case Decline():
            session.rests_until = now + REST_MS
            attempt.stage = Stage.OVER
            d.report(Declined(attempt, _plain(message.reason)))
        case Failed():
            attempt.stage = Stage.OVER
            _failed(d, attempt, message)
        case _:
            assert_never(message)


def _progress(d: Dispatch, session: Session, attempt: Attempt, message: Progress, now: int) -> None:
    """A prompt is read further and further; a model may load for as long as a job may wait for progress at all, but a
    client that waits for its answer is told sooner. Of a text an engine tells nothing before it is read, so its worker may
    say for a while that it still reads."""
    loads_for = now - attempt.offered_at
    if message.stage == "prefill":
        attempt.advance((1, message.done), now)
        if attempt.body.task != "generate" and now - attempt.reached_at < TEXT_MS:
            attempt.progress_at = now
    elif attempt.reach > (1, 0):
        return
    elif attempt.job.attached and loads_for >= TOO_LONG_MS:
        session.send(Cancel(message.job_id, message.attempt, "the client does not wait for the model"))
        attempt.stage = Stage.OVER
        d.report(GaveUp(attempt, ModelLoading.code, "The worker is still loading the model; ask again in a while."))
    elif loads_for < LOADING_MS:
        attempt.progress_at = now


def _tokens(d: Dispatch, session: Session, attempt: Attempt, message: Tokens) -> None:
    body = attempt.body
    if message.offset + len(message.ids) > body.max_tokens or len(message.text) > MAX_TEXT_PER_TOKEN * (
        len(message.ids) + 8
    ):
        session.close(CloseCode.PROTOCOL, "more tokens or text than the offer allows")
        return
    if not _well_told(body.logprobs, message):
        session.close(CloseCode.PROTOCOL, "the logprobs do not fit the tokens or the offer")
        return
    vocabulary = d.vocabularies[body.model_id]
    if any(token >= vocabulary.size or token in vocabulary.end_ids for token in message.ids):
        session.close(CloseCode.PROTOCOL, "a token is not in the vocabulary, or ends an answer")
        return
    begins = bool(message.ids) and not attempt.started
    if begins:
        attempt.started, attempt.started_at = True, attempt.reached_at
        FIRST_TOKEN.observe((attempt.started_at - attempt.offered_at) / 1000, named(attempt.job_id))
        d.relay.status(attempt.job_id, State.COMPUTING)
    d.relay.tokens(attempt.job_id, body.attempt, message.offset, message.ids, message.text, message.logprobs)
    if begins:  # the reader first: the committer would take its turn before the first word goes out
        d.report(Started(attempt))


def _well_told(asked: int | None, message: Tokens) -> bool:
    """Whether a frame has a logprob for each of its tokens and no more alternatives than were asked for; none at all where
    none were."""
    if asked is None:
        return not message.logprobs
    told = len(message.logprobs) == len(message.ids)
    return told and all(one.micros <= 0 and len(one.top) <= asked for one in message.logprobs)


def _failed(d: Dispatch, attempt: Attempt, message: Failed) -> None:
    # One worker's word that nobody can do a job is not enough: a liar could end everybody's.
    if message.retryable or not attempt.job.lost:
        d.report(Lost(attempt, _plain(message.code)))
    else:
        d.report(GaveUp(attempt, "job_failed", f"The worker could not do this job: {_plain(message.message)}"))
    d.hub.work.set()


async def _done(d: Dispatch, session: Session, message: Done, now: int) -> None:
    receipt = read_receipt(message)
    job_id = None if receipt is None else resume.job_id_of(receipt.job_id)
    if receipt is None or job_id is None:
        session.close(CloseCode.PROTOCOL, "a result without a receipt")
        return
    attempt = d.hub.attempts.find(job_id, receipt.attempt, session.pk)
    if attempt is None:
        attempt = await _recalled(d, session, job_id, receipt.attempt, now)
    if attempt is None or attempt.stage is Stage.OVER:
        return
    attempt.stage = Stage.OVER
    attempt.progress_at = now
    d.hub.work.set()
    if len(message.text) > MUCH_TEXT:
        verdict = await asyncio.to_thread(judged, d, attempt, message, receipt)
    else:
        verdict = judged(d, attempt, message, receipt)
    if isinstance(verdict, Finished):
        if attempt.started:
            DECODE.observe((now - attempt.started_at) / 1000, named(job_id))
        if attempt.body.task == "generate":  # vectors are no words: a reader takes them from the end
            d.relay.complete(job_id, message.ids, message.text)
        d.report(verdict)
    else:
        _rejected(d, session, attempt, verdict)


async def _recalled(d: Dispatch, session: Session, job_id: UUID, number: int, now: int) -> Attempt | None:
    """The attempt of a result that this process knows nothing of (it was started again, or fenced it off): if the
    database says that the worker still holds it, it counts; otherwise the worker is told that it is late."""
    try:
        found = await resume.recall(d, session, [(job_id, number)], now)
    except Away:
        return None
    if not found:
        session.send(Ack(str(job_id), number, "late"))
        return None
    return found[0]


def _rejected(d: Dispatch, session: Session, attempt: Attempt, faults: list[str]) -> None:
    """A result that does not stand: done again elsewhere, if nobody has read of it yet."""
    log.warning("a result is rejected", job=attempt.body.job_id, worker=session.pk, faults=faults)
    reason = "; ".join(faults)[:200]
    session.send(Ack(attempt.body.job_id, attempt.body.attempt, "rejected", reason))
    if d.relay.rewind(attempt.job_id):
        d.report(Lost(attempt, f"rejected: {reason}"))
    else:
        d.report(GaveUp(attempt, "job_failed", "The worker's result did not pass the checks."))


def _inventory(d: Dispatch, session: Session, message: Inventory) -> None:
    facts, offered = session.facts, message.capabilities
    place = place_of(offered)
    fault = place if isinstance(place, Refusal) else fault_of(offered)
    if isinstance(place, Refusal) or fault is not None:
        session.close(CloseCode.PROTOCOL, fault.reason if fault else "")
    elif place.cell != facts.cell:
        session.close(CloseCode.PROTOCOL, "a worker that moved connects again")
    else:
        renewed = facts_of(
            facts.pk, place, offered,
            tier=facts.tier, evidence=facts.evidence, catalogue=d.catalogue, owner=facts.owner,
        )  # fmt: skip
        session.news = for_register(offered, d.catalogue)
        d.hub.changed(session, renewed)


async def _leave(d: Dispatch, session: Session, message: Leave) -> None:
    session.rests_until = FOR_GOOD
    if message.for_good:
        try:
            async with d.engine.begin() as conn:
                await workers.remove_worker(conn, session.pk)
        except Away:
            log.warning("a worker that leaves stays on the register for a day", worker=session.pk)
        d.hub.strike_off(session.pk)


def _plain(text: str) -> str:
    """A worker's words as one printable line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]
