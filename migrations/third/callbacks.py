"""What is to be told of a job's end to the address that its caller named: the third migration."""

CALLBACKS = """
-- A row for each submission with a callback, under the id that its caller knows: the job's or the parent's. `calls` only
-- ever grows: it tells the outcome of one call from that of another. A row whose end was missed is due by itself when its
-- jobs must have ended.
CREATE TABLE callbacks (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    host text NOT NULL,
    url text NOT NULL,
    shape text NOT NULL,
    state text NOT NULL,
    jobs_left integer NOT NULL,
    due_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    calls integer NOT NULL DEFAULT 0,
    last_at timestamptz,
    last_status integer,
    last_reason text,
    created_at timestamptz NOT NULL,
    over_at timestamptz,
    CONSTRAINT callbacks_state CHECK (state IN ('waiting', 'delivered', 'dead')),
    CONSTRAINT callbacks_shape CHECK (shape IN ('hive', 'thehive')),
    -- Without its end an old row would never be forgotten.
    CONSTRAINT callbacks_over CHECK ((state = 'waiting') = (over_at IS NULL)),
    CONSTRAINT callbacks_counts CHECK (jobs_left >= 0 AND calls >= tries AND tries >= 0)
) WITH (fillfactor = 70);
CREATE INDEX callbacks_lanes ON callbacks (account_id, host, due_at) WHERE state = 'waiting';
CREATE INDEX callbacks_account ON callbacks (account_id, state, created_at, id);
-- By an expression, so that nobody who looks for the next lane walks through all that waits instead.
CREATE INDEX callbacks_state ON callbacks ((state || ''), created_at, id);
CREATE INDEX callbacks_over ON callbacks (over_at) WHERE over_at IS NOT NULL;
-- Which of the secrets that follow from the coordinator's own an account signs with; none of them is kept.
CREATE TABLE webhook_secrets (
    account_id uuid PRIMARY KEY REFERENCES accounts,
    generation integer NOT NULL,
    rotated_at timestamptz NOT NULL,
    CONSTRAINT webhook_secrets_generation CHECK (generation > 1)
);
ALTER TABLE jobs ADD COLUMN callback boolean NOT NULL DEFAULT false;
"""
