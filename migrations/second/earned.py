"""Whose a worker is, what it earned, and what of that its owner spends: the second migration."""

OWNERS = """
-- A worker has one owner at most: the account whose jobs go first on it.
CREATE TABLE worker_owners (
    worker_pk text PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    spend boolean NOT NULL DEFAULT false,
    linked_at timestamptz NOT NULL
);
CREATE INDEX worker_owners_account ON worker_owners (account_id);

-- What a worker did on a day with a model: a row for each, so that its own page costs the same after years.
CREATE TABLE worker_days (
    worker_pk text NOT NULL,
    day date NOT NULL,
    model text NOT NULL,
    jobs bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    earned bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (worker_pk, day, model)
) WITH (fillfactor = 50);
INSERT INTO worker_days
SELECT e.worker_pk, CAST(e.ended_at AT TIME ZONE 'UTC' AS date), e.model, count(*), sum(e.tokens_in), sum(e.tokens_out),
    coalesce(sum(p.worker), 0), max(e.ended_at)
FROM jobs_ended e LEFT JOIN payables p ON p.day = e.day AND p.job_id = e.id AND p.attempt = e.attempt
WHERE e.state = 'completed' AND e.worker_pk IS NOT NULL GROUP BY 1, 2, 3;
CREATE INDEX payout_orders_recipient ON payout_orders (recipient, batch_id);
"""

SUMS = """
-- What was credited to an owner is no longer owed to the worker, so it cannot be paid as well.
ALTER TABLE payables
    ADD COLUMN credited bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT payables_credited CHECK (credited >= 0 AND (credited = 0 OR (worker = 0 AND state <> 'accrued')));
ALTER TABLE journal DROP CONSTRAINT journal_kind;
ALTER TABLE journal ADD CONSTRAINT journal_kind
    CHECK (kind IN ('hold', 'settle', 'release', 'refund', 'grant', 'payout', 'credit'));
-- A worker's payables by what became of them; kept by a trigger, so that it holds whoever moves a payable.
CREATE TABLE worker_sums (
    worker_pk text PRIMARY KEY,
    held bigint NOT NULL DEFAULT 0,
    pending bigint NOT NULL DEFAULT 0,
    paid bigint NOT NULL DEFAULT 0,
    credited bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO worker_sums (worker_pk, held, pending, paid)
SELECT worker_pk, coalesce(sum(worker) FILTER (WHERE state IN ('accrued', 'held')), 0),
    coalesce(sum(worker) FILTER (WHERE state IN ('ready', 'reserved')), 0),
    coalesce(sum(worker) FILTER (WHERE state = 'paid'), 0)
FROM payables GROUP BY worker_pk;
"""

_ADD = """
    INSERT INTO worker_sums AS s (worker_pk, held, pending, paid, credited)
    SELECT * FROM (
        SELECT c.worker_pk, coalesce(sum(c.worker) FILTER (WHERE c.state IN ('accrued', 'held')), 0) AS held,
            coalesce(sum(c.worker) FILTER (WHERE c.state IN ('ready', 'reserved')), 0) AS pending,
            coalesce(sum(c.worker) FILTER (WHERE c.state = 'paid'), 0) AS paid, sum(c.credited) AS credited
        FROM ({changed}) AS c GROUP BY c.worker_pk) AS d
    WHERE (held, pending, paid, credited) <> (0, 0, 0, 0) ORDER BY worker_pk
    ON CONFLICT (worker_pk) DO UPDATE SET held = s.held + excluded.held, pending = s.pending + excluded.pending,
        paid = s.paid + excluded.paid, credited = s.credited + excluded.credited;
"""
_NEW = "SELECT worker_pk, state, worker, credited FROM new_rows"
_BOTH = f"{_NEW} UNION ALL SELECT worker_pk, state, -worker, -credited FROM old_rows"  # noqa: S608  # names of ours

FUNCTIONS = [
    f"""
CREATE FUNCTION hive_sum_{name}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    {_ADD.format(changed=changed)}
    RETURN NULL;
END
$body$
"""
    for name, changed in (("new", _NEW), ("moved", _BOTH))
]

TRIGGERS = """
CREATE TRIGGER payables_new AFTER INSERT ON payables REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION hive_sum_new();
CREATE TRIGGER payables_moved AFTER UPDATE ON payables REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION hive_sum_moved();
"""
