"""The register of workers, and the model files that they have offered."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, insert

from coordinator.store.batch import Batch, plain
from coordinator.store.engine import Connection, statement
from coordinator.store.rows import ModelRow, WorkerRow
from coordinator.store.tables import models, worker_owners, workers
from shared.protocol.messages import ModelOffer

_OWNER: Final = (
    select(worker_owners.c.account_id).where(worker_owners.c.worker_pk == workers.c.pk).scalar_subquery().label("owner")
)

UPSERT: Final = """
    INSERT INTO workers (pk, handle, cell, evidence, capabilities, countries, first_seen, last_seen, coordinator, session)
    VALUES (:pk, :handle, :cell, :evidence, :capabilities, :countries, :now, :now, :coordinator, 1)
    ON CONFLICT (pk) DO UPDATE SET handle = excluded.handle, cell = excluded.cell, evidence = excluded.evidence,
        capabilities = excluded.capabilities, countries = excluded.countries, last_seen = excluded.last_seen,
        coordinator = excluded.coordinator, session = workers.session + 1
    RETURNING workers.*, (SELECT o.account_id FROM worker_owners o WHERE o.worker_pk = workers.pk) AS owner
"""

_gone = Batch("g", pk="text", session="bigint")
LEAVE: Final = f"""
    UPDATE workers w SET coordinator = NULL FROM {_gone.sql}
    WHERE w.pk = g.pk AND w.session = g.session AND w.coordinator = :coordinator
"""  # noqa: S608  # names of ours


async def upsert_worker(
    conn: Connection,
    *,
    pk: str,
    handle: str | None,
    cell: int,
    evidence: int,
    capabilities: bytes,
    countries: Sequence[str],
    now: datetime,
    coordinator: str | None = None,
) -> WorkerRow:
    """Registers a worker that connects to `coordinator`, or notes what it says now; its tier, state and first day stay as
    they are, and the number of its session is a new one."""
    said = {
        "pk": pk, "handle": None if handle is None else plain(handle), "cell": cell, "evidence": evidence,
        "capabilities": capabilities, "countries": list(countries), "now": now, "coordinator": coordinator,
    }  # fmt: skip
    rows = (await conn.execute(statement(UPSERT), said)).all()
    return _worker(rows[0])


async def touch_workers(conn: Connection, pks: Sequence[str], coordinator: str, now: datetime) -> int:
    """Notes that these workers are connected to this coordinator; returns how many are, and not to another meanwhile."""
    mine = _these(pks) & (workers.c.coordinator == coordinator)
    return (await conn.execute(update(workers).where(mine).values(last_seen=now))).rowcount


async def moved_workers(conn: Connection, pks: Sequence[str], coordinator: str) -> dict[str, int]:
    """Those of these workers that are not connected to this coordinator, and the numbers of their newest sessions."""
    strange = _these(pks) & workers.c.coordinator.is_distinct_from(coordinator)
    rows = await conn.execute(select(workers.c.pk, workers.c.session).where(strange))
    return {row.pk: row.session for row in rows}


async def owners_of(conn: Connection, pks: Sequence[str]) -> dict[str, UUID]:
    """The accounts that those of these workers are linked to that are linked to one."""
    linked = worker_owners.c.worker_pk == any_(bindparam("pks", list(pks), type_=ARRAY(TEXT)))
    rows = await conn.execute(select(worker_owners.c.worker_pk, worker_owners.c.account_id).where(linked))
    return {row.worker_pk: row.account_id for row in rows}


async def leave_workers(conn: Connection, gone: Mapping[str, int], coordinator: str) -> None:
    """Notes that these workers are no longer connected to this coordinator, unless they have had a newer session since than
    the one of this number."""
    await conn.execute(statement(LEAVE), _gone.bind(gone.items()) | {"coordinator": coordinator})


async def set_capabilities(conn: Connection, pk: str, capabilities: bytes) -> bool:
    """Notes what a worker says of itself now; False if there is no such worker."""
    changed = update(workers).where(workers.c.pk == pk).values(capabilities=capabilities)
    return (await conn.execute(changed)).rowcount == 1


async def set_tier(conn: Connection, pk: str, tier: int) -> bool:
    """An operator's word on a worker's tier, 0 to 4; False if there is no such worker."""
    return (await conn.execute(update(workers).where(workers.c.pk == pk).values(tier=tier))).rowcount == 1


async def get_worker(conn: Connection, pk: str) -> WorkerRow | None:
    """One registered worker."""
    row = (await conn.execute(select(workers, _OWNER).where(workers.c.pk == pk))).one_or_none()
    return None if row is None else _worker(row)


async def registered_since(conn: Connection, since: datetime, but: str | None = None) -> list[WorkerRow]:
    """Those seen since then, without those that are connected to the coordinator `but`."""
    seen = select(workers, _OWNER).where(workers.c.last_seen >= since)
    if but is not None:
        seen = seen.where(workers.c.coordinator.is_distinct_from(but))
    seen = seen.order_by(workers.c.first_seen, workers.c.pk)
    return [_worker(row) for row in await conn.execute(seen)]


async def remove_worker(conn: Connection, pk: str) -> bool:
    """Takes a worker off the register; False if it is not on it, or in disgrace: that is not shaken off by leaving. Whose
    it is stays, for when it comes back."""
    mine = (workers.c.pk == pk) & workers.c.state.in_(("probation", "active"))
    return (await conn.execute(workers.delete().where(mine))).rowcount == 1


async def see_models(conn: Connection, offers: Sequence[ModelOffer], now: datetime) -> None:
    """Notes the model files that a worker offers."""
    seen = {(offer.id, offer.digest): offer for offer in offers}
    if not seen:
        return
    rows = [
        {"id": plain(o.id), "digest": o.digest, "context": o.context, "size_bytes": o.size_bytes, "first_seen": now,
         "last_seen": now}
        for _, o in sorted(seen.items())
    ]  # fmt: skip
    new = insert(models).values(rows)
    later = new.on_conflict_do_update(index_elements=[models.c.id, models.c.digest], set_={"last_seen": now})
    await conn.execute(later)


async def list_models(conn: Connection) -> list[ModelRow]:
    """Every model file that some worker has offered."""
    rows = await conn.execute(select(models).order_by(models.c.id, models.c.digest))
    return [ModelRow(**row._mapping) for row in rows]


def _these(pks: Sequence[str]) -> ColumnElement[bool]:
    return workers.c.pk == any_(bindparam("pks", list(pks), type_=ARRAY(TEXT)))


def _worker(row: Any) -> WorkerRow:
    return WorkerRow(**row._mapping)
