"""Idempotency keys: the job that a key of an account stands for, for 24 hours."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import text

from coordinator.store.batch import Batch
from coordinator.store.engine import Connection
from coordinator.store.rows import NewJob


class Known(msgspec.Struct, frozen=True):
    """The job that a key stands for, and the hash of the body that it came with."""

    job_id: UUID
    body_hash: str


_new = Batch("n", account_id="uuid", key="text", job_id="uuid", body_hash="text", created_at="timestamptz")
# In the order of the keys, so that two transactions that both bring two keys never wait for each other.
_INSERT = text(f"""
    INSERT INTO idempotency (account_id, key, job_id, body_hash, created_at)
    SELECT account_id, key, job_id, body_hash, created_at FROM {_new.sql} ORDER BY account_id, key
    ON CONFLICT (account_id, key) DO UPDATE
        SET job_id = excluded.job_id, body_hash = excluded.body_hash, created_at = excluded.created_at
        WHERE idempotency.created_at <= excluded.created_at - CAST(:lifetime AS interval)
    RETURNING job_id
""")  # noqa: S608  # names of ours
_wanted = Batch("w", account_id="uuid", key="text")
_GET = text(f"""
    SELECT i.account_id, i.key, i.job_id, i.body_hash FROM {_wanted.sql}
    JOIN idempotency i ON i.account_id = w.account_id AND i.key = w.key
    WHERE i.created_at > :since
""")  # noqa: S608  # names of ours
_FORGET = text("""
    DELETE FROM idempotency WHERE (account_id, key) IN (
        SELECT account_id, key FROM idempotency WHERE created_at <= :before
        ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")


async def take(conn: Connection, jobs: Sequence[tuple[UUID, NewJob]], lifetime: timedelta) -> int:
    """Lets the keys of these jobs stand for the ids beside them where they do not stand for a job younger than `lifetime`
    already; returns for how many."""
    rows = ((j.account_id, j.idempotency_key, id_, j.body_hash, j.created_at) for id_, j in jobs)
    taken = await conn.scalars(_INSERT, _new.bind(rows) | {"lifetime": lifetime})
    return len(taken.all())


async def read(conn: Connection, keys: Sequence[tuple[UUID, str]], since: datetime) -> dict[tuple[UUID, str], Known]:
    """What these (account, key) stand for since then; unknown ones are missing."""
    found = await conn.execute(_GET, _wanted.bind(keys) | {"since": since})
    return {(row.account_id, row.key): Known(row.job_id, row.body_hash) for row in found}


async def forget(conn: Connection, before: datetime, most: int) -> int:
    """Forgets up to `most` keys older than `before`; returns how many."""
    return (await conn.execute(_FORGET, {"before": before, "most": most})).rowcount
