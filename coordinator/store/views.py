"""What is read of jobs: one of them, an account's list, a history, and the swarm's numbers."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from coordinator.queue.lifecycle import Event, State
from coordinator.store.engine import Connection
from coordinator.store.rows import JobEventRow, JobView, StatusNumbers
from shared.ids import day_of

_COMMON = """j.day, j.id, j.account_id, j.key_id, j.source, j.priority, j.model, j.state AS status, j.kind_id,
    j.created_at, j.deadline_at, j.assigned_at, j.first_token_at, j.worker_pk, j.worker_cell, j.attempt AS attempts,
    j.tokens_in, j.max_tokens, j.reward AS gns_reward, j.hold, j.salt, j.seed, j.store, j.parent, j.choice,
    j.copy"""
_LIVE = f"""SELECT {_COMMON}, CAST(NULL AS timestamptz) AS completed_at, 0 AS tokens_generated,
    CAST(NULL AS double precision) AS tokens_per_second, CAST(NULL AS bytea) AS result,
    CAST(NULL AS text) AS finish_reason, CAST(NULL AS text) AS error_code, CAST(NULL AS text) AS error_message,
    CAST(0 AS bigint) AS cost, 0 AS cached_tokens, j.parked FROM jobs j"""  # noqa: S608  # columns of ours
_ENDED = f"""SELECT {_COMMON}, j.ended_at AS completed_at, j.tokens_out AS tokens_generated, j.tokens_per_second,
    j.result, j.finish_reason, j.error_code, j.error_message, j.cost, j.cached_tokens,
    false AS parked FROM jobs_ended j"""  # noqa: S608  # columns of ours
# The payable is looked up job by job, by its key: without statistics a join would walk through all payables of every day.
_AROUND = """SELECT v.*, k.region, k.cell, w.handle AS worker_handle, b.tx_hash AS stellar_tx_hash FROM ({jobs}) AS v
    JOIN kinds k ON k.id = v.kind_id
    LEFT JOIN workers w ON w.pk = v.worker_pk
    LEFT JOIN LATERAL (
        SELECT batch_id FROM payables WHERE day = v.day AND job_id = v.id AND attempt = v.attempts AND state = 'paid' LIMIT 1
    ) AS p ON true
    LEFT JOIN payout_batches b ON b.id = p.batch_id"""

_CHILD = " WHERE j.day = :day AND j.parent = :id"
_CHILDREN = text(_AROUND.format(jobs=f"{_LIVE}{_CHILD} UNION ALL {_ENDED}{_CHILD}") + " ORDER BY v.choice")
_ONE = " WHERE j.day = :day AND j.id = :id"
_GET = text(_AROUND.format(jobs=f"{_LIVE}{_ONE} UNION ALL {_ENDED}{_ONE}"))

_PAGE = """ WHERE j.account_id = :account_id AND j.state = ANY(:states)
    AND (j.created_at, j.id) < (:before, CAST(:before_id AS uuid)) ORDER BY j.created_at DESC, j.id DESC LIMIT :most"""
_LIST = text(
    _AROUND.format(jobs=f"({_LIVE}{_PAGE}) UNION ALL ({_ENDED}{_PAGE}) ORDER BY created_at DESC, id DESC LIMIT :most")
    + " ORDER BY v.created_at DESC, v.id DESC"
)
_EVENTS = text("""
    SELECT attempt, event, at, worker_pk, detail FROM job_events WHERE day = :day AND job_id = :id
    ORDER BY attempt, at, array_position(CAST(:events AS text[]), event)
""")
_REQUEST = text(f"SELECT j.request FROM jobs_ended j{_ONE}")  # noqa: S608  # names of ours
_RECENT = """SELECT id, parent, created_at, body_hash, key_id, state FROM {table}
    WHERE account_id = :account_id AND created_at > :since ORDER BY created_at DESC LIMIT 1000"""
_SAME_REQUEST = text(f"""
    SELECT coalesce(r.parent, r.id) FROM (
        ({_RECENT.format(table="jobs")}) UNION ALL ({_RECENT.format(table="jobs_ended")})) AS r
    WHERE r.body_hash = :hash AND r.key_id = :key_id AND r.state NOT IN ('failed', 'timed_out', 'cancelled')
    ORDER BY r.created_at DESC LIMIT 1
