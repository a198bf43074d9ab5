"""Kinds of jobs beyond the two thousand millionth: the fifth migration."""

KINDS = """
-- Callers make kinds for ever; ended jobs are written anew for it, once.
ALTER TABLE kinds ALTER COLUMN id TYPE bigint;
ALTER TABLE jobs ALTER COLUMN kind_id TYPE bigint;
ALTER TABLE jobs_ended ALTER COLUMN kind_id TYPE bigint;
"""
