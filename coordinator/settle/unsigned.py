"""Shares of lost attempts: paid once their workers sign for them, and the resilience fund's if they do not."""

from datetime import datetime
from uuid import UUID

import structlog
from nacl.signing import SigningKey

from coordinator.settle import ledger
from coordinator.store import money, shares
from coordinator.store.engine import Connection, Engine
from coordinator.verify.shares import Answer, answer
from shared.crypto import public_key
from shared.receipt import ShareReceipt, Signatures, countersign

log = structlog.get_logger()


async def sign(
    conn: Connection, job_id: UUID, share: ShareReceipt, signature: str, key: SigningKey, now: datetime
) -> tuple[Answer, str]:
    """Judges a share that its worker has signed and, if it stands, makes its payable accrue in this transaction; the answer,
    and the coordinator's signature if it is accepted. However often it comes, and wherever, it is paid once."""
    found = await shares.find(conn, job_id, share.attempt, share.worker_pk)
    said = answer(share, found, now)
    if found is None or said.verdict != "accepted":
        return said, ""
    signatures = Signatures(signature, countersign(key, share, signature), public_key(key))
    kept = await shares.sign(conn, share, signatures, found.amount, now)
    assert kept, "a locked payable that waits cannot be moved by others"
    return said, signatures.coordinator


async def one_round(engine: Engine, now: datetime) -> int:
    """Gives all that nobody signed for in time to the resilience fund; how many shares. Any number of coordinators may do so."""
    given, last = 0, shares.FORFEITED_AT_ONCE
    while last == shares.FORFEITED_AT_ONCE:
        async with engine.begin() as conn:
            lost = await shares.forfeit(conn, now)
            await money.post(conn, [e for one in lost for e in _entries(one)], now)
        for one in lost:
            log.info("a share is forfeited", job=str(one.job_id), attempt=one.attempt, worker=one.worker_pk)
        last = len(lost)
        given += last
    return given


def _entries(one: shares.Forfeited) -> list[ledger.Entry]:
    return ledger.forfeit(one.job_id, one.attempt, one.worker_pk, one.amount)
