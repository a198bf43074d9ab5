"""Whose a worker is: the account that it is linked to."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from coordinator.store.engine import Connection
from coordinator.store.tables import worker_owners


async def link(conn: Connection, worker_pk: str, account_id: UUID, now: datetime, *, spend: bool) -> None:
    """The worker belongs to this account from now on, whoever had it before."""
    said = {"account_id": account_id, "spend": spend, "linked_at": now}
    made = insert(worker_owners).values(worker_pk=worker_pk, **said)
    await conn.execute(made.on_conflict_do_update(index_elements=[worker_owners.c.worker_pk], set_=said))


async def unlink(conn: Connection, worker_pk: str, account_id: UUID | None = None) -> bool:
    """The worker belongs to nobody (with an account given: if it was that one's); whether it did before. What is just
    being credited to the owner is waited for, so that nothing is afterwards."""
    mine = worker_owners.c.worker_pk == worker_pk
    if account_id is not None:
        mine &= worker_owners.c.account_id == account_id
    return (await conn.execute(delete(worker_owners).where(mine))).rowcount == 1
