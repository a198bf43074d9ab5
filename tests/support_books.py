"""What must hold in the database after anything at all: each query looks for what must never be there."""

from typing import Any, Final

import h3.api.basic_int as h3
from sqlalchemy import text

from coordinator.store.engine import Connection, connect

NEVER: Final = {
    "the journal does not sum to zero": """
        SELECT sum(leg) FROM journal, unnest(amounts) AS leg HAVING sum(leg) <> 0""",
    "an account's hold is not what its live jobs hold, in the spend row or in the journal": """
        SELECT * FROM (SELECT s.account_id, s.held,
            (SELECT coalesce(sum(hold), 0) FROM jobs j WHERE j.account_id = s.account_id) AS live,
            (SELECT coalesce(sum(leg.amount), 0) FROM journal, unnest(accounts, amounts) AS leg(account, amount)
             WHERE leg.account = 'hold:' || s.account_id) AS booked FROM spend s) x
        WHERE held <> live OR held <> booked""",
    "an account's balance is not what the journal says": """
        SELECT * FROM (SELECT s.account_id, s.credit - s.held - s.spent AS room,
            (SELECT coalesce(sum(leg.amount), 0) FROM journal, unnest(accounts, amounts) AS leg(account, amount)
             WHERE leg.account = 'account:' || s.account_id) AS booked FROM spend s) x
        WHERE room <> booked""",
    "what an account or a key spent is not what its jobs cost": """
        SELECT account_id, spent FROM spend s
        WHERE spent <> (SELECT coalesce(sum(cost), 0) FROM jobs_ended e WHERE e.account_id = s.account_id)
        UNION ALL SELECT key_id, spent FROM key_spend s
        WHERE spent <> (SELECT coalesce(sum(cost), 0) FROM jobs_ended e WHERE e.key_id = s.key_id)
            OR held <> (SELECT coalesce(sum(hold), 0) FROM jobs j WHERE j.key_id = s.key_id)""",
    "a job is live and ended at once": "SELECT id FROM jobs JOIN jobs_ended USING (day, id)",
    "a job that cost something was not settled exactly once": """
        SELECT e.id, e.cost, count(j.ref) FROM jobs_ended e
        LEFT JOIN journal j ON j.day = e.day AND j.ref = e.id AND j.kind = 'settle'
        GROUP BY e.id, e.cost HAVING count(j.ref) <> (e.cost > 0)::int""",
    "something was settled that has not ended": """
        SELECT ref FROM journal j WHERE kind = 'settle'
            AND NOT EXISTS (SELECT FROM jobs_ended e WHERE e.day = j.day AND e.id = j.ref)""",
    "a job that cost something is not owed for exactly once, to the stroop, to its worker": """
        SELECT e.id, e.cost, count(p.job_id), sum(p.worker + p.credited + p.platform + p.resilience + p.quorum)
        FROM jobs_ended e
        LEFT JOIN payables p ON p.day = e.day AND p.job_id = e.id
        GROUP BY e.id, e.cost, e.worker_pk, e.attempt
        HAVING count(p.job_id) FILTER (WHERE p.attempt = e.attempt) <> (e.cost > 0)::int
            OR count(p.job_id) FILTER (WHERE p.attempt > e.attempt) > 0
            OR coalesce(sum(p.worker + p.credited + p.platform + p.resilience + p.quorum), 0) <> e.cost
            OR max(p.worker_pk) FILTER (WHERE p.attempt = e.attempt) <> e.worker_pk""",
    "an attempt that did not end its job is owed for though nothing of it is known to have gone out, or not to its worker": """
        SELECT p.job_id, p.attempt FROM payables p JOIN jobs_ended e ON e.day = p.day AND e.id = p.job_id
        LEFT JOIN attempts a ON a.day = p.day AND a.job_id = p.job_id AND a.attempt = p.attempt
        WHERE (p.attempt < e.attempt OR p.sign_until IS NOT NULL) AND (p.sign_until IS NULL OR a.share IS NULL
            OR a.outcome IS DISTINCT FROM 'lose' OR a.worker_pk IS DISTINCT FROM p.worker_pk)""",
    "a share that is owed was not signed for, or one was signed for that is not owed": """
        SELECT p.job_id, p.attempt, s.job_id FROM (SELECT * FROM payables
            WHERE sign_until IS NOT NULL AND state <> 'unsigned' AND forfeited = 0) p
        FULL JOIN shares s ON s.day = p.day AND s.job_id = p.job_id AND s.attempt = p.attempt
        WHERE p.job_id IS NULL OR s.job_id IS NULL""",
    "a worker forfeited something else than the journal says": """
        SELECT * FROM (SELECT worker_pk, sum(forfeited) AS forfeited FROM payables WHERE forfeited > 0 GROUP BY worker_pk) p
        FULL JOIN (SELECT substr(leg.account, 8) AS worker_pk, -sum(leg.amount) AS booked
            FROM journal, unnest(accounts, amounts) AS leg(account, amount)
            WHERE kind = 'forfeit' AND leg.account LIKE 'worker:%' GROUP BY 1) j USING (worker_pk)
        WHERE p.forfeited IS DISTINCT FROM j.booked""",
    "a completed job has not exactly one receipt, one completed attempt, one event of completion": """
        SELECT e.id, e.state FROM jobs_ended e
        WHERE NOT ((e.state = 'completed')::int = ALL (ARRAY[
            (SELECT count(*) FROM receipts r WHERE r.day = e.day AND r.job_id = e.id),
            (SELECT count(*) FROM attempts a WHERE a.day = e.day AND a.job_id = e.id AND a.outcome = 'complete'),
            (SELECT count(*) FROM job_events v WHERE v.day = e.day AND v.job_id = e.id AND v.event = 'complete')]))""",
    "a job's attempts are not 1, 2, 3, …, each ended when the job has": """
        SELECT e.id, e.attempt, count(a.attempt) FROM jobs_ended e
        LEFT JOIN attempts a ON a.day = e.day AND a.job_id = e.id AND a.ended_at IS NOT NULL
        GROUP BY e.id, e.attempt HAVING count(a.attempt) <> e.attempt OR coalesce(max(a.attempt), 0) <> e.attempt""",
    "a worker's sums are not what its payables say": """
        SELECT * FROM worker_sums s FULL JOIN (SELECT worker_pk,
            coalesce(sum(worker) FILTER (WHERE state IN ('accrued', 'held')), 0) AS held,
            coalesce(sum(worker) FILTER (WHERE state IN ('ready', 'reserved')), 0) AS pending,
            coalesce(sum(worker) FILTER (WHERE state = 'paid'), 0) AS paid, sum(credited) AS credited,
            coalesce(sum(worker) FILTER (WHERE state = 'unsigned'), 0) AS unsigned, sum(forfeited) AS forfeited
            FROM payables GROUP BY worker_pk) p USING (worker_pk)
        WHERE (s.held, s.pending, s.paid, s.credited, s.unsigned, s.forfeited)
                IS DISTINCT FROM (p.held, p.pending, p.paid, p.credited, p.unsigned, p.forfeited)
            AND (s.worker_pk IS NOT NULL
                OR (p.held, p.pending, p.paid, p.credited, p.unsigned, p.forfeited) <> (0, 0, 0, 0, 0, 0))""",
    "what a worker did and earned by day is not what its jobs and payables say": """
        SELECT * FROM (SELECT worker_pk, sum(jobs) AS jobs, sum(tokens_in) AS tokens_in, sum(earned) AS earned
            FROM worker_days GROUP BY worker_pk) d
        FULL JOIN (SELECT worker_pk, count(*) AS jobs, sum(tokens_in) AS tokens_in, sum(earned) AS earned FROM (
            SELECT coalesce(p.worker_pk, e.worker_pk) AS worker_pk, e.tokens_in, coalesce(p.worker + p.credited, 0) AS earned
            FROM jobs_ended e LEFT JOIN payables p ON p.day = e.day AND p.job_id = e.id AND p.attempt = e.attempt
            WHERE e.state = 'completed' OR (p.worker + p.credited > 0 AND p.state <> 'unsigned')
            UNION ALL SELECT p.worker_pk, e.tokens_in, p.worker + p.credited
            FROM jobs_ended e JOIN payables p ON p.day = e.day AND p.job_id = e.id AND p.attempt < e.attempt
            WHERE p.state <> 'unsigned' AND p.forfeited = 0) w GROUP BY worker_pk) j USING (worker_pk)
        WHERE (d.jobs, d.tokens_in, d.earned) IS DISTINCT FROM (j.jobs, j.tokens_in, j.earned)""",
    "a job that was not completed cost something though nothing was made of it, or keeps what no worker signed for": """
        SELECT id, state, tokens_out, cost FROM jobs_ended
        WHERE state <> 'completed' AND ((tokens_out = 0 AND cost > 0) OR result IS NOT NULL OR result_ids IS NOT NULL)""",
    "what a key used by day and model is not what its jobs used": """
        SELECT * FROM (SELECT account_id, key_id, model, sum(jobs) AS jobs, sum(tokens_in) AS tokens_in,
            sum(cached) AS cached, sum(tokens_out) AS tokens_out, sum(cost) AS cost FROM usage_days GROUP BY 1, 2, 3) u
        FULL JOIN (SELECT account_id, key_id, model, count(*) AS jobs, sum(CASE WHEN copy THEN 0 ELSE tokens_in END) AS tokens_in,
            sum(CASE WHEN copy THEN 0 ELSE cached_tokens END) AS cached, sum(tokens_out) AS tokens_out, sum(cost) AS cost
            FROM jobs_ended WHERE state = 'completed' OR tokens_out > 0 GROUP BY 1, 2, 3) j USING (account_id, key_id, model)
        WHERE (u.jobs, u.tokens_in, u.cached, u.tokens_out, u.cost) IS DISTINCT FROM
            (j.jobs, j.tokens_in, j.cached, j.tokens_out, j.cost)""",
    "a key has more jobs at once than it may": """
        SELECT key_id, count(*) FROM jobs WHERE at_once IS NOT NULL AND NOT parked
        GROUP BY key_id HAVING count(*) > max(at_once)""",
    "an attempt went to a worker of too low a tier": """
        SELECT a.job_id, w.tier, k.min_tier FROM attempts a JOIN workers w ON w.pk = a.worker_pk
        JOIN (SELECT day, id, kind_id FROM jobs UNION ALL SELECT day, id, kind_id FROM jobs_ended) j
            ON j.day = a.day AND j.id = a.job_id
        JOIN kinds k ON k.id = j.kind_id WHERE w.tier < k.min_tier""",
}
"""By what it means if the query finds a row."""

