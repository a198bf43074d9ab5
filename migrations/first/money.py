"""The journal, payouts and payables, and what makes daily partitions, as the first migration makes them."""

BALANCED = """
CREATE FUNCTION hive_balanced(legs bigint[]) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
DECLARE
    total numeric := 0;
    leg bigint;
BEGIN
    FOREACH leg IN ARRAY legs LOOP
        total := total + leg;
    END LOOP;
    RETURN total = 0;
END
$body$;
"""

MONEY = """
-- Append-only. `ref` is the job, or the grant, or the payout batch; each has one entry of a kind.
CREATE TABLE journal (
    day date NOT NULL,
    ref uuid NOT NULL,
    kind text NOT NULL,
    accounts text[] NOT NULL,
    amounts bigint[] NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (day, ref, kind),
    CONSTRAINT journal_kind CHECK (kind IN ('hold', 'settle', 'release', 'refund', 'grant', 'payout')),
    CONSTRAINT journal_legs CHECK (cardinality(accounts) = cardinality(amounts) AND cardinality(amounts) >= 2),
    CONSTRAINT journal_balanced CHECK (hive_balanced(amounts))
) PARTITION BY RANGE (day);

CREATE TABLE payout_channels (
    account text PRIMARY KEY,
    seq bigint NOT NULL,
    open_batch bigint,
    state text NOT NULL DEFAULT 'active',
    CONSTRAINT payout_channels_state CHECK (state IN ('active', 'draining', 'blocked'))
);
CREATE TABLE payout_batches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL REFERENCES payout_channels,
    seq bigint NOT NULL,
    state text NOT NULL,
    memo_root bytea NOT NULL,
    total bigint NOT NULL,
    created_at timestamptz NOT NULL,
    tx_hash text,
    inner_hash text,
    ledger bigint,
    closed_at timestamptz,
    result_xdr text,
    fee_charged bigint,
    reason text,
    -- A batch is bound for life to one sequence number, so two of them can never share one.
    CONSTRAINT payout_batches_one_sequence UNIQUE (channel, seq),
    CONSTRAINT payout_batches_state CHECK (state IN ('open', 'paid', 'failed', 'blocked')),
    CONSTRAINT payout_batches_hash CHECK (state <> 'paid' OR tx_hash IS NOT NULL)
);
-- The next sequence number is taken only after a ledger result for this one.
CREATE UNIQUE INDEX payout_batches_one_open ON payout_batches (channel) WHERE state IN ('open', 'blocked');
CREATE TABLE payout_orders (
    batch_id bigint NOT NULL REFERENCES payout_batches,
    op_index integer NOT NULL,
    recipient text NOT NULL,
    account text NOT NULL,
    amount bigint NOT NULL,
    route text NOT NULL,
    state text NOT NULL DEFAULT 'reserved',
    reason text,
    balance_id text,
    PRIMARY KEY (batch_id, op_index),
    CONSTRAINT payout_orders_amount CHECK (amount > 0),
    CONSTRAINT payout_orders_route CHECK (route IN ('pay', 'claim')),
    CONSTRAINT payout_orders_state CHECK (state IN ('reserved', 'paid', 'returned', 'held'))
);
CREATE TABLE payout_envelopes (
    batch_id bigint NOT NULL REFERENCES payout_batches,
    n integer NOT NULL,
    xdr text NOT NULL,
    outer_hash text NOT NULL UNIQUE,
    inner_hash text NOT NULL,
    max_ledger bigint NOT NULL,
    max_time bigint NOT NULL,
    max_fee bigint NOT NULL,
    status text,
    result_xdr text,
    sends integer NOT NULL DEFAULT 0,
    first_sent timestamptz,
    last_sent timestamptz,
    PRIMARY KEY (batch_id, n)
);
-- What one attempt earned its worker and the three pools: they are paid by the same batch or not at all.
CREATE TABLE payables (
    day date NOT NULL,
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    worker_pk text NOT NULL,
    worker bigint NOT NULL,
    platform bigint NOT NULL,
    resilience bigint NOT NULL,
    quorum bigint NOT NULL,
    route text NOT NULL DEFAULT 'pay',
    state text NOT NULL,
    batch_id bigint,
    reason text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (day, job_id, attempt),
    CONSTRAINT payables_amounts CHECK (worker >= 0 AND platform >= 0 AND resilience >= 0 AND quorum >= 0),
    CONSTRAINT payables_route CHECK (route IN ('pay', 'claim')),
    CONSTRAINT payables_state CHECK (state IN ('accrued', 'ready', 'reserved', 'paid', 'held')),
    -- Without its batch a reserved payable could be reserved, and so paid, again.
    CONSTRAINT payables_batch CHECK ((state IN ('reserved', 'paid')) = (batch_id IS NOT NULL))
) PARTITION BY RANGE (day);
CREATE INDEX payables_waiting ON payables (worker_pk, created_at) WHERE state = 'accrued';
CREATE INDEX payables_due ON payables (worker_pk, created_at) WHERE state = 'ready';
CREATE INDEX payables_bound ON payables (batch_id) WHERE state = 'reserved';
"""

PARTITIONS = """
CREATE FUNCTION hive_make_partitions(first date, last date) RETURNS integer LANGUAGE plpgsql AS $body$
DECLARE
    parent text;
    child text;
    made integer := 0;
    wanted date;
BEGIN
    -- One maker at a time; attaching a finished table does not stop those who read and write its sisters.
    PERFORM pg_advisory_xact_lock(1212765781);
    FOREACH parent IN ARRAY ARRAY['jobs_ended', 'attempts', 'job_events', 'receipts', 'journal', 'payables'] LOOP
        FOR wanted IN SELECT generate_series(first, last, interval '1 day')::date LOOP
            child := parent || to_char(wanted, '_YYYYMMDD');
            CONTINUE WHEN to_regclass(child) IS NOT NULL;
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           parent, child, wanted, wanted + 1);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$body$;
"""
