"""How far each coordinator has come in virtual time: the fourth migration."""

CLOCKS = """
-- A row for each coordinator, written by that one alone, once a second at most: how far the jobs that it gave away have come.
CREATE TABLE queue_clocks (
    coordinator text PRIMARY KEY,
    virtual bigint NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 20);
"""
