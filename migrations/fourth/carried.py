"""What was made of a job whose worker was lost, for whichever coordinator has it continued: the fourth migration."""

CARRIED = """
-- The ids of the tokens that went out, as MessagePack; NULL while none did, or where they are not known.
ALTER TABLE jobs ADD COLUMN made bytea;
"""
