"""What went out of lost attempts: told with their loss, and signed for by their workers once the job has ended."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from coordinator.dispatch.attempts import Attempt, Stage
from coordinator.dispatch.session import Session
from coordinator.settle import unsigned
from coordinator.store.engine import Away
from coordinator.verify.shares import UNKNOWN, forged, read_share
from shared.protocol.messages import Ack, CloseCode, Share
from shared.receipt import ShareReceipt, share_of
from shared.shares import nothing_of

if TYPE_CHECKING:
    from coordinator.dispatch.state import Dispatch

MAX_ATTEMPT: Final = 2**31 - 1

log = structlog.get_logger()


def handed_over(d: "Dispatch", job_ids: Iterable[UUID]) -> dict[UUID, ShareReceipt]:
    """What went out of those of these jobs' attempts that are over, or whose workers are gone, if anything did."""
    attempts = [attempt for job_id in job_ids if (attempt := d.hub.attempts.of_job(job_id)) is not None]
    gone = [one for one in attempts if one.stage is Stage.OVER or one.dropped_at is not None]
    return {one.job_id: share for one in gone if (share := _share(d, one)) is not None}


def _share(d: "Dispatch", attempt: Attempt) -> ShareReceipt | None:
    log_ = d.relay.known(attempt.job_id)
    ids = [] if log_ is None else log_.own(attempt.body.attempt)
    return share_of(nothing_of(attempt.body, weak=attempt.weak), ids) if ids else None


async def take(d: "Dispatch", session: Session, message: Share) -> None:
    """Does what a signed share asks for, and answers it; while the database is away the worker will be asked again."""
    share = read_share(message)
    job_id = None if share is None else _job_id(share.job_id)
    if share is None or job_id is None:
        session.close(CloseCode.PROTOCOL, "a share without its receipt")
        return
    if fault := forged(share, message.signature, session.pk):
        _rejected(session, share, message.signature, fault)
        return
    if not 0 < share.attempt <= MAX_ATTEMPT:
        session.send(Ack(str(job_id), share.attempt, "late", UNKNOWN))
        return
    try:
        async with d.engine.begin() as conn:
            said, countersigned = await unsigned.sign(conn, job_id, share, message.signature, d.key, d.clock())
    except Away:
        session.told, session.books_at = None, 0
        return
    if said.verdict == "rejected":
        _rejected(session, share, message.signature, said.reason)
    else:
        log.info(
            "a signed share came", job=share.job_id, attempt=share.attempt, worker=session.pk, verdict=said.verdict
        )
        session.send(Ack(str(job_id), share.attempt, said.verdict, said.reason, countersigned))


def _rejected(session: Session, share: ShareReceipt, signature: str, reason: str) -> None:
    """Two heads that a worker has signed for one attempt are evidence against it: the log has what it said."""
    said = {"tokens": share.tokens_out, "head": share.chain_head, "signature": signature}
    log.warning(
        "a share is rejected", job=share.job_id, attempt=share.attempt, worker=session.pk, reason=reason, **said
    )
    session.send(Ack(share.job_id, share.attempt, "rejected", reason))


def _job_id(text: str) -> UUID | None:
    """The job that a share names, as jobs are named; None if it is no id."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
