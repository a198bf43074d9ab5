"""What accounts used, by key, day and model: the third migration."""

USAGE = """
-- A row for each, so that what an account used is read at the same cost however many jobs it had.
CREATE TABLE usage_days (
    account_id uuid NOT NULL,
    day date NOT NULL,
    key_id uuid NOT NULL,
    model text NOT NULL,
    jobs bigint NOT NULL,
    tokens_in bigint NOT NULL,
    cached bigint NOT NULL,
    tokens_out bigint NOT NULL,
    cost bigint NOT NULL,
    PRIMARY KEY (account_id, day, key_id, model)
) WITH (fillfactor = 50);
CREATE INDEX usage_days_day ON usage_days (day);
INSERT INTO usage_days
SELECT account_id, CAST(ended_at AT TIME ZONE 'UTC' AS date), key_id, model, count(*), sum(tokens_in), sum(cached_tokens),
    sum(tokens_out), sum(cost)
FROM jobs_ended WHERE state = 'completed' GROUP BY 1, 2, 3, 4;
"""
