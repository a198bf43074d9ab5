"""Kinds: what pending jobs are grouped by."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import text

from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Kind, KindSpec

_COLUMNS = "model, region, countries, cell, strict, min_tier, min_evidence, context, needs, price, owner"
_INTERN = text(f"""
    INSERT INTO kinds ({_COLUMNS})
    VALUES (:model, :region, :countries, :cell, :strict, :min_tier, :min_evidence, :context, :needs, :price, :owner)
    ON CONFLICT ON CONSTRAINT kinds_one_each DO UPDATE SET model = excluded.model
    RETURNING id, {_COLUMNS}
""")  # noqa: S608  # columns of ours
_READ = text(f"SELECT id, {_COLUMNS} FROM kinds WHERE id = ANY(:ids)")  # noqa: S608  # columns of ours
# From one pending kind to the next by the partial index: callers make kinds for ever, few of them wait at a time.
_WAITING = """
    WITH RECURSIVE waiting AS (
        (SELECT kind_id FROM jobs WHERE state = 'pending' AND NOT parked ORDER BY kind_id LIMIT 1)
        UNION ALL
        SELECT (SELECT j.kind_id FROM jobs j WHERE j.state = 'pending' AND NOT j.parked AND j.kind_id > w.kind_id
                ORDER BY j.kind_id LIMIT 1)
        FROM waiting w WHERE w.kind_id IS NOT NULL)
"""
WAITING = f"{_WAITING} SELECT kind_id FROM waiting WHERE kind_id IS NOT NULL"  # noqa: S608  # a statement of ours
COUNTED: Final = 1000
"""Beyond so many jobs of a kind it does not matter how many wait; nor does it beyond so many kinds."""

COUNTS = f"""
    {_WAITING} SELECT w.kind_id, n.jobs FROM (SELECT kind_id FROM waiting WHERE kind_id IS NOT NULL LIMIT {COUNTED}) w
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM (
            SELECT 1 FROM jobs j WHERE j.state = 'pending' AND NOT j.parked AND j.kind_id = w.kind_id LIMIT {COUNTED}) x) n
"""  # noqa: S608  # a number and a statement of ours


async def intern(conn: Connection, spec: KindSpec) -> Kind:
    """The kind that asks exactly for `spec`, made if it is new."""
    values = msgspec.structs.asdict(spec)
    values["countries"] = None if spec.countries is None else list(spec.countries)
    return _kind((await conn.execute(_INTERN, values)).one())


async def read(conn: Connection, ids: Sequence[int]) -> list[Kind]:
    """The kinds with these ids."""
    return [_kind(row) for row in await conn.execute(_READ, {"ids": list(ids)})]


async def waiting(conn: Connection) -> list[int]:
    """The ids of the kinds of which a job is ready; one look into the partial index for each of them."""
    return list(await conn.scalars(statement(WAITING)))


async def counts(conn: Connection) -> dict[int, int]:
    """By kind how many of its jobs are ready, of up to 1 000 kinds and 1 000 jobs of each."""
    return {row.kind_id: row.jobs for row in await conn.execute(statement(COUNTS))}


def _kind(row: Any) -> Kind:
    return Kind(**row._mapping)
