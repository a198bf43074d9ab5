"""Files and batches, as OpenAI has them: the fourth migration."""

FILES = """
-- A file is there for its owner once it is whole; until then `bytes` is what it may come to, so that the quota holds for what
-- is on its way, or of a batch's own files what they have so far.
CREATE TABLE files (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    purpose text NOT NULL,
    filename text NOT NULL,
    bytes bigint NOT NULL,
    whole boolean NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT files_purpose CHECK (purpose IN ('batch', 'batch_output')),
    CONSTRAINT files_bytes CHECK (bytes >= 0)
);
CREATE INDEX files_account ON files (account_id, created_at, id);
CREATE INDEX files_expiry ON files (expires_at);
-- A piece of a file and where it begins: two that write the same place cannot both have written it.
CREATE TABLE file_chunks (
    file_id uuid NOT NULL REFERENCES files ON DELETE CASCADE,
    at bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (file_id, at)
);
-- `next_line` and `next_at` say which line of the input file is read next and where it begins; the lines before it are in
-- batch_lines or told in one of the batch's files. `turn` counts those who worked on it: of two the later is believed.
-- `due_at` is when somebody has to look again, also where whoever has the turn is gone. `feed_at` is when its next lines
-- may become jobs, `short_since` since when they could not, for want of money or workers.
CREATE TABLE batches (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    key_id uuid NOT NULL,
    endpoint text NOT NULL,
    input_file uuid NOT NULL,
    headers bytea NOT NULL,
    metadata bytea NOT NULL,
    output_seconds integer NOT NULL,
    status text NOT NULL,
    model text,
    errors bytea,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    in_progress_at timestamptz,
    finalizing_at timestamptz,
    cancelling_at timestamptz,
    ended_at timestamptz,
    total integer NOT NULL DEFAULT 0,
    completed integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    tokens_in bigint NOT NULL DEFAULT 0,
    cached bigint NOT NULL DEFAULT 0,
    tokens_out bigint NOT NULL DEFAULT 0,
    reasoning bigint NOT NULL DEFAULT 0,
    next_line integer NOT NULL DEFAULT 1,
    next_at bigint NOT NULL DEFAULT 0,
    output_file uuid,
    error_file uuid,
    turn bigint NOT NULL DEFAULT 0,
    due_at timestamptz,
    feed_at timestamptz NOT NULL,
    short_since timestamptz,
    CONSTRAINT batches_status CHECK (status IN
        ('validating', 'in_progress', 'finalizing', 'cancelling', 'completed', 'failed', 'expired', 'cancelled')),
    -- One that has ended and is still due would be worked on for ever, one that has not and is not due never.
    CONSTRAINT batches_ended CHECK
        ((due_at IS NULL) = (ended_at IS NOT NULL)
            AND (due_at IS NULL) = (status IN ('completed', 'failed', 'expired', 'cancelled'))),
    -- A line that is told of twice would be counted twice.
    CONSTRAINT batches_counts CHECK (completed >= 0 AND failed >= 0 AND completed + failed <= total)
) WITH (fillfactor = 50);
CREATE INDEX batches_due ON batches (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX batches_account ON batches (account_id, created_at, id);
CREATE INDEX batches_input ON batches (input_file) WHERE due_at IS NOT NULL;
CREATE INDEX batches_over ON batches (ended_at) WHERE ended_at IS NOT NULL;
-- The lines that were read and are not told of yet: `job_id` is the job, or the parent, that a line became.
CREATE TABLE batch_lines (
    batch_id uuid NOT NULL REFERENCES batches ON DELETE CASCADE,
    line integer NOT NULL,
    custom_id text NOT NULL,
    body bytea NOT NULL,
    job_id uuid,
    PRIMARY KEY (batch_id, line)
);
"""
