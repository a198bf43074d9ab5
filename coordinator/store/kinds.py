"""Kinds: what pending jobs are grouped by."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from coordinator.store.engine import Connection
from coordinator.store.rows import Kind, KindSpec

_COLUMNS = "model, region, countries, cell, strict, min_tier, min_evidence, context"
_INTERN = text(f"""
    INSERT INTO kinds ({_COLUMNS})
    VALUES (:model, :region, :countries, :cell, :strict, :min_tier, :min_evidence, :context)
    ON CONFLICT ON CONSTRAINT kinds_one_each DO UPDATE SET model = excluded.model
    RETURNING id, {_COLUMNS}
""")  # noqa: S608  # columns of ours
_READ = text(f"SELECT id, {_COLUMNS} FROM kinds WHERE id = ANY(:ids)")  # noqa: S608  # columns of ours
_WAITING = text("""
    SELECT k.id FROM kinds k
    WHERE EXISTS (SELECT 1 FROM jobs j WHERE j.kind_id = k.id AND j.state = 'pending') ORDER BY k.id
""")


async def intern(conn: Connection, spec: KindSpec) -> Kind:
    """The kind that asks exactly for `spec`, made if it is new."""
    values = msgspec.structs.asdict(spec)
    values["countries"] = None if spec.countries is None else list(spec.countries)
    return _kind((await conn.execute(_INTERN, values)).one())


async def read(conn: Connection, ids: Sequence[int]) -> list[Kind]:
    """The kinds with these ids."""
    return [_kind(row) for row in await conn.execute(_READ, {"ids": list(ids)})]


async def waiting(conn: Connection) -> list[int]:
    """The ids of the kinds of which a job is pending; one look into the partial index for each kind."""
    return list(await conn.scalars(_WAITING))


def _kind(row: Any) -> Kind:
    return Kind(**row._mapping)
