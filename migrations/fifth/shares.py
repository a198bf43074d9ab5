"""What a lost worker made of a job that another finished, and its pay that waits for its signature: the fifth migration."""

SHARES = """
-- What went out of an attempt that was lost, as JSON (shared.receipt.ShareReceipt, without the engine's build, which only its
-- worker knows); NULL while nothing did, or where it is not known.
ALTER TABLE attempts ADD COLUMN share bytea;
-- What workers signed of attempts that they lost, as the receipts are kept: it proves what was paid for.
CREATE TABLE shares (
    day date NOT NULL,
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    receipt bytea NOT NULL,
    worker_signature text NOT NULL,
    coordinator_signature text NOT NULL,
    coordinator_pk text NOT NULL,
    created_at timestamptz NOT NULL,
    -- One attempt is signed for, and so paid, once.
    PRIMARY KEY (day, job_id, attempt)
);
-- What is 'unsigned' is owed to the worker of a lost attempt once it signs for it, until `sign_until`; after that it is
-- `forfeited`, and the resilience fund's.
ALTER TABLE payables DROP CONSTRAINT payables_state;
ALTER TABLE payables
    ADD COLUMN sign_until timestamptz,
    ADD COLUMN forfeited bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT payables_state CHECK (state IN ('unsigned', 'accrued', 'ready', 'reserved', 'paid', 'held')),
    -- Without its end it would wait for ever, and nobody would look at it again.
    ADD CONSTRAINT payables_sign_until CHECK (state <> 'unsigned' OR sign_until IS NOT NULL),
    -- What the fund has got is no longer owed to the worker, so it cannot be paid as well.
    ADD CONSTRAINT payables_forfeited CHECK (forfeited >= 0
        AND (forfeited = 0 OR (worker = 0 AND credited = 0 AND state NOT IN ('unsigned', 'accrued'))));
CREATE INDEX payables_unsigned ON payables (sign_until) WHERE state = 'unsigned';
CREATE INDEX payables_shares ON payables (worker_pk, sign_until) WHERE sign_until IS NOT NULL;
ALTER TABLE worker_sums
    ADD COLUMN unsigned bigint NOT NULL DEFAULT 0,
    ADD COLUMN forfeited bigint NOT NULL DEFAULT 0;
ALTER TABLE journal DROP CONSTRAINT journal_kind;
ALTER TABLE journal ADD CONSTRAINT journal_kind
    CHECK (kind IN ('hold', 'settle', 'release', 'refund', 'grant', 'payout', 'credit', 'forfeit'));
"""

_ADD = """
    INSERT INTO worker_sums AS s (worker_pk, held, pending, paid, credited, unsigned, forfeited)
    SELECT * FROM (
        SELECT c.worker_pk, coalesce(sum(c.worker) FILTER (WHERE c.state IN ('accrued', 'held')), 0) AS held,
            coalesce(sum(c.worker) FILTER (WHERE c.state IN ('ready', 'reserved')), 0) AS pending,
            coalesce(sum(c.worker) FILTER (WHERE c.state = 'paid'), 0) AS paid, sum(c.credited) AS credited,
            coalesce(sum(c.worker) FILTER (WHERE c.state = 'unsigned'), 0) AS unsigned, sum(c.forfeited) AS forfeited
        FROM ({changed}) AS c GROUP BY c.worker_pk) AS d
    WHERE (held, pending, paid, credited, unsigned, forfeited) <> (0, 0, 0, 0, 0, 0) ORDER BY worker_pk
    ON CONFLICT (worker_pk) DO UPDATE SET held = s.held + excluded.held, pending = s.pending + excluded.pending,
        paid = s.paid + excluded.paid, credited = s.credited + excluded.credited,
        unsigned = s.unsigned + excluded.unsigned, forfeited = s.forfeited + excluded.forfeited;
"""
_NEW = "SELECT worker_pk, state, worker, credited, forfeited FROM new_rows"
_BOTH = f"{_NEW} UNION ALL SELECT worker_pk, state, -worker, -credited, -forfeited FROM old_rows"  # noqa: S608  # names of ours

FUNCTIONS = [
    f"""
CREATE OR REPLACE FUNCTION hive_sum_{name}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    {_ADD.format(changed=changed)}
    RETURN NULL;
END
$body$
"""
    for name, changed in (("new", _NEW), ("moved", _BOTH))
]
