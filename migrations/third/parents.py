"""Jobs that belong together, and by what a repeated request is known: the third migration."""

PARENTS = """
-- A request for several answers is several jobs under one parent's id, which has no row of its own. A `copy` is another
-- answer to a prompt that is paid for already.
ALTER TABLE jobs
    ADD COLUMN parent uuid,
    ADD COLUMN choice smallint NOT NULL DEFAULT 0,
    ADD COLUMN copy boolean NOT NULL DEFAULT false,
    ADD COLUMN body_hash bytea;
CREATE INDEX jobs_parent ON jobs (parent) WHERE parent IS NOT NULL;
ALTER TABLE jobs_ended
    ADD COLUMN parent uuid,
    ADD COLUMN choice smallint NOT NULL DEFAULT 0,
    ADD COLUMN copy boolean NOT NULL DEFAULT false,
    ADD COLUMN body_hash bytea;
CREATE INDEX jobs_ended_parent ON jobs_ended (parent) WHERE parent IS NOT NULL;
"""
