"""Jobs that have ended: moved here by the transaction that ends them, purged when their time is over."""

from collections.abc import Hashable, Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import text

from coordinator.queue.lifecycle import Event, State
from coordinator.store.batch import Batch, plain
from coordinator.store.cached import KEEP
from coordinator.store.changes import End, Use, Work
from coordinator.store.engine import Connection, statement
from shared.ids import day_of

Of = TypeVar("Of", bound=Hashable)

_SAME = """day, id, account_id, key_id, kind_id, model, source, priority, attempt, request, max_tokens, hold,
    reward, seed, salt, store, created_at, deadline_at, assigned_at, first_token_at, worker_pk, worker_cell, parent, choice,
    copy, body_hash, echo"""
_end = Batch(
    "e", day="date", id="uuid", attempt="integer", started="boolean", state="text", event="text", reason="text", lost="integer",
    tokens_in="integer", tokens_out="integer", tokens_per_second="double precision", result="bytea",
    ids="text", finish_reason="text", error_code="text", error_message="text", cost="bigint", cached_tokens="integer",
    purge_at="timestamptz",
)  # fmt: skip
# Ended jobs with their attempts and events: the beginning of the statement that ends them, see store.settling.
MOVED = f"""
    gone AS (
        DELETE FROM jobs j USING {_end.sql}
        WHERE j.day = e.day AND j.id = e.id AND j.attempt = e.attempt
        RETURNING {", ".join(f"j.{name.strip()}" for name in _SAME.split(",") if name.strip() != "first_token_at")},
            CASE WHEN e.started THEN coalesce(j.first_token_at, :now) ELSE j.first_token_at END AS first_token_at,
            j.cache_key, e.state, e.event, e.reason, e.started, j.lost + e.lost AS lost,
            coalesce(e.tokens_in, j.tokens_in) AS tokens_in, e.tokens_out,
            e.tokens_per_second, e.result, CAST(e.ids AS integer[]) AS result_ids, e.finish_reason, e.error_code,
            e.error_message, e.cost, e.cached_tokens, e.purge_at),
    kept AS (
        INSERT INTO jobs_ended ({_SAME}, state, lost, tokens_in, tokens_out, tokens_per_second, result, result_ids,
            finish_reason, error_code, error_message, cost, cached_tokens, purge_at, ended_at)
        SELECT {_SAME}, state, lost, tokens_in, tokens_out, tokens_per_second, result, result_ids,
            finish_reason, error_code, error_message, cost, cached_tokens, purge_at, :now FROM gone),
    {KEEP},
    over AS (
        UPDATE attempts a SET ended_at = :now, outcome = gone.event, reason = gone.reason
        FROM gone WHERE a.day = gone.day AND a.job_id = gone.id AND a.attempt = gone.attempt AND a.ended_at IS NULL),
    began AS (
        INSERT INTO job_events (day, job_id, attempt, event, at, worker_pk)
        SELECT day, id, attempt, '{Event.START}', :now, worker_pk FROM gone WHERE started),
    told AS (
        INSERT INTO job_events (day, job_id, attempt, event, at, worker_pk, detail)
        SELECT day, id, attempt, event, :now, worker_pk, reason FROM gone RETURNING job_id)
"""  # noqa: S608  # names of ours

_tally = Batch("t", day="date", state="text", jobs="bigint", tokens_in="bigint", tokens_out="bigint")
_work = Batch(
    "w", worker_pk="text", day_of="date", model="text", w_jobs="bigint", read="bigint", made="bigint", earned="bigint"
)
_use = Batch(
    "u", account_id="uuid", day="date", key_id="uuid", model="text", jobs="bigint", tokens_in="bigint", cached="bigint",
    tokens_out="bigint", cost="bigint",
)  # fmt: skip
PARTS: Final = 16
"""The day's sums are kept in so many parts, for every job of every coordinator is in them."""

# The sums of workers first, then of callers and the day's last, in every transaction, so that no two wait for each other.
TALLIED = f"""
    worked AS (
        INSERT INTO worker_days AS old (worker_pk, day, model, jobs, tokens_in, tokens_out, earned, last_at)
        SELECT worker_pk, day_of, model, w_jobs, read, made, earned, :now FROM {_work.sql} ORDER BY worker_pk, model
        ON CONFLICT (worker_pk, day, model) DO UPDATE SET jobs = old.jobs + excluded.jobs,
            tokens_in = old.tokens_in + excluded.tokens_in, tokens_out = old.tokens_out + excluded.tokens_out,
            earned = old.earned + excluded.earned, last_at = greatest(old.last_at, excluded.last_at)
        RETURNING 1),
    counted AS (
        INSERT INTO usage_days AS old (account_id, day, key_id, model, jobs, tokens_in, cached, tokens_out, cost)
        SELECT account_id, day, key_id, model, jobs, tokens_in, cached, tokens_out, cost FROM {_use.sql}
        WHERE (SELECT count(*) FROM worked) >= 0 ORDER BY account_id, key_id, model
        ON CONFLICT (account_id, day, key_id, model) DO UPDATE SET jobs = old.jobs + excluded.jobs,
            tokens_in = old.tokens_in + excluded.tokens_in, cached = old.cached + excluded.cached,
            tokens_out = old.tokens_out + excluded.tokens_out, cost = old.cost + excluded.cost
        RETURNING 1),
    tallied AS (
        INSERT INTO tally_parts AS old (day, state, part, jobs, tokens_in, tokens_out)
        SELECT day, state, pg_backend_pid() % {PARTS}, jobs, tokens_in, tokens_out FROM {_tally.sql}
        WHERE (SELECT count(*) FROM counted) >= 0 ORDER BY day, state
        ON CONFLICT (day, state, part) DO UPDATE SET jobs = old.jobs + excluded.jobs,
            tokens_in = old.tokens_in + excluded.tokens_in, tokens_out = old.tokens_out + excluded.tokens_out
        RETURNING 1)
"""  # noqa: S608  # names of ours

