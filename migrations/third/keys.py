"""What a key may do, until when and how often, and how its budget grows: the third migration."""

KEYS = """
-- NULL is all scopes, no end, and the plan's limits. The secret before the last rotation works until its own end.
ALTER TABLE keys
    ADD COLUMN scopes text[],
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN rpm bigint,
    ADD COLUMN tpm bigint,
    ADD COLUMN at_once integer,
    ADD COLUMN old_hash text UNIQUE,
    ADD COLUMN old_until timestamptz,
    ADD CONSTRAINT keys_limits CHECK (rpm > 0 AND tpm > 0 AND at_once > 0),
    ADD CONSTRAINT keys_old CHECK ((old_hash IS NULL) = (old_until IS NULL));
-- A budget grows by `recharge` when a hold does not fit or less than `recharge_below` is left, up to `recharge_daily` a day.
ALTER TABLE key_spend
    ADD COLUMN recharge bigint,
    ADD COLUMN recharge_below bigint NOT NULL DEFAULT 0,
    ADD COLUMN recharge_daily bigint,
    ADD COLUMN recharged bigint NOT NULL DEFAULT 0,
    ADD COLUMN recharged_on date,
    ADD CONSTRAINT key_spend_recharge CHECK
        (recharge > 0 AND recharge_below >= 0 AND recharge_daily > 0 AND recharged >= 0);
-- How far a key has used up what it may do: for `requests` and `tokens` the moment at which all of it is free again, for
-- `day` the start of the day and the day's requests on top; in ns since 1970. One row decides for all coordinators.
CREATE TABLE limits (
    key_id uuid NOT NULL,
    what text NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (key_id, what),
    CONSTRAINT limits_what CHECK (what IN ('requests', 'day', 'tokens'))
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
-- How many ns of its key's tokens a job was charged for each token; 0 where the key has no such limit.
ALTER TABLE jobs ADD COLUMN token_ns bigint NOT NULL DEFAULT 0;
"""
