"""What a worker earned and what became of it: sums that are kept as jobs end and payables move, so that to read them
costs the same however much was earned."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Row


class Sums(Row, frozen=True):
    """In stroops: earned on a day, withheld as yet, due, paid on the ledger, and credited to the owner; of lost attempts what
    waits for the worker's signature, and what it did not sign for in time."""

    worker_pk: str
    today: int = 0
    held: int = 0
    pending: int = 0
    paid: int = 0
    credited: int = 0
    unsigned: int = 0
    forfeited: int = 0


class DayRow(Row, frozen=True):
    """What a worker did on a day with one model; `earned` in stroops."""

    day: date
    model: str
    jobs: int
    tokens_in: int
    tokens_out: int
    earned: int
    last_at: datetime


class PaymentRow(Row, frozen=True):
    """A payment to a worker, in stroops: `paid` is on the ledger with this hash, `reserved` on its way there."""

    amount: int
    hash: str | None
    state: str
    at: datetime


class OwnerRow(Row, frozen=True):
    """The account that a worker is linked to, its name, and whether it spends what the worker earns."""

    account_id: UUID
    name: str
    spend: bool


# LIMIT keeps it a look by key for each: while the table was tiny PostgreSQL learns to read all of it, and goes on doing so.
SUMS = """
    SELECT w.pk AS worker_pk, coalesce(d.earned, 0) AS today, coalesce(s.held, 0) AS held,
        coalesce(s.pending, 0) AS pending, coalesce(s.paid, 0) AS paid, coalesce(s.credited, 0) AS credited,
        coalesce(s.unsigned, 0) AS unsigned, coalesce(s.forfeited, 0) AS forfeited
    FROM unnest(CAST(:pks AS text[])) AS w(pk)
    LEFT JOIN LATERAL (SELECT * FROM worker_sums s WHERE s.worker_pk = w.pk LIMIT 1) s ON true
    LEFT JOIN LATERAL (
        SELECT CAST(sum(d.earned) AS bigint) AS earned FROM worker_days d WHERE d.worker_pk = w.pk AND d.day = :today) d ON true
"""
DAYS = """
    SELECT day, model, jobs, tokens_in, tokens_out, earned, last_at FROM worker_days
    WHERE worker_pk = :pk AND day >= :since ORDER BY day, model
"""
PAYMENTS = """
    SELECT o.amount, b.tx_hash AS hash, o.state, coalesce(b.closed_at, b.created_at) AS at
    FROM payout_orders o JOIN payout_batches b ON b.id = o.batch_id
    WHERE o.recipient = :recipient AND o.state <> 'returned' ORDER BY o.batch_id DESC LIMIT :most
"""
OWNER = """
    SELECT o.account_id, a.name, o.spend FROM worker_owners o JOIN accounts a ON a.id = o.account_id
    WHERE o.worker_pk = :pk
"""


async def sums(conn: Connection, pks: Sequence[str], today: date) -> dict[str, Sums]:
    """The sums of all these workers, one look for each of them in one statement."""
    rows = await conn.execute(statement(SUMS), {"pks": list(pks), "today": today})
    return {row.worker_pk: Sums(**row._mapping) for row in rows}


async def days(conn: Connection, pk: str, since: date) -> list[DayRow]:
    """What a worker did from that day on, a row for each day and model."""
    rows = await conn.execute(statement(DAYS), {"pk": pk, "since": since})
    return [DayRow(**row._mapping) for row in rows]


async def payments(conn: Connection, recipient: str, most: int) -> list[PaymentRow]:
    """The newest payments to a ledger account (ledger.earned_by), without those that came back."""
    rows = await conn.execute(statement(PAYMENTS), {"recipient": recipient, "most": most})
    return [PaymentRow(**row._mapping) for row in rows]


async def owner(conn: Connection, pk: str) -> OwnerRow | None:
    """The account that a worker is linked to."""
    row = (await conn.execute(statement(OWNER), {"pk": pk})).one_or_none()
    return None if row is None else OwnerRow(**row._mapping)