_result = Batch("h", day="date", id="uuid", attempt="integer", worker_pk="text")
_COMPLETED = text(f"""
    SELECT j.id, j.attempt, j.worker_pk FROM {_result.sql} JOIN jobs_ended j ON j.day = h.day AND j.id = h.id
    WHERE j.attempt = h.attempt AND j.worker_pk = h.worker_pk AND j.state = '{State.COMPLETED}'
""")  # noqa: S608  # names of ours

PURGE = """
    WITH old AS (
        SELECT day, id FROM jobs_ended WHERE purge_at <= :now ORDER BY purge_at LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE jobs_ended j SET request = NULL, result = NULL, result_ids = NULL, error_message = NULL, echo = NULL,
        purge_at = NULL
    FROM old WHERE j.day = old.day AND j.id = old.id
"""


def end_values(ends: Iterable[End]) -> dict[str, Any]:
    """The parameters of MOVED, beside `now`."""
    return _end.bind(
        (day_of(e.id), e.id, e.attempt, e.started, e.state, e.event, plain(e.reason), e.lost, e.tokens_in, e.tokens_out,
         e.tokens_per_second, None if e.text is None else e.text.encode(errors="replace"), _array(e.ids),
         e.finish_reason, e.error_code, None if e.error_message is None else plain(e.error_message), e.cost,
         e.cached_tokens, e.purge_at)
        for e in ends
    )  # fmt: skip


def tally_values(ends: Iterable[End], works: Iterable[Work], uses: Iterable[Use], today: date) -> dict[str, Any]:
    """The parameters of TALLIED, beside `now`: ended jobs in the day's sums, what was worked in each worker's and what was
    used in each caller's."""
    sums: dict[State, list[int]] = {}
    for e in ends:
        jobs, tokens_in, tokens_out = sums.get(e.state, (0, 0, 0))
        sums[e.state] = [jobs + 1, tokens_in + (e.tokens_in or 0), tokens_out + e.tokens_out]
    days = _tally.bind((today, state, *numbers) for state, numbers in sums.items())
    return days | _work.bind(_worked(works, today)) | _use.bind(_used(uses, today))


async def completed_by(conn: Connection, results: Iterable[tuple[UUID, int, str]]) -> set[tuple[UUID, int, str]]:
    """Which of these (id, attempt, worker) completed their job."""
    rows = ((day_of(id_), id_, attempt, worker) for id_, attempt, worker in results)
    found = await conn.execute(_COMPLETED, _result.bind(rows))
    return {(row.id, row.attempt, row.worker_pk) for row in found}


async def purge(conn: Connection, now: datetime, most: int) -> int:
    """Forgets prompt and result of up to `most` jobs whose time is over; returns how many."""
    return (await conn.execute(statement(PURGE), {"now": now, "most": most})).rowcount


def _worked(works: Iterable[Work], today: date) -> list[tuple[object, ...]]:
    """One row for each worker and model."""
    sums = _summed(((w.worker_pk, w.model), (1, w.tokens_in, w.tokens_out, w.earned)) for w in works)
    return [(pk, today, model, *numbers) for (pk, model), numbers in sums.items()]


def _used(uses: Iterable[Use], today: date) -> list[tuple[object, ...]]:
    """One row for each account, key and model."""
    sums = _summed(((u.account_id, u.key_id, u.model), (1, u.tokens_in, u.cached, u.tokens_out, u.cost)) for u in uses)
    return [(account, today, key, model, *numbers) for (account, key, model), numbers in sums.items()]


def _summed(parts: Iterable[tuple[Of, Sequence[int]]]) -> dict[Of, list[int]]:
    sums: dict[Of, list[int]] = {}
    for of, numbers in parts:
        before = sums.get(of, [0] * len(numbers))
        sums[of] = [old + new for old, new in zip(before, numbers, strict=True)]
    return sums


def _array(ids: list[int] | None) -> str | None:
    return None if ids is None else "{" + ",".join(map(str, ids)) + "}"
