"""Keys that have so many jobs at once and no more: the third migration."""

PARKED = """
-- Of a key with a cap (`at_once`, as it was when the job came) the jobs beyond it are parked: pending, but not in the index
-- that is claimed from, or one key at its cap would stand at the head of every kind.
ALTER TABLE jobs
    ADD COLUMN at_once integer,
    ADD COLUMN parked boolean NOT NULL DEFAULT false,
    ADD COLUMN promoted_at timestamptz;
-- Since when a job looks for a worker: its search widens from then on.
ALTER TABLE jobs ADD COLUMN since timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(promoted_at, created_at)) STORED;
-- A parked job that is held would run beside those that are let in, and be let in once more.
ALTER TABLE jobs ADD CONSTRAINT jobs_parked_waits CHECK (NOT parked OR (state = 'pending' AND at_once IS NOT NULL));
DROP INDEX jobs_ready;
CREATE INDEX jobs_ready ON jobs (kind_id, tag) WHERE state = 'pending' AND NOT parked;
CREATE INDEX jobs_parked ON jobs (key_id, tag) WHERE parked;
CREATE INDEX jobs_let_in ON jobs (key_id) WHERE at_once IS NOT NULL AND NOT parked;
"""
