"""Payables: what each attempt earned, from accrued over ready and reserved to paid or held."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from coordinator.store.batch import Batch
from coordinator.store.engine import Connection
from coordinator.store.rows import Payable, Row
from shared.ids import day_of

MATURED_AT_ONCE = 5_000


class DueRow(Row, frozen=True):
    """A ready payable, locked by the planning transaction, and the route to its worker."""

    payable: Payable
    route: str


class GivenBack(Row, frozen=True):
    """How the payables of one worker and route leave a failed batch."""

    worker_pk: str
    was: str
    state: str
    route: str
    reason: str | None


class Credit(Row, frozen=True):
    """What a worker earned by a job and its owner spends, in stroops."""

    job_id: UUID
    worker_pk: str
    account_id: UUID
    amount: int


class Matured(Row, frozen=True):
    """How many payables became ready, and what of them the workers no longer get: it is to be booked to their owners by
    this very transaction (settle.credit)."""

    ready: int
    credits: list[Credit]


async def mature(conn: Connection, held_jobs: int, before: datetime) -> Matured:
    """Payables made at or before `before` and not among the worker's newest `held_jobs` become ready, at most 5 000 of
    them. Where an owner spends what the worker earns, only the pools' legs stay to be paid (of the few stroops of which
    the pools get nothing, the worker is paid: a batch has to pay somebody); a link that is just being cut or made is
    waited for."""
    found = await conn.execute(MATURE, {"held": held_jobs, "before": before, "most": MATURED_AT_ONCE})
    rows = found.all()
    gone = [
        Credit(job_id=row.job_id, worker_pk=row.worker_pk, account_id=row.account_id, amount=row.credited)
        for row in rows
        if row.credited
    ]
    return Matured(ready=len(rows), credits=gone)


# For each worker with anything accrued one look into the index at its newest, however much else there is.
MATURE = text("""
WITH RECURSIVE waiting AS (
    (SELECT worker_pk FROM payables WHERE state = 'accrued' ORDER BY worker_pk LIMIT 1)
    UNION ALL
    SELECT (SELECT p.worker_pk FROM payables p WHERE p.state = 'accrued' AND p.worker_pk > w.worker_pk
             ORDER BY p.worker_pk LIMIT 1)
      FROM waiting w WHERE w.worker_pk IS NOT NULL
), newest AS MATERIALIZED (
    SELECT w.worker_pk, n.created_at, n.job_id
      FROM waiting w
     CROSS JOIN LATERAL (
           SELECT p.created_at, p.job_id FROM payables p WHERE p.state = 'accrued' AND p.worker_pk = w.worker_pk
            ORDER BY p.created_at DESC, p.job_id DESC OFFSET :held LIMIT 1) n
), ripe AS MATERIALIZED (
    SELECT p.day, p.job_id, p.attempt, p.worker_pk, p.platform + p.resilience + p.quorum AS pools
      FROM newest n
      JOIN payables p ON p.worker_pk = n.worker_pk AND p.state = 'accrued'
           AND p.created_at <= least(n.created_at, CAST(:before AS timestamptz))
           AND (p.created_at, p.job_id) <= (n.created_at, n.job_id)
     LIMIT :most
       FOR UPDATE OF p SKIP LOCKED
), spending AS MATERIALIZED (
    SELECT o.worker_pk, o.account_id FROM (SELECT DISTINCT worker_pk FROM ripe) r
      JOIN worker_owners o ON o.worker_pk = r.worker_pk WHERE o.spend ORDER BY o.worker_pk FOR SHARE OF o)
UPDATE payables p SET state = 'ready', credited = CASE WHEN s.worker_pk IS NULL THEN 0 ELSE p.worker END,
       worker = CASE WHEN s.worker_pk IS NULL THEN p.worker ELSE 0 END
  FROM ripe r LEFT JOIN spending s ON s.worker_pk = r.worker_pk AND r.pools > 0
 WHERE p.day = r.day AND p.job_id = r.job_id AND p.attempt = r.attempt AND p.state = 'accrued'
