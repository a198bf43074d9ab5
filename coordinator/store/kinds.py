"""Kinds: what pending jobs are grouped by."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import text

from coordinator.queue.order import Lane
from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Kind, KindSpec

_COLUMNS = "model, region, countries, cell, strict, min_tier, min_evidence, context, needs, price, owner"
_INTERN = text(f"""
    INSERT INTO kinds ({_COLUMNS})
    VALUES (:model, :region, :countries, :cell, :strict, :min_tier, :min_evidence, :context, :needs, :price, :owner)
    ON CONFLICT ON CONSTRAINT kinds_one_each DO UPDATE SET model = excluded.model
    RETURNING id, {_COLUMNS}
""")  # noqa: S608  # columns of ours
FIND = f"SELECT id, {_COLUMNS} FROM kinds WHERE"  # noqa: S608  # columns of ours
_READ = text(f"SELECT id, {_COLUMNS} FROM kinds WHERE id = ANY(:ids)")  # noqa: S608  # columns of ours
# From one pending kind to the next by the partial index: callers make kinds for ever, few of them wait at a time.
_FIRST = """
    WITH RECURSIVE first AS (
        (SELECT kind_id, tag FROM jobs WHERE state = 'pending' AND NOT parked ORDER BY kind_id, tag LIMIT 1)
        UNION ALL
        SELECT next.kind_id, next.tag FROM first f CROSS JOIN LATERAL (
            SELECT j.kind_id, j.tag FROM jobs j
            WHERE j.state = 'pending' AND NOT j.parked AND j.kind_id > f.kind_id ORDER BY j.kind_id, j.tag LIMIT 1) AS next)
"""
FIRST = f"""
    {_FIRST} SELECT f.kind_id, f.tag, j.priority FROM first f CROSS JOIN LATERAL (
        SELECT priority FROM jobs WHERE kind_id = f.kind_id AND tag = f.tag AND state = 'pending' AND NOT parked LIMIT 1) AS j
"""  # noqa: S608  # a statement of ours
COUNTED: Final = 1000
"""Beyond so many jobs of a kind it does not matter how many wait; nor does it beyond so many kinds."""

COUNTS = f"""
    {_FIRST} SELECT w.kind_id, n.jobs FROM (SELECT kind_id FROM first LIMIT {COUNTED}) w
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM (
            SELECT 1 FROM jobs j WHERE j.state = 'pending' AND NOT j.parked AND j.kind_id = w.kind_id LIMIT {COUNTED}) x) n
"""  # noqa: S608  # a number and a statement of ours


async def find(conn: Connection, spec: KindSpec) -> Kind | None:
    """The kind that asks exactly for `spec`, if there is one: an id is used up by each that is made, and by each look for one
    that makes it."""
    values = _values(spec)
    same = " AND ".join(f"{name} IS NULL" if value is None else f"{name} = :{name}" for name, value in values.items())
    row = (await conn.execute(statement(f"{FIND} {same}"), {k: v for k, v in values.items() if v is not None})).first()
    return None if row is None else _kind(row)


async def intern(conn: Connection, spec: KindSpec) -> Kind:
    """The kind that asks exactly for `spec`, made if it is new."""
    return _kind((await conn.execute(_INTERN, _values(spec))).one())


async def read(conn: Connection, ids: Sequence[int]) -> list[Kind]:
    """The kinds with these ids."""
    return [_kind(row) for row in await conn.execute(_READ, {"ids": list(ids)})]


async def first(conn: Connection) -> dict[int, tuple[int, Lane]]:
    """By kind where the first of its ready jobs stands, and in which lane; one look into the partial index for each."""
    found = await conn.execute(statement(FIRST))
    return {kind_id: (tag, lane) for kind_id, tag, lane in found.all()}


async def counts(conn: Connection) -> dict[int, int]:
    """By kind how many of its jobs are ready, of up to 1 000 kinds and 1 000 jobs of each."""
    return {row.kind_id: row.jobs for row in await conn.execute(statement(COUNTS))}


def _values(spec: KindSpec) -> dict[str, Any]:
    countries = None if spec.countries is None else list(spec.countries)
    return msgspec.structs.asdict(spec) | {"countries": countries}


def _kind(row: Any) -> Kind:
    return Kind(**row._mapping)
