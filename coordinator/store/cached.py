"""The jobs whose answers may be given again. Each account has PLACES of them, by its keys' first bits: a new answer takes the
place of the one before it."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from coordinator.queue.lifecycle import State
from coordinator.store.engine import Connection

PLACES: Final = 1 << 14
_PLACE: Final = "CAST(get_byte({key}, 0) * 64 + get_byte({key}, 1) / 4 AS smallint)"
"""The first 14 bits of a key."""

# A part of the statement that ends jobs, whose `gone` are just moved: in the order of the places, so that two of them never
# wait for each other, and of two jobs with one key the younger.
KEEP: Final = f"""
    cached AS (
        INSERT INTO cached_answers AS old (account_id, place, cache_key, job_id, created_at)
        SELECT DISTINCT ON (account_id, place) account_id, {_PLACE.format(key="cache_key")} AS place, cache_key, id, :now
        FROM gone WHERE cache_key IS NOT NULL AND state = '{State.COMPLETED}' ORDER BY account_id, place, id DESC
        ON CONFLICT (account_id, place) DO UPDATE
        SET cache_key = excluded.cache_key, job_id = excluded.job_id, created_at = excluded.created_at)
"""  # noqa: S608  # names of ours
_FIND = text(f"""
    SELECT job_id FROM cached_answers
    WHERE account_id = :account_id AND place = {_PLACE.format(key="CAST(:key AS bytea)")} AND cache_key = :key
        AND created_at > :since
""")  # noqa: S608  # names of ours
_FORGET = text("""
    DELETE FROM cached_answers WHERE (account_id, place) IN (
        SELECT account_id, place FROM cached_answers WHERE created_at <= :before
        ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")


async def find(conn: Connection, account_id: UUID, key: bytes, since: datetime) -> UUID | None:
    """The job that has answered a request of this key for the account since then; None if none has."""
    found: UUID | None = await conn.scalar(_FIND, {"account_id": account_id, "key": key, "since": since})
    return found


async def forget(conn: Connection, before: datetime, most: int) -> int:
    """Forgets up to `most` answers older than `before`; returns how many."""
    return (await conn.execute(_FORGET, {"before": before, "most": most})).rowcount