""")  # noqa: S608  # names of ours
_NUMBERS = text("""
    SELECT state, worker_pk, count(*) AS jobs, 0 AS tokens_in, 0 AS tokens_out FROM jobs GROUP BY state, worker_pk
    UNION ALL
    SELECT state, NULL, sum(jobs), sum(tokens_in), sum(tokens_out) FROM (
        SELECT state, jobs, tokens_in, tokens_out FROM tallies
        UNION ALL SELECT state, jobs, tokens_in, tokens_out FROM tally_parts) AS ended GROUP BY state
    UNION ALL
    SELECT 'paid', NULL, coalesce(sum(total), 0), 0, 0 FROM payout_batches WHERE state = 'paid'
""")


async def get_job(conn: Connection, id_: UUID) -> JobView | None:
    """A job, live or ended, None if there is none."""
    row = (await conn.execute(_GET, {"day": day_of(id_), "id": id_})).one_or_none()
    return None if row is None else _view(row)


async def get_request(conn: Connection, id_: UUID) -> bytes | None:
    """What was asked of an ended job, as JSON of submit.request.JobRequest; None where that is purged."""
    found = await conn.scalar(_REQUEST, {"day": day_of(id_), "id": id_})
    return None if found is None else bytes(found)


async def get_children(conn: Connection, parent: UUID) -> list[JobView]:
    """The jobs under a parent's id, in the order of their choices; none if it is nobody's parent."""
    return [_view(row) for row in await conn.execute(_CHILDREN, {"day": day_of(parent), "id": parent})]


async def same_request(
    conn: Connection, key_id: UUID, account_id: UUID, body_hash: str, since: datetime
) -> UUID | None:
    """The job, or its parent, of the last request since then by this key with this body, if its answer came or may still
    come; looks at the account's newest thousand jobs alone."""
    values = {"key_id": key_id, "account_id": account_id, "hash": bytes.fromhex(body_hash), "since": since}
    id_ = await conn.scalar(_SAME_REQUEST, values)
    return None if id_ is None else UUID(str(id_))


async def list_jobs(
    conn: Connection,
    account_id: UUID,
    cursor: tuple[datetime, UUID] | None,
    limit: int,
    status: State | None = None,
) -> list[JobView]:
    """An account's jobs, newest first, after `cursor` = (created_at, id) of the last one seen; at most `limit`."""
    before, before_id = cursor or (datetime.max.replace(tzinfo=UTC), UUID(int=0))
    states = [status] if status is not None else list(State)
    values = {"account_id": account_id, "states": states, "before": before, "before_id": before_id, "most": limit}
    return [_view(row) for row in await conn.execute(_LIST, values)]


async def job_events(conn: Connection, id_: UUID) -> list[JobEventRow]:
    """The history of a job, in the order in which it happened."""
    rows: Sequence[Any] = (await conn.execute(_EVENTS, {"day": day_of(id_), "id": id_, "events": list(Event)})).all()
    return [JobEventRow(**row._mapping) for row in rows]


async def status_numbers(conn: Connection) -> StatusNumbers:
    """What the swarm does and did: live jobs are counted, ended ones were summed when they ended."""
    counts: Counter[str] = Counter({state.value: 0 for state in State})
    running: Counter[str] = Counter()
    tokens_in = tokens_out = 0
    for row in await conn.execute(_NUMBERS):
        counts[row.state] += int(row.jobs)
        tokens_in, tokens_out = tokens_in + int(row.tokens_in), tokens_out + int(row.tokens_out)
        if row.worker_pk is not None:
            running[row.worker_pk] += int(row.jobs)
    return StatusNumbers(**counts, tokens_in=tokens_in, tokens_out=tokens_out, running=dict(running))


def _view(row: Any) -> JobView:
    fields = dict(row._mapping)
    result = fields.pop("result")
    del fields["day"], fields["kind_id"]
    return JobView(
        **fields | {"status": State(fields["status"])},
        result_text=None if result is None else bytes(result).decode(),
        settled=fields["stellar_tx_hash"] is not None,
    )
