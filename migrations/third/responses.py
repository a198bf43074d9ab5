"""What a response says again of what was asked for: the third migration."""

RESPONSES = """
-- JSON; only a job of a stored response has it, and what is purged of the job is purged of it.
ALTER TABLE jobs ADD COLUMN echo bytea;
ALTER TABLE jobs_ended ADD COLUMN echo bytea;
"""
