"""What a coordinator asks about many jobs at once: which it holds yet, which have ended and how."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from sqlalchemy import text

from coordinator.queue.lifecycle import State
from coordinator.store.batch import Batch
from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Claimed, JobView
from coordinator.store.views import _AROUND, _ENDED, _view
from shared.ids import day_of


class HeldJob(msgspec.Struct, frozen=True):
    """A job that a worker holds: its row, with the number of attempts before this one, and its state."""

    job: Claimed
    state: State


_held = Batch("h", day="date", id="uuid", attempt="integer")
_COLUMNS = ", ".join(f"j.{name}" for name in Claimed.__struct_fields__ if name != "attempt")
RECALL = f"""
    WITH named AS (
        SELECT j.day, j.id, j.attempt = h.attempt AND j.worker_pk = :worker_pk
            AND j.state IN ('assigned', 'computing') AS holds
        FROM {_held.sql} JOIN jobs j ON j.day = h.day AND j.id = h.id ORDER BY j.id FOR UPDATE OF j)
    UPDATE jobs j SET coordinator = :coordinator FROM named n WHERE j.day = n.day AND j.id = n.id AND n.holds
    RETURNING {_COLUMNS}, j.attempt - 1 AS attempt, j.state
"""  # noqa: S608  # names of ours

_ids = Batch("w", day="date", id="uuid")
_ALIVE = text(f"""
    SELECT j.id, CASE WHEN j.state = 'pending' AND j.lost > 0 THEN coalesce(octet_length(j.made), 0) END AS made
    FROM {_ids.sql} JOIN jobs j ON j.day = w.day AND j.id = w.id
""")  # noqa: S608  # names of ours

HOLDER = "SELECT coordinator FROM jobs WHERE day = :day AND id = :id AND lease_until IS NOT NULL"

_SEEN = text(_AROUND.format(jobs=f"{_ENDED} JOIN {_ids.sql} ON j.day = w.day AND j.id = w.id"))


async def ended_views(conn: Connection, ids: Iterable[UUID]) -> dict[UUID, JobView]:
    """Those of these jobs that have ended, as their owners see them."""
    rows = await conn.execute(_SEEN, _ids.bind((day_of(id_), id_) for id_ in ids))
    return {row.id: _view(row) for row in rows}


async def alive(conn: Connection, ids: Iterable[UUID]) -> dict[UUID, int | None]:
    """Those of these jobs that have not ended; of one that lost its worker and waits for another, how many bytes of ids it
    carries."""
    rows = await conn.execute(_ALIVE, _ids.bind((day_of(id_), id_) for id_ in ids))
    return {row.id: row.made for row in rows}


async def holder(conn: Connection, id_: UUID) -> str | None:
    """The coordinator that gave this job to the worker that holds it now; None if no worker does."""
    found: str | None = await conn.scalar(statement(HOLDER), {"day": day_of(id_), "id": id_})
    return found


async def recall(conn: Connection, worker_pk: str, held: Iterable[tuple[UUID, int]], coordinator: str) -> list[HeldJob]:
    """Those of these (id, attempt) that the worker still holds; they are this coordinator's from now on."""
    rows = ((day_of(id_), id_, attempt) for id_, attempt in held)
    found = await conn.execute(
        statement(RECALL), _held.bind(rows) | {"worker_pk": worker_pk, "coordinator": coordinator}
    )
    return [
        HeldJob(Claimed(**{k: v for k, v in row._mapping.items() if k != "state"}), State(row.state)) for row in found
    ]
