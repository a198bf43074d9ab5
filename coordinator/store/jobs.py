"""The hot table: jobs that have not ended. Every write says what it believes; no row back means someone was first."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from coordinator.queue.lifecycle import INITIAL, Event, sources, sql_states, target
from coordinator.queue.limits import LEASE, NO_PROGRESS, READER
from coordinator.store.batch import Batch, plain
from coordinator.store.changes import Live, Requeue
from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Ask, Assignment, Claimed, NewJob
from coordinator.submit.limits import token_ns
from shared.ids import day_of

_NEW_COLUMNS = {
    "day": "date",
    "id": "uuid",
    "account_id": "uuid",
    "key_id": "uuid",
    "kind_id": "bigint",
    "model": "text",
    "source": "text",
    "priority": "text",
    "tag": "bigint",
    "request": "bytea",
    "tokens_in": "integer",
    "max_tokens": "integer",
    "hold": "bigint",
    "reward": "bigint",
    "seed": "text",
    "salt": "text",
    "store": "boolean",
    "attached": "boolean",
    "callback": "boolean",
    "created_at": "timestamptz",
    "ready_at": "timestamptz",
    "deadline_at": "timestamptz",
    "due_at": "timestamptz",
    "reader_until": "timestamptz",
    "parent": "uuid",
    "choice": "smallint",
    "copy": "boolean",
    "body_hash": "bytea",
    "token_ns": "bigint",
    "echo": "bytea",
    "cache_key": "bytea",
    "at_once": "integer",
}
_new = Batch("r", **_NEW_COLUMNS)
INSERT = f"""
    made AS (
        INSERT INTO jobs (state, parked, {", ".join(_NEW_COLUMNS)})
        SELECT '{INITIAL}', r.at_once IS NOT NULL, {", ".join(f"r.{name}" for name in _NEW_COLUMNS)} FROM {_new.sql}
        RETURNING day, id, created_at),
    told AS (
        INSERT INTO job_events (day, job_id, attempt, event, at)
        SELECT day, id, 0, '{Event.SUBMIT}', created_at FROM made RETURNING job_id)
"""  # noqa: S608  # names and states of ours

_CLAIMED = """id, attempt, kind_id, account_id, request, seed, salt, hold, reward, tokens_in, max_tokens, avoid, lost,
    since, deadline_at, attached, copy, tag, priority, made"""
_ask = Batch("ask", kind_id="bigint", most="integer", before="timestamptz", floor="bigint")
CLAIM = f"""
    SELECT j.* FROM {_ask.sql}
    CROSS JOIN LATERAL (
        SELECT {_CLAIMED} FROM jobs
        WHERE kind_id = ask.kind_id AND tag >= ask.floor AND state = '{INITIAL}' AND NOT parked
            AND since <= ask.before AND ready_at <= :now AND deadline_at > :now
        ORDER BY tag LIMIT ask.most FOR UPDATE SKIP LOCKED) AS j
"""  # noqa: S608  # names and states of ours

# Rows are found by their key alone and asked for the rest when they are locked: with more to go by, the planner of a
# small table would rather walk all of it, and keep to that plan when it has grown.
_move = Batch("m", day="date", id="uuid", attempt="integer", worker_pk="text", cell="text", price="bigint")
ASSIGN = f"""
    WITH believed AS (
        SELECT j.day, j.id, m.worker_pk, m.cell, m.price, j.attempt = m.attempt AND j.deadline_at > :now
            AND j.state IN ({sql_states(sources(Event.ASSIGN))}) AND NOT j.parked AS holds
        FROM {_move.sql} JOIN jobs j ON j.day = m.day AND j.id = m.id
        ORDER BY j.id FOR UPDATE OF j SKIP LOCKED),
    taken AS (
        UPDATE jobs j SET state = '{target(Event.ASSIGN)}', attempt = j.attempt + 1, worker_pk = b.worker_pk,
            worker_cell = b.cell, coordinator = :coordinator, lease_until = :lease_until,
            assigned_at = coalesce(j.assigned_at, :now),
            due_at = CASE WHEN j.attempt = 0 THEN least(j.deadline_at, :stuck_at) ELSE j.due_at END
        FROM believed b
        WHERE j.day = b.day AND j.id = b.id AND b.holds
        RETURNING j.day, j.id, j.attempt, j.worker_pk, b.cell, b.price),
    tried AS (
        INSERT INTO attempts (day, job_id, attempt, worker_pk, coordinator, cell, price, assigned_at)
        SELECT day, id, attempt, worker_pk, :coordinator, cell, price, :now FROM taken)
    INSERT INTO job_events (day, job_id, attempt, event, at, worker_pk)
    SELECT day, id, attempt, '{Event.ASSIGN}', :now, worker_pk FROM taken RETURNING job_id
