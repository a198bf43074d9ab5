"""Where each worker is connected, for a fleet of several coordinators: the fourth migration."""

SESSIONS = """
-- The coordinator that has the worker's socket, or NULL; a coordinator of an earlier version says nothing here.
ALTER TABLE workers ADD COLUMN coordinator text;
-- Counts the worker's sessions, over all coordinators: of two, the one with the higher number is the one that counts.
ALTER TABLE workers ADD COLUMN session bigint NOT NULL DEFAULT 0;
"""
