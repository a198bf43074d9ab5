"""Shares of lost attempts: what went out of each, the payables that wait for a signature, and what was signed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from coordinator.settle.split import Lost
from coordinator.store.batch import Batch
from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Row
from shared.ids import day_of
from shared.protocol.messages import Unsigned
from shared.receipt import ShareReceipt, Signatures

ASKED_AT_ONCE = 64
FORFEITED_AT_ONCE = 500
_SHARE = msgspec.json.Decoder(ShareReceipt)


class Found(Row, frozen=True, kw_only=True):
    """A payable of a lost attempt, locked: its state, its worker's leg in stroops, until when it waits for a signature, and
    the share that it is for. Once `forfeited` (stroops) it is the worker's no more."""

    state: str
    amount: int
    sign_until: datetime
    forfeited: int
    share: ShareReceipt


class Forfeited(Row, frozen=True, kw_only=True):
    """What a worker did not sign for in time, in stroops."""

    job_id: UUID
    attempt: int
    worker_pk: str
    amount: int


class ShareRow(Row, frozen=True, kw_only=True):
    """A share as its worker sees it; `amount` in stroops is what it is, or was, worth to it."""

    job_id: UUID
    attempt: int
    state: str
    amount: int
    forfeited: bool
    until: datetime


_note = Batch("n", day="date", job_id="uuid", attempt="integer", worker_pk="text", share="bytea")
NOTE = f"""
    UPDATE attempts a SET share = n.share FROM {_note.sql}
    WHERE a.day = n.day AND a.job_id = n.job_id AND a.attempt = n.attempt AND a.worker_pk = n.worker_pk
"""  # noqa: S608  # names of ours
_ids = Batch("w", day="date", id="uuid")
MADE = f"""
    SELECT a.job_id, a.share FROM {_ids.sql} JOIN attempts a ON a.day = w.day AND a.job_id = w.id
    WHERE a.share IS NOT NULL ORDER BY a.job_id, a.attempt
"""  # noqa: S608  # names of ours
ASKED = """
    SELECT p.worker_pk, p.worker AS amount, a.share FROM unnest(CAST(:pks AS text[])) AS w(pk)
    CROSS JOIN LATERAL (
        SELECT * FROM payables s WHERE s.worker_pk = w.pk AND s.sign_until > :now AND s.state = 'unsigned'
        ORDER BY s.sign_until LIMIT :most) p
    JOIN attempts a ON a.day = p.day AND a.job_id = p.job_id AND a.attempt = p.attempt
    WHERE a.share IS NOT NULL
"""
FIND = """
    SELECT p.state, p.worker AS amount, p.sign_until, p.forfeited, a.share
    FROM payables p JOIN attempts a ON a.day = p.day AND a.job_id = p.job_id AND a.attempt = p.attempt
    WHERE p.day = :day AND p.job_id = :job_id AND p.attempt = :attempt AND p.worker_pk = :worker_pk
        AND p.sign_until IS NOT NULL AND a.share IS NOT NULL FOR UPDATE OF p
"""
SIGN = """
    UPDATE payables SET state = 'accrued', created_at = :now
    WHERE day = :day AND job_id = :job_id AND attempt = :attempt AND state = 'unsigned'
"""
# What was done of a job is counted once it is paid for, like that of a job that was completed.
KEEP = """
    WITH kept AS (
        INSERT INTO shares (day, job_id, attempt, receipt, worker_signature, coordinator_signature, coordinator_pk, created_at)
        VALUES (:day, :job_id, :attempt, :receipt, :worker, :coordinator, :coordinator_pk, :now) RETURNING day, job_id)
    INSERT INTO worker_days AS old (worker_pk, day, model, jobs, tokens_in, tokens_out, earned, last_at)
    SELECT :worker_pk, :today, e.model, 1, e.tokens_in, :tokens_out, :amount, :now
    FROM kept JOIN jobs_ended e ON e.day = kept.day AND e.id = kept.job_id
    ON CONFLICT (worker_pk, day, model) DO UPDATE SET jobs = old.jobs + excluded.jobs,
        tokens_in = old.tokens_in + excluded.tokens_in, tokens_out = old.tokens_out + excluded.tokens_out,
        earned = old.earned + excluded.earned, last_at = greatest(old.last_at, excluded.last_at)
"""
FORFEIT = """
    WITH late AS MATERIALIZED (
        SELECT day, job_id, attempt FROM payables WHERE state = 'unsigned' AND sign_until <= :now
        ORDER BY sign_until LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE payables p SET state = 'ready', forfeited = p.worker, resilience = p.resilience + p.worker, worker = 0
    FROM late WHERE p.day = late.day AND p.job_id = late.job_id AND p.attempt = late.attempt AND p.state = 'unsigned'
    RETURNING p.job_id, p.attempt, p.worker_pk, p.forfeited AS amount
"""
SHOWN = """
    SELECT job_id, attempt, state, worker + credited + forfeited AS amount, forfeited > 0 AS forfeited, sign_until AS until
    FROM payables WHERE worker_pk = :pk AND sign_until IS NOT NULL ORDER BY sign_until DESC LIMIT :most
"""