"""  # noqa: S608  # names and states of ours

_held = Batch("h", day="date", id="uuid", attempt="integer", worker_pk="text")
START = f"""
    WITH believed AS (
        SELECT j.day, j.id, j.attempt = h.attempt AND j.worker_pk = h.worker_pk
            AND j.state IN ({sql_states(sources(Event.START))}) AS holds
        FROM {_held.sql} JOIN jobs j ON j.day = h.day AND j.id = h.id
        ORDER BY j.id FOR UPDATE OF j),
    started AS (
        UPDATE jobs j SET state = '{target(Event.START)}', first_token_at = coalesce(j.first_token_at, :now),
            due_at = least(j.deadline_at, :stuck_at)
        FROM believed b WHERE j.day = b.day AND j.id = b.id AND b.holds
        RETURNING j.day, j.id, j.attempt, j.worker_pk)
    INSERT INTO job_events (day, job_id, attempt, event, at, worker_pk)
    SELECT day, id, attempt, '{Event.START}', :now, worker_pk FROM started RETURNING job_id
"""  # noqa: S608  # names and states of ours

_LIVE = """id, state, attempt, worker_pk, account_id, key_id, model, source, priority, created_at, assigned_at,
    tokens_in, max_tokens, hold, reward, copy, at_once, lost,
    store, attached, due_at, lease_until, reader_until, token_ns, callback, parent, coordinator, kind_id"""
_ids = Batch("w", day="date", id="uuid")
LOCK = f"""
    SELECT {", ".join(f"j.{name.strip()}" for name in _LIVE.split(","))}
    FROM {_ids.sql} JOIN jobs j ON j.day = w.day AND j.id = w.id ORDER BY j.id FOR UPDATE OF j
"""  # noqa: S608  # names of ours
DUE = f"""
    SELECT {_LIVE} FROM jobs WHERE check_at > :since AND check_at <= :now ORDER BY check_at LIMIT :most FOR UPDATE SKIP LOCKED
"""  # noqa: S608  # names of ours

_back = Batch(
    "b", day="date", id="uuid", attempt="integer", event="text", lost="integer", worker_pk="text", reason="text",
    ready_at="timestamptz", made="bytea",
)  # fmt: skip
REQUEUE = f"""
    WITH back AS (
        UPDATE jobs j SET state = '{INITIAL}', worker_pk = NULL, worker_cell = NULL, lease_until = NULL,
            lost = j.lost + b.lost, ready_at = b.ready_at,
            made = CASE WHEN octet_length(b.made) > coalesce(octet_length(j.made), 0) THEN b.made ELSE j.made END,
            avoid = CASE WHEN b.worker_pk = ANY(j.avoid) THEN j.avoid ELSE j.avoid || b.worker_pk END
        FROM {_back.sql}
        WHERE j.day = b.day AND j.id = b.id AND j.attempt = b.attempt AND j.state <> '{INITIAL}'
        RETURNING j.day, j.id, j.attempt, b.event, b.worker_pk, b.reason),
    over AS (
        UPDATE attempts a SET ended_at = :now, outcome = back.event, reason = back.reason
        FROM back WHERE a.day = back.day AND a.job_id = back.id AND a.attempt = back.attempt)
    INSERT INTO job_events (day, job_id, attempt, event, at, worker_pk, detail)
    SELECT day, id, attempt, event, :now, worker_pk, reason FROM back RETURNING job_id
"""  # noqa: S608  # names and states of ours

_lease = Batch("h", day="date", id="uuid", attempt="integer")
RENEW = f"""
    WITH believed AS (
        SELECT j.day, j.id, j.attempt = h.attempt AND j.state <> '{INITIAL}' AS holds
        FROM {_lease.sql} JOIN jobs j ON j.day = h.day AND j.id = h.id
        ORDER BY j.id FOR UPDATE OF j)
    UPDATE jobs j SET lease_until = :lease_until, due_at = least(j.deadline_at, :stuck_at)
    FROM believed b WHERE j.day = b.day AND j.id = b.id AND b.holds RETURNING j.id
"""  # noqa: S608  # names and states of ours
_READ_ON = text(f"""
    WITH believed AS (
        SELECT j.day, j.id, j.attached FROM {_ids.sql} JOIN jobs j ON j.day = w.day AND j.id = w.id
        ORDER BY j.id FOR UPDATE OF j)
    UPDATE jobs j SET reader_until = :reader_until FROM believed b
    WHERE j.day = b.day AND j.id = b.id AND b.attached RETURNING j.id
