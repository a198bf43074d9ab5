"""Jobs that wait because their worker was lost together with its coordinator: what others heard of them is written down."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from coordinator.queue.lifecycle import INITIAL
from coordinator.store.batch import Batch
from coordinator.store.engine import Connection, statement
from shared.ids import day_of

_heard = Batch("h", day="date", id="uuid", attempt="integer", made="bytea")
HAND_ON = f"""
    WITH adrift AS (
        SELECT j.day, j.id, h.made, j.attempt = h.attempt AND j.state = '{INITIAL}'
            AND octet_length(h.made) > coalesce(octet_length(j.made), 0) AS holds
        FROM {_heard.sql} JOIN jobs j ON j.day = h.day AND j.id = h.id ORDER BY j.id FOR UPDATE OF j SKIP LOCKED)
    UPDATE jobs j SET made = a.made, ready_at = least(j.ready_at, :now)
    FROM adrift a WHERE j.day = a.day AND j.id = a.id AND a.holds RETURNING j.kind_id
"""  # noqa: S608  # names and states of ours


async def hand_on(conn: Connection, heard: Mapping[UUID, tuple[int, bytes]], now: datetime) -> set[int]:
    """Notes with those of these jobs that wait again after this attempt the ids that went out of them up to it, where they are
    more than was known, and has them ready at once; returns their kinds."""
    rows = ((day_of(id_), id_, attempt, made) for id_, (attempt, made) in heard.items())
    return set(await conn.scalars(statement(HAND_ON), _heard.bind(rows) | {"now": now}))
