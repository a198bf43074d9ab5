"""Parked jobs: of a key with a cap those that are not let in yet. They are let in by whoever holds the key's row in
`key_spend`, so that no two let in too many."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from coordinator.store.batch import Batch
from coordinator.store.engine import Connection, statement

# The newest parked job knows best how many its key may have at once.
_ROOM = """
    CROSS JOIN LATERAL (
        SELECT j.at_once FROM jobs j WHERE j.key_id = w.key_id AND j.parked ORDER BY j.tag DESC LIMIT 1) AS cap
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM (
            SELECT 1 FROM jobs j WHERE j.key_id = w.key_id AND j.at_once IS NOT NULL AND NOT j.parked
            LIMIT cap.at_once) x) AS let_in
"""
_keys = Batch("w", key_id="uuid")
# Whoever ends a parked job holds its row and waits for the key's: such a row is left alone, not waited for. The rows are
# found by arrays of their keys: a join may be turned round, and walk through all jobs to find few.
PROMOTE = f"""
    WITH next AS MATERIALIZED (
        SELECT p.day, p.id FROM {_keys.sql} {_ROOM}
        CROSS JOIN LATERAL (
            SELECT j.day, j.id FROM jobs j WHERE j.key_id = w.key_id AND j.parked
            ORDER BY j.tag LIMIT cap.at_once - let_in.jobs FOR UPDATE SKIP LOCKED) AS p)
    UPDATE jobs j SET parked = false, promoted_at = :now, ready_at = :now
    WHERE j.day = ANY(ARRAY(SELECT day FROM next)) AND j.id = ANY(ARRAY(SELECT id FROM next)) RETURNING j.kind_id
"""  # noqa: S608  # names of ours
# From one key with parked jobs to the next by their index, as with kinds.
IDLE = f"""
    WITH RECURSIVE parking AS (
        (SELECT key_id FROM jobs WHERE parked ORDER BY key_id LIMIT 1)
        UNION ALL
        SELECT (SELECT j.key_id FROM jobs j WHERE j.parked AND j.key_id > p.key_id ORDER BY j.key_id LIMIT 1)
        FROM parking p WHERE p.key_id IS NOT NULL)
    SELECT w.key_id FROM (SELECT key_id FROM parking WHERE key_id IS NOT NULL) AS w {_ROOM}
    WHERE let_in.jobs < cap.at_once LIMIT :most
"""  # noqa: S608  # a statement of ours
LOCK = "SELECT key_id FROM key_spend WHERE key_id = ANY(:keys) ORDER BY key_id FOR UPDATE"


async def promote(conn: Connection, keys: Collection[UUID], now: datetime) -> set[int]:
    """Lets in the first parked jobs of these keys, whose rows in `key_spend` this transaction has locked, as many as have
    room; returns the kinds of those."""
    if not keys:
        return set()
    return set(await conn.scalars(statement(PROMOTE), _keys.bind((key,) for key in keys) | {"now": now}))


async def idle(conn: Connection, most: int) -> list[UUID]:
    """Up to `most` keys that have room and parked jobs."""
    return list(await conn.scalars(statement(IDLE), {"most": most}))


async def lock(conn: Connection, keys: Collection[UUID]) -> None:
    """Locks the rows of these keys in `key_spend`, in the order in which everybody does."""
    await conn.execute(statement(LOCK), {"keys": list(keys)})