""")  # noqa: S608  # names of ours


async def claim(conn: Connection, asks: Sequence[Ask], now: datetime) -> list[Claimed]:
    """Locks the first ready rows of each asked kind, from its floor on, that nobody else has locked, as many as asked for."""
    rows = await conn.execute(statement(CLAIM), claim_values(asks, now))
    return [Claimed(**row._mapping) for row in rows]


def claim_values(asks: Sequence[Ask], now: datetime) -> dict[str, Any]:
    """The parameters of CLAIM."""
    youngest = ((ask.kind_id, ask.limit, now - timedelta(milliseconds=ask.min_age_ms), ask.floor) for ask in asks)
    return _ask.bind(youngest) | {"now": now}


async def assign(
    conn: Connection, moves: Sequence[Assignment], *, coordinator: str, now: datetime, lease_until: datetime
) -> set[UUID]:
    """Gives pending jobs to their workers under the next attempt number; returns those that were still to be given and
    that nobody else had locked: it waits for none."""
    rows = ((day_of(m.id), m.id, m.attempt_before, m.worker_pk, m.cell, m.price) for m in moves)
    values = {"coordinator": coordinator, "now": now, "lease_until": lease_until, "stuck_at": now + NO_PROGRESS}
    return set(await conn.scalars(statement(ASSIGN), _move.bind(rows) | values))


async def start(conn: Connection, held: Iterable[tuple[UUID, int, str]], now: datetime) -> set[UUID]:
    """Notes the first token of these (id, attempt, worker); returns those that were waiting for it."""
    rows = ((day_of(id_), id_, attempt, worker) for id_, attempt, worker in held)
    return set(await conn.scalars(statement(START), _held.bind(rows) | {"now": now, "stuck_at": now + NO_PROGRESS}))


async def lock(conn: Connection, ids: Iterable[UUID]) -> dict[UUID, Live]:
    """Locks unfinished jobs, in the order of their ids so that two lockers never wait for each other."""
    rows = await conn.execute(statement(LOCK), _ids.bind((day_of(id_), id_) for id_ in set(ids)))
    return {row.id: Live(**row._mapping) for row in rows}


async def due(conn: Connection, since: datetime, now: datetime, most: int) -> list[Live]:
    """Locks up to `most` jobs that the sweep has to look at, since then, and nobody else has locked."""
    rows = await conn.execute(statement(DUE), {"since": since, "now": now, "most": most})
    return [Live(**row._mapping) for row in rows]


async def requeue(conn: Connection, backs: Sequence[Requeue], now: datetime) -> set[UUID]:
    """Puts held jobs back to waiting and ends their attempts; returns those that were held under that attempt."""
    if not backs:
        return set()
    rows = (
        (day_of(b.id), b.id, b.attempt, Event.LOSE if b.lost else Event.DECLINE, int(b.lost), b.worker_pk,
         plain(b.reason), b.ready_at, b.made)
        for b in backs
    )  # fmt: skip
    return set(await conn.scalars(statement(REQUEUE), _back.bind(rows) | {"now": now}))


async def renew(conn: Connection, held: Iterable[tuple[UUID, int]], lease_until: datetime) -> set[UUID]:
    """Prolongs the leases of these (id, attempt); returns those that are still held."""
    rows = ((day_of(id_), id_, attempt) for id_, attempt in held)
    values = {"lease_until": lease_until, "stuck_at": lease_until - LEASE + NO_PROGRESS}
    return set(await conn.scalars(statement(RENEW), _lease.bind(rows) | values))


async def read_on(conn: Connection, ids: Iterable[UUID], reader_until: datetime) -> set[UUID]:
    """Says that somebody reads these attached jobs until then; returns those that have not ended."""
    rows = ((day_of(id_), id_) for id_ in ids)
    return set(await conn.scalars(_READ_ON, _ids.bind(rows) | {"reader_until": reader_until}))


def insert_values(jobs: Sequence[NewJob]) -> dict[str, Any]:
    """The parameters of INSERT."""
    return _new.bind(_new_row(job) for job in jobs)


def _new_row(job: NewJob) -> tuple[object, ...]:
    at = job.created_at
    reader_until = at + READER if job.attached else None
    return (
        day_of(job.id), job.id, job.account_id, job.key_id, job.kind_id, job.model, job.source, job.priority,
        job.tag, job.request, job.tokens_in, job.max_tokens, job.hold, job.reward, job.seed, job.salt,
        job.store, job.attached, job.callback is not None, at, at, job.deadline_at, job.deadline_at, reader_until,
        job.parent, job.choice, job.copy, bytes.fromhex(job.body_hash) or None, token_ns(job.limits),
        job.echo, job.cache_key, job.limits.at_once,
    )  # fmt: skip