RETURNING p.job_id, p.worker_pk, p.credited, s.account_id
""")


async def due(conn: Connection, threshold: int, older: datetime, workers: int, limit: int) -> list[DueRow]:
    """Up to `limit` ready payables of up to `workers` workers whose sum reached `threshold` stroops or whose oldest was
    made at or before `older`, locked; what another transaction has locked is left out."""
    found = await conn.execute(DUE, {"threshold": threshold, "older": older, "workers": workers, "limit": limit})
    return [
        DueRow(payable=Payable(**{name: row[name] for name in Payable.__struct_fields__}), route=row["route"])
        for row in found.mappings()
    ]


DUE = text("""
WITH ripe AS MATERIALIZED (
    SELECT worker_pk, route FROM payables WHERE state = 'ready'
     GROUP BY worker_pk, route HAVING sum(worker) >= :threshold OR min(created_at) <= :older
     ORDER BY min(created_at) LIMIT :workers), picked AS MATERIALIZED (
    SELECT p.day, p.job_id, p.attempt
      FROM ripe
     CROSS JOIN LATERAL (
           SELECT q.day, q.job_id, q.attempt, q.created_at FROM payables q
            WHERE q.state = 'ready' AND q.worker_pk = ripe.worker_pk AND q.route = ripe.route
            ORDER BY q.created_at, q.job_id LIMIT :limit) p
     ORDER BY p.created_at, p.job_id LIMIT :limit)
SELECT p.job_id AS id, p.attempt, p.worker_pk, p.worker, p.platform, p.resilience, p.quorum, p.route
  FROM picked k JOIN payables p ON p.day = k.day AND p.job_id = k.job_id AND p.attempt = k.attempt
 WHERE p.state = 'ready'
 ORDER BY p.created_at, p.job_id
   FOR UPDATE OF p SKIP LOCKED
""")


async def bind(conn: Connection, batch: int, payables: Sequence[tuple[UUID, int, str]]) -> int:
    """Binds ready payables (job, attempt) to their batch and to the route that it takes; how many were still ready."""
    rows = [(day_of(job_id), job_id, attempt, route) for job_id, attempt, route in payables]
    return int((await conn.execute(_BIND, _bound.bind(rows) | {"batch": batch})).rowcount)


_bound = Batch("b", day="date", job_id="uuid", attempt="integer", route="text")
_BIND = text(f"""
UPDATE payables p SET state = 'reserved', batch_id = :batch, route = b.route FROM {_bound.sql}
 WHERE p.day = b.day AND p.job_id = b.job_id AND p.attempt = b.attempt AND p.state = 'ready'
""")  # noqa: S608  # names of ours


async def pay(conn: Connection, batch: int) -> list[tuple[UUID, datetime]]:
    """The payables of a paid batch are paid; their jobs, and when they were owed."""
    found = await conn.execute(
        text("""
            UPDATE payables SET state = 'paid', reason = NULL WHERE batch_id = :id AND state = 'reserved'
            RETURNING job_id, created_at"""),
        {"id": batch},
    )
    return [(row.job_id, row.created_at) for row in found]


async def give_back(conn: Connection, batch: int, given: Sequence[GivenBack]) -> None:
    """The payables of a failed batch leave it: as told by worker and route, all others ready again as they were."""
    rows = [(g.worker_pk, g.was, g.state, g.route, g.reason) for g in given]
    await conn.execute(_GIVE_BACK, _given.bind(rows) | {"batch": batch})
    await conn.execute(
        text("UPDATE payables SET state = 'ready', batch_id = NULL WHERE batch_id = :id AND state = 'reserved'"),
        {"id": batch},
    )


_given = Batch("g", worker_pk="text", was="text", state="text", route="text", reason="text")
_GIVE_BACK = text(f"""
UPDATE payables p SET state = g.state, route = g.route, reason = g.reason, batch_id = NULL FROM {_given.sql}
 WHERE p.batch_id = :batch AND p.worker_pk = g.worker_pk AND p.route = g.was AND p.state = 'reserved'
""")  # noqa: S608  # names of ours
