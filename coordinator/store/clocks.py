"""What coordinators tell each other of the order of the queue: how far each has come, and the newest jobs of a flow."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from coordinator.queue.order import Lane
from coordinator.store.batch import Batch
from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Row

GONE: Final = timedelta(days=1)
"""A coordinator that said nothing for so long is gone."""

NEWEST: Final = 16
"""Of so many jobs of an account some is in the lane that is asked for, as a rule."""

TELL = """
    WITH gone AS (
        DELETE FROM queue_clocks WHERE at < :before AND virtual <= :virtual AND coordinator <> :coordinator)
    INSERT INTO queue_clocks AS c (coordinator, virtual, at) VALUES (:coordinator, :virtual, :now)
    ON CONFLICT (coordinator) DO UPDATE SET virtual = greatest(c.virtual, excluded.virtual), at = excluded.at
"""
FURTHEST = "SELECT max(virtual) FROM queue_clocks"
_flows = Batch("f", account_id="uuid", lane="text")
ASKED = f"""
    SELECT f.account_id, f.lane, j.tag, j.tokens FROM {_flows.sql}
    CROSS JOIN LATERAL (
        SELECT n.priority, n.tag, n.tokens_in + n.max_tokens AS tokens FROM (
            SELECT priority, tag, tokens_in, max_tokens FROM jobs WHERE account_id = f.account_id
            ORDER BY created_at DESC, id DESC LIMIT {NEWEST}) AS n
        WHERE n.priority = f.lane ORDER BY n.tag DESC LIMIT 1) AS j
"""  # noqa: S608  # names of ours


class Asked(Row, frozen=True, kw_only=True):
    """A job of a flow that has not ended: where it stands, and its tokens."""

    account_id: UUID
    lane: Lane
    tag: int
    tokens: int


async def tell(conn: Connection, coordinator: str, virtual: int, now: datetime) -> None:
    """Says how far this coordinator has come; those that are gone and did not come as far are forgotten."""
    values = {"coordinator": coordinator, "virtual": virtual, "now": now, "before": now - GONE}
    await conn.execute(statement(TELL), values)


async def furthest(conn: Connection) -> int:
    """How far the coordinator has come that has come furthest."""
    return int(await conn.scalar(statement(FURTHEST)) or 0)


async def asked(conn: Connection, flows: Iterable[tuple[UUID, Lane]]) -> list[Asked]:
    """Of each of these flows the hindmost of its account's newest jobs."""
    return [Asked(**row._mapping) for row in await conn.execute(statement(ASKED), _flows.bind(flows))]
