"""What is read of jobs to explain them: where they stand in the queue, what became of their attempts, and how many wait."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from coordinator.queue.lifecycle import INITIAL
from coordinator.store.batch import Batch
from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Row
from shared.ids import day_of

COUNTED: Final = 1000
"""Nobody is told of more jobs than these before their own."""

SCRAPED: Final = 20_000
"""So many waiting jobs are counted for the operator, in the queue and parked."""


class Place(Row, frozen=True, kw_only=True):
    """Where a pending job stands: `since` it looks for a worker, not before `ready_at`; `avoid` names the workers that lost
    or declined it. `ahead` are the jobs of its kind, or while it is parked those of its key, that go first, up to COUNTED;
    `under_way` those of its key that are let in, up to the cap `at_once` (None: it has none)."""

    id: UUID
    kind_id: int
    since: datetime
    ready_at: datetime
    parked: bool
    at_once: int | None
    avoid: list[str]
    ahead: int
    under_way: int


class Try(Row, frozen=True, kw_only=True):
    """One attempt of a job: how it came to its end and why, None while it is under way."""

    job_id: UUID
    attempt: int
    assigned_at: datetime
    ended_at: datetime | None
    outcome: str | None
    reason: str | None


class Lane(Row, frozen=True, kw_only=True):
    """The waiting jobs of a priority, in the queue or `parked`, and when the oldest of them was made."""

    priority: str
    parked: bool
    jobs: int
    oldest: datetime


_ids = Batch("w", day="date", id="uuid")
PLACES = f"""
    SELECT j.id, j.kind_id, j.since, j.ready_at, j.parked, j.at_once, j.avoid,
        CASE WHEN j.parked THEN parking.jobs ELSE kin.jobs END AS ahead, let_in.jobs AS under_way
    FROM {_ids.sql} JOIN jobs j ON j.day = w.day AND j.id = w.id
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM (
            SELECT 1 FROM jobs o WHERE NOT j.parked AND o.kind_id = j.kind_id AND o.state = '{INITIAL}' AND NOT o.parked
                AND o.tag < j.tag LIMIT {COUNTED}) x) AS kin
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM (
            SELECT 1 FROM jobs o WHERE j.parked AND o.key_id = j.key_id AND o.parked AND o.tag < j.tag
            LIMIT {COUNTED}) x) AS parking
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM (
            SELECT 1 FROM jobs o WHERE j.at_once IS NOT NULL AND o.key_id = j.key_id AND o.at_once IS NOT NULL
                AND NOT o.parked LIMIT coalesce(j.at_once, 0)) x) AS let_in
    WHERE j.state = '{INITIAL}'
"""  # noqa: S608  # names and states of ours
TRIES = f"""
    SELECT a.job_id, a.attempt, a.assigned_at, a.ended_at, a.outcome, a.reason
    FROM {_ids.sql} JOIN attempts a ON a.day = w.day AND a.job_id = w.id ORDER BY a.job_id, a.attempt
"""  # noqa: S608  # names of ours

LANES = f"""
    SELECT priority, parked, count(*) AS jobs, min(created_at) AS oldest FROM (
        (SELECT priority, parked, created_at FROM jobs WHERE state = '{INITIAL}' AND NOT parked LIMIT {SCRAPED})
        UNION ALL (SELECT priority, parked, created_at FROM jobs WHERE parked LIMIT {SCRAPED})) AS j
    GROUP BY priority, parked
"""  # noqa: S608  # numbers and states of ours


async def places(conn: Connection, ids: Iterable[UUID]) -> dict[UUID, Place]:
    """Where those of these jobs stand that are pending."""
    rows = await conn.execute(statement(PLACES), _ids.bind((day_of(id_), id_) for id_ in ids))
    return {row.id: Place(**row._mapping) for row in rows}


async def tries(conn: Connection, ids: Iterable[UUID]) -> dict[UUID, list[Try]]:
    """The attempts of these jobs, each in its order; a job that had none is left out."""
    found: dict[UUID, list[Try]] = {}
    for row in await conn.execute(statement(TRIES), _ids.bind((day_of(id_), id_) for id_ in ids)):
        found.setdefault(row.job_id, []).append(Try(**row._mapping))
    return found


async def lanes(conn: Connection) -> list[Lane]:
    """How many jobs wait, of up to SCRAPED in the queue and as many parked ones."""
    return [Lane(**row._mapping) for row in await conn.execute(statement(LANES))]