async def note(conn: Connection, shares: Iterable[ShareReceipt]) -> None:
    """Notes with these attempts, which are lost, what went out of them."""
    rows = [(day_of(UUID(s.job_id)), UUID(s.job_id), s.attempt, s.worker_pk, msgspec.json.encode(s)) for s in shares]
    if rows:
        await conn.execute(statement(NOTE), _note.bind(rows))


async def made(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, list[Lost]]:
    """What is known to have gone out of the lost attempts of these jobs, in their order."""
    lost: dict[UUID, list[Lost]] = {}
    if ids:
        for row in await conn.execute(statement(MADE), _ids.bind((day_of(id_), id_) for id_ in ids)):
            share = _SHARE.decode(row.share)
            one = Lost(share.attempt, share.worker_pk, share.offset, share.tokens_out)
            lost.setdefault(row.job_id, []).append(one)
    return lost


async def asked(conn: Connection, pks: Iterable[str], now: datetime) -> dict[str, list[Unsigned]]:
    """The oldest shares of each of these workers that wait for its signature, 64 at most."""
    found: dict[str, list[Unsigned]] = {}
    values = {"pks": list(pks), "now": now, "most": ASKED_AT_ONCE}
    for row in await conn.execute(statement(ASKED), values):
        share = _SHARE.decode(row.share)
        asks = Unsigned(share.job_id, share.attempt, share.tokens_out, share.chain_head, row.amount)
        found.setdefault(row.worker_pk, []).append(asks)
    return found


async def find(conn: Connection, job_id: UUID, attempt: int, worker_pk: str) -> Found | None:
    """The payable of this lost attempt, locked; None if nothing of it was ever owed to this worker."""
    key = {"day": day_of(job_id), "job_id": job_id, "attempt": attempt, "worker_pk": worker_pk}
    row = (await conn.execute(statement(FIND), key)).one_or_none()
    return None if row is None else Found(**{**row._mapping, "share": _SHARE.decode(row.share)})


async def sign(conn: Connection, share: ShareReceipt, signatures: Signatures, amount: int, now: datetime) -> bool:
    """A locked payable that waited for it is signed for: it accrues from now on, and what was signed is kept; False if it no
    longer waited."""
    job_id = UUID(share.job_id)
    key = {"day": day_of(job_id), "job_id": job_id, "attempt": share.attempt, "now": now}
    if not (await conn.execute(statement(SIGN), key)).rowcount:
        return False
    kept = {
        "receipt": msgspec.json.encode(share), "worker": signatures.worker, "coordinator": signatures.coordinator,
        "coordinator_pk": signatures.coordinator_pk, "worker_pk": share.worker_pk, "today": now.date(),
        "tokens_out": share.tokens_out, "amount": amount,
    }  # fmt: skip
    await conn.execute(statement(KEEP), key | kept)
    return True


async def forfeit(conn: Connection, now: datetime) -> list[Forfeited]:
    """What nobody signed for in time is the resilience fund's, at most 500 payables that nobody else has locked; it is to be
    booked by this very transaction (settle.unsigned)."""
    found = await conn.execute(statement(FORFEIT), {"now": now, "most": FORFEITED_AT_ONCE})
    return [Forfeited(**row._mapping) for row in found]


async def shown(conn: Connection, pk: str, most: int) -> list[ShareRow]:
    """The newest shares of a worker, whatever became of them."""
    rows = await conn.execute(statement(SHOWN), {"pk": pk, "most": most})
    return [ShareRow(**row._mapping) for row in rows]
