"""What accounts used, summed as jobs end by key, day and model."""

from collections.abc import Collection
from datetime import date
from typing import Literal
from uuid import UUID

from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Row

Part = Literal["account", "day", "key", "model"]


class UsageRow(Row, frozen=True):
    """Finished jobs and what they used, `cost` in stroops; a part that was not asked for is None."""

    account_id: UUID | None
    day: date | None
    key_id: UUID | None
    key_prefix: str | None
    model: str | None
    jobs: int
    tokens_in: int
    cached: int
    tokens_out: int
    cost: int


_USAGE = """
    SELECT s.account_id, s.day, s.key_id, k.prefix AS key_prefix, s.model, s.jobs, s.tokens_in, s.cached, s.tokens_out, s.cost
    FROM (
        SELECT CASE WHEN CAST(:account AS boolean) THEN u.account_id END AS account_id,
            CASE WHEN CAST(:day AS boolean) THEN u.day END AS day, CASE WHEN CAST(:key AS boolean) THEN u.key_id END AS key_id,
            CASE WHEN CAST(:model AS boolean) THEN u.model END AS model, CAST(sum(u.jobs) AS bigint) AS jobs,
            CAST(sum(u.tokens_in) AS bigint) AS tokens_in, CAST(sum(u.cached) AS bigint) AS cached,
            CAST(sum(u.tokens_out) AS bigint) AS tokens_out, CAST(sum(u.cost) AS bigint) AS cost
        FROM usage_days u WHERE {whose}u.day BETWEEN :first AND :last GROUP BY 1, 2, 3, 4) s
    LEFT JOIN LATERAL (SELECT prefix FROM keys k WHERE k.id = s.key_id LIMIT 1) k ON true
    ORDER BY s.day, s.account_id, s.key_id, s.model
"""
OF_ONE = _USAGE.format(whose="u.account_id = :account_id AND ")
OF_ALL = _USAGE.format(whose="")


async def usage(
    conn: Connection, account_id: UUID | None, first: date, last: date, by: Collection[Part]
) -> list[UsageRow]:
    """What an account, or with None everybody, used from the first day to the last, both included, a row for each of the
    parts that it is told by."""
    parts: tuple[Part, ...] = ("account", "day", "key", "model")
    values: dict[str, object] = {"first": first, "last": last, **{part: part in by for part in parts}}
    whose = {} if account_id is None else {"account_id": account_id}
    rows = await conn.execute(statement(OF_ONE if whose else OF_ALL), values | whose)
    return [UsageRow(**row._mapping) for row in rows]
