"""Jobs, live and ended, and their history, as the first migration makes them."""

JOBS = """
CREATE TABLE kinds (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    region text NOT NULL,
    countries text[],
    cell bigint,
    strict boolean NOT NULL,
    min_tier smallint NOT NULL,
    min_evidence smallint NOT NULL,
    context integer NOT NULL,
    CONSTRAINT kinds_one_each UNIQUE NULLS NOT DISTINCT
        (model, region, countries, cell, strict, min_tier, min_evidence, context)
);
CREATE TABLE jobs (
    day date NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    key_id uuid NOT NULL,
    kind_id integer NOT NULL,
    model text NOT NULL,
    source text NOT NULL,
    priority text NOT NULL,
    state text NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    lost integer NOT NULL DEFAULT 0,
    tag bigint NOT NULL,
    request bytea NOT NULL,
    tokens_in integer NOT NULL,
    max_tokens integer NOT NULL,
    hold bigint NOT NULL,
    reward bigint,
    seed text NOT NULL,
    salt text NOT NULL,
    store boolean NOT NULL,
    attached boolean NOT NULL,
    created_at timestamptz NOT NULL,
    ready_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    reader_until timestamptz,
    lease_until timestamptz,
    assigned_at timestamptz,
    first_token_at timestamptz,
    worker_pk text,
    worker_cell text,
    coordinator text,
    avoid text[] NOT NULL DEFAULT '{}',
    -- The first moment at which the sweep has to look at this row.
    check_at timestamptz NOT NULL GENERATED ALWAYS AS (least(due_at, lease_until, reader_until)) STORED,
    PRIMARY KEY (day, id),
    CONSTRAINT jobs_state CHECK (state IN ('pending', 'assigned', 'computing')),
    -- A held attempt without an end to its lease would never come back when its worker dies.
    CONSTRAINT jobs_lease CHECK ((state = 'pending') = (lease_until IS NULL)),
    CONSTRAINT jobs_worker CHECK ((state = 'pending') = (worker_pk IS NULL)),
    CONSTRAINT jobs_counts CHECK (attempt >= lost AND lost >= 0 AND hold >= 0)
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX jobs_ready ON jobs (kind_id, tag) WHERE state = 'pending';
CREATE INDEX jobs_check ON jobs (check_at);
CREATE INDEX jobs_account ON jobs (account_id, created_at, id);

CREATE TABLE jobs_ended (
    day date NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    key_id uuid NOT NULL,
    kind_id integer NOT NULL,
    model text NOT NULL,
    source text NOT NULL,
    priority text NOT NULL,
    state text NOT NULL,
    attempt integer NOT NULL,
    lost integer NOT NULL,
    request bytea,
    tokens_in integer NOT NULL,
    max_tokens integer NOT NULL,
    hold bigint NOT NULL,
    reward bigint,
    seed text NOT NULL,
    salt text NOT NULL,
    store boolean NOT NULL,
    created_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    assigned_at timestamptz,
    first_token_at timestamptz,
    ended_at timestamptz NOT NULL,
    worker_pk text,
    worker_cell text,
    tokens_out integer NOT NULL,
    tokens_per_second double precision,
    result bytea,
    result_ids integer[],
    finish_reason text,
    error_code text,
    error_message text,
    cost bigint NOT NULL,
    purge_at timestamptz,
    PRIMARY KEY (day, id),
    CONSTRAINT jobs_ended_state CHECK (state IN ('completed', 'failed', 'timed_out', 'cancelled')),
    -- Nobody ever pays more than was held.
    CONSTRAINT jobs_ended_cost CHECK (cost BETWEEN 0 AND hold),
    -- What is purged is purged whole.
    CONSTRAINT jobs_ended_purged CHECK
        (purge_at IS NOT NULL OR (request IS NULL AND result IS NULL AND result_ids IS NULL))
) PARTITION BY RANGE (day);
CREATE INDEX jobs_ended_account ON jobs_ended (account_id, created_at, id);
CREATE INDEX jobs_ended_purge ON jobs_ended (purge_at) WHERE purge_at IS NOT NULL;

CREATE TABLE attempts (
    day date NOT NULL,
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    worker_pk text NOT NULL,
    coordinator text NOT NULL,
    cell text NOT NULL,
    price bigint NOT NULL,
    assigned_at timestamptz NOT NULL,
    ended_at timestamptz,
    outcome text,
    reason text,
    PRIMARY KEY (day, job_id, attempt)
) PARTITION BY RANGE (day);

-- An event happens at most once in an attempt, so the key needs no counter.
CREATE TABLE job_events (
    day date NOT NULL,
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    event text NOT NULL,
    at timestamptz NOT NULL,
    worker_pk text,
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (day, job_id, attempt, event)
) PARTITION BY RANGE (day);

CREATE TABLE receipts (
    day date NOT NULL,
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    receipt bytea NOT NULL,
    worker_signature text NOT NULL,
    coordinator_signature text NOT NULL,
    coordinator_pk text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (day, job_id, attempt)
) PARTITION BY RANGE (day);

CREATE TABLE tallies (
    day date NOT NULL,
    state text NOT NULL,
    jobs bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    PRIMARY KEY (day, state)
) WITH (fillfactor = 20);
"""
