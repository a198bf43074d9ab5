"""The day's sums of ended jobs in parts: the fifth migration."""

PARTS = """
-- As tallies, to which coordinators of the fourth version add, but one row for each of several connections: every job of every
-- coordinator is in these sums, and they would wait for each other at a single row.
CREATE TABLE tally_parts (
    day date NOT NULL,
    state text NOT NULL,
    part smallint NOT NULL,
    jobs bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    PRIMARY KEY (day, state, part)
) WITH (fillfactor = 20);
"""