_PLACED: Final = """
    SELECT a.job_id, w.cell AS worker_cell, w.countries AS worker_countries, k.cell, k.countries, k.strict
    FROM attempts a JOIN workers w ON w.pk = a.worker_pk
    JOIN (SELECT day, id, kind_id FROM jobs UNION ALL SELECT day, id, kind_id FROM jobs_ended) j
        ON j.day = a.day AND j.id = a.job_id
    JOIN kinds k ON k.id = j.kind_id"""

_HISTORY: Final = "SELECT at, attempt, event, worker_pk, detail FROM job_events WHERE job_id = :id ORDER BY at"
COARSEST: Final = 5


async def faults(database_url: str) -> list[str]:
    """All that is wrong in the books and in the placement of every attempt; empty if nothing is."""
    engine = connect(database_url)
    try:
        async with engine.connect() as conn:
            return await faults_in(conn)
    finally:
        await engine.dispose()


async def faults_in(conn: Connection) -> list[str]:
    """The same, as this transaction sees it."""
    found = []
    for wrong, query in NEVER.items():
        if rows := (await conn.execute(text(query))).all():
            found.append(f"{wrong}: {[tuple(map(str, row)) for row in rows[:3]]} ({len(rows)} in all)")
    placed = (await conn.execute(text(_PLACED))).all()
    strays = [row for row in placed if not _fits(row)]
    return found + [f"job {row.job_id} went to a worker in {h3.int_to_str(row.worker_cell)}" for row in strays]


async def value(database_url: str, query: str, **values: object) -> int:
    """One number out of the database."""
    engine = connect(database_url)
    try:
        async with engine.connect() as conn:
            return int(await conn.scalar(text(query), values) or 0)
    finally:
        await engine.dispose()


async def history(database_url: str, job_id: str) -> str:
    """What happened to a job, a line for each event, for the message of a failure."""
    engine = connect(database_url)
    try:
        async with engine.connect() as conn:
            rows = (await conn.execute(text(_HISTORY), {"id": job_id})).all()
    finally:
        await engine.dispose()
    return "\n".join(" ".join(map(str, row)) for row in rows)


def _fits(row: Any) -> bool:
    """Whether an attempt was where it was asked for, judged by H3 and set arithmetic alone."""
    cell, worker = row.cell, row.worker_cell
    countries, here = row.countries, set(row.worker_countries)
    allowed = countries is None or (bool(here) and here <= set(countries))
    if cell is None:
        return allowed
    resolution = h3.get_resolution(cell)
    if h3.cell_to_parent(worker, resolution) == cell:
        return True
    widest = min(resolution, COARSEST)
    near = h3.cell_to_parent(worker, widest) == h3.cell_to_parent(cell, widest)
    return allowed and near and not row.strict
