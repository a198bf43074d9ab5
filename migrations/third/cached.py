"""Answers that may be given again: the third migration."""

CACHED = """
-- What makes a request the same again, SHA-256; a job has it whose answer may be given again.
ALTER TABLE jobs ADD COLUMN cache_key bytea;
-- The last job that answered, by account and by where its key falls: each account has so many places and no more. The text
-- stays with the job, and is gone when that is purged.
CREATE TABLE cached_answers (
    account_id uuid NOT NULL,
    place smallint NOT NULL,
    cache_key bytea NOT NULL,
    job_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, place)
);
CREATE INDEX cached_answers_age ON cached_answers (created_at);
"""
