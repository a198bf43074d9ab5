"""Accounts, keys, idempotency keys, workers and models, as the first migration makes them."""

PEOPLE = """
CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE keys (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    name text NOT NULL,
    hash text NOT NULL UNIQUE,
    prefix text NOT NULL,
    plan text,
    models text[],
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX keys_account ON keys (account_id, created_at);
-- One guarded row per account: two submits at once cannot both take the last stroop.
CREATE TABLE spend (
    account_id uuid PRIMARY KEY REFERENCES accounts,
    credit bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    CONSTRAINT spend_within_credit CHECK (held >= 0 AND spent >= 0 AND held + spent <= credit)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
CREATE TABLE key_spend (
    key_id uuid PRIMARY KEY REFERENCES keys,
    budget bigint,
    held bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    CONSTRAINT key_spend_within_budget CHECK
        (held >= 0 AND spent >= 0 AND held + spent <= coalesce(budget, held + spent))
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
CREATE TABLE idempotency (
    account_id uuid NOT NULL,
    key text NOT NULL,
    job_id uuid NOT NULL,
    body_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
"""

SWARM = """
CREATE TABLE workers (
    pk text PRIMARY KEY,
    handle text,
    cell bigint NOT NULL,
    tier smallint NOT NULL DEFAULT 0,
    evidence smallint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'probation',
    capabilities bytea NOT NULL,
    countries text[] NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    CONSTRAINT workers_rungs CHECK (tier BETWEEN 0 AND 4 AND evidence BETWEEN 0 AND 4),
    CONSTRAINT workers_state CHECK (state IN ('probation', 'active', 'suspended', 'revoked'))
) WITH (fillfactor = 70);
CREATE INDEX workers_seen ON workers (last_seen);
CREATE TABLE models (
    id text NOT NULL,
    digest text NOT NULL,
    context integer NOT NULL,
    size_bytes bigint NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (id, digest)
);
"""
