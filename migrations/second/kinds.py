"""What a job may ask of a worker's engine, price and owner, and what of its prompt was cached: the second migration."""

KINDS = """
ALTER TABLE kinds
    ADD COLUMN needs smallint NOT NULL DEFAULT 0,
    ADD COLUMN price smallint NOT NULL DEFAULT 0,
    ADD COLUMN owner uuid;
ALTER TABLE kinds DROP CONSTRAINT kinds_one_each;
ALTER TABLE kinds ADD CONSTRAINT kinds_one_each UNIQUE NULLS NOT DISTINCT
    (model, region, countries, cell, strict, min_tier, min_evidence, context, needs, price, owner);
ALTER TABLE jobs_ended ADD COLUMN cached_tokens integer NOT NULL DEFAULT 0;
"""
