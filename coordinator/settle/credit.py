"""What an owner spends of what its worker earned: due to the worker no more, and at once the owner's to spend."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from coordinator.settle import ledger
from coordinator.store import money, payables
from coordinator.store.engine import Connection
from coordinator.store.payables import Credit


async def mature(conn: Connection, held_jobs: int, before: datetime, now: datetime) -> int:
    """Makes ready what has waited long enough and books what of it goes to owners, all in this transaction; how many
    payables became ready."""
    matured = await payables.mature(conn, held_jobs, before)
    if matured.credits:
        await _book(conn, matured.credits, now)
    return matured.ready


async def _book(conn: Connection, credited: Sequence[Credit], now: datetime) -> None:
    entries = [e for c in credited for e in ledger.credit(c.job_id, c.worker_pk, c.account_id, c.amount)]
    await money.post(conn, entries, now)
    gains: dict[UUID, int] = {}
    for one in credited:
        gains[one.account_id] = gains.get(one.account_id, 0) + one.amount
    given = await money.add_credits(conn, gains)
    assert given == gains.keys(), "a linked account has a balance"
