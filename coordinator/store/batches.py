"""Batches of requests: how each stands, and whose turn it is to go on with it. A write in a turn believes that it still is
that turn; where it is not, another goes on and nothing of it may hold."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import text

from coordinator.store.engine import Connection
from coordinator.store.rows import Row

Status = Literal[
    "validating", "in_progress", "finalizing", "cancelling", "completed", "failed", "expired", "cancelled"
]  # fmt: skip
End = Literal["completed", "failed", "expired", "cancelled"]
LIVE: Final[tuple[Status, ...]] = ("validating", "in_progress", "finalizing", "cancelling")


class BatchRow(Row, frozen=True):
    """A batch; see the migration for what its columns mean. `headers` and `metadata` are JSON objects of text, `errors` the
    JSON of what is wrong with its input file."""

    id: UUID
    account_id: UUID
    key_id: UUID
    endpoint: str
    input_file: UUID
    headers: bytes
    metadata: bytes
    output_seconds: int
    status: Status
    created_at: datetime
    expires_at: datetime
    feed_at: datetime
    model: str | None = None
    errors: bytes | None = None
    in_progress_at: datetime | None = None
    finalizing_at: datetime | None = None
    cancelling_at: datetime | None = None
    ended_at: datetime | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    tokens_in: int = 0
    cached: int = 0
    tokens_out: int = 0
    reasoning: int = 0
    next_line: int = 1
    next_at: int = 0
    output_file: UUID | None = None
    error_file: UUID | None = None
    turn: int = 0
    due_at: datetime | None = None
    short_since: datetime | None = None


class Told(Row, frozen=True):
    """What lines that are told of add to the numbers of their batch."""

    completed: int = 0
    failed: int = 0
    tokens_in: int = 0
    cached: int = 0
    tokens_out: int = 0
    reasoning: int = 0


_FIELDS = BatchRow.__struct_fields__
_COLUMNS = ", ".join(_FIELDS)
_INSERT = text(f"INSERT INTO batches ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in _FIELDS)})")  # noqa: S608  # of ours
_GET = text(f"SELECT {_COLUMNS} FROM batches WHERE id = :id AND account_id = :account_id")  # noqa: S608  # columns of ours
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM batches WHERE account_id = :account_id AND (created_at, id) < (:at, CAST(:id AS uuid))
    ORDER BY created_at DESC, id DESC LIMIT :most
""")  # noqa: S608  # columns of ours
_SAME = text(f"""
    SELECT {_COLUMNS} FROM batches WHERE input_file = :input_file AND due_at IS NOT NULL AND key_id = :key_id
        AND endpoint = :endpoint AND headers = :headers AND metadata = :metadata AND output_seconds = :output_seconds
        AND created_at > :since
    ORDER BY created_at DESC LIMIT 1
""")  # noqa: S608  # columns of ours
_LIVE = text("SELECT count(*) FROM batches WHERE account_id = :account_id AND status = ANY(:live)")
_CANCEL = text("""
    UPDATE batches SET status = 'cancelling', cancelling_at = :now, due_at = :now
    WHERE id = :id AND account_id = :account_id AND status IN ('validating', 'in_progress')
""")
# An array is looked up by the key; joined to what is due, a small table would rather be walked, and that kept to when it
# has grown.
CLAIM = f"""
    UPDATE batches SET turn = turn + 1, due_at = :until WHERE id = ANY(ARRAY(
        SELECT id FROM batches WHERE due_at <= :now ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED))
    RETURNING {_COLUMNS}
"""  # noqa: S608  # columns of ours
_CLAIM = text(CLAIM)
_MINE = text("SELECT 1 FROM batches WHERE id = :id AND turn = :turn FOR NO KEY UPDATE")
_RENEW = text("""
    UPDATE batches SET due_at = :until
    WHERE id = :id AND turn = :turn AND status = :status AND due_at IS NOT NULL
""")
_CHECKED = text("""
    UPDATE batches SET status = 'in_progress', in_progress_at = :now, total = :total, model = :model
    WHERE id = :id AND turn = :turn AND status = 'validating'
""")
_READ_ON = text("UPDATE batches SET next_line = :next_line, next_at = :next_at WHERE id = :id")
_FILED = text("UPDATE batches SET output_file = :output_file, error_file = :error_file WHERE id = :id")
_ADD = text("""
    UPDATE batches SET completed = completed + :completed, failed = failed + :failed, tokens_in = tokens_in + :tokens_in,
        cached = cached + :cached, tokens_out = tokens_out + :tokens_out, reasoning = reasoning + :reasoning
    WHERE id = :id
""")
_REST = text("""
    UPDATE batches SET turn = turn + 1, due_at = :due_at, feed_at = :feed_at, short_since = :short_since
    WHERE id = :id AND turn = :turn AND status = :status AND due_at IS NOT NULL
""")
_FINALIZE = text("""
    UPDATE batches SET status = 'finalizing', finalizing_at = :now
    WHERE id = :id AND turn = :turn AND status = 'in_progress'
""")
_END = text("UPDATE batches SET status = :status, errors = :errors, ended_at = :now, due_at = NULL WHERE id = :id")
_FORGET = text("""
    DELETE FROM batches WHERE id = ANY(ARRAY(
        SELECT id FROM batches WHERE ended_at <= :before ORDER BY ended_at LIMIT :most FOR UPDATE SKIP LOCKED))
""")


async def insert(conn: Connection, row: BatchRow) -> None:
    """Makes a batch."""
    await conn.execute(_INSERT, {name: getattr(row, name) for name in _FIELDS})


async def get(conn: Connection, account_id: UUID, id_: UUID) -> BatchRow | None:
    """An account's batch, None if it has none of this id."""
    row = (await conn.execute(_GET, {"id": id_, "account_id": account_id})).one_or_none()
    return None if row is None else BatchRow(**row._mapping)


async def page(conn: Connection, account_id: UUID, after: tuple[datetime, UUID] | None, most: int) -> list[BatchRow]:
    """An account's batches, the newest first, after the one made at that time under that id."""
    at, id_ = after or (datetime.max.replace(tzinfo=UTC), UUID(int=0))
    rows = await conn.execute(_PAGE, {"account_id": account_id, "at": at, "id": id_, "most": most})
    return [BatchRow(**row._mapping) for row in rows]


async def same(conn: Connection, asked: BatchRow, since: datetime) -> BatchRow | None:
    """A live batch that was asked for in the same words since then, by the same key; None if there is none."""
    names = ("input_file", "key_id", "endpoint", "headers", "metadata", "output_seconds")
    row = (await conn.execute(_SAME, {name: getattr(asked, name) for name in names} | {"since": since})).one_or_none()
    return None if row is None else BatchRow(**row._mapping)


async def live(conn: Connection, account_id: UUID) -> int:
    """How many of an account's batches have not ended."""
    return int(await conn.scalar(_LIVE, {"account_id": account_id, "live": list(LIVE)}))


async def cancel(conn: Connection, account_id: UUID, id_: UUID, now: datetime) -> bool:
    """Has a batch end at once with what it has; False if it is about to end, or has ended."""
    return (await conn.execute(_CANCEL, {"id": id_, "account_id": account_id, "now": now})).rowcount == 1


async def claim(conn: Connection, now: datetime, until: datetime, most: int) -> list[BatchRow]:
    """Takes the turn at up to `most` batches that are due and that nobody else is just taking; it is over at `until`."""
    return [BatchRow(**row._mapping) for row in await conn.execute(_CLAIM, {"now": now, "until": until, "most": most})]


async def is_mine(conn: Connection, batch: BatchRow) -> bool:
    """Locks the batch; whether it still is the turn in which it was claimed."""
    return (await conn.scalar(_MINE, {"id": batch.id, "turn": batch.turn})) is not None


async def renew(conn: Connection, batch: BatchRow, until: datetime) -> bool:
    """Prolongs a turn; False if it is over, or the batch was cancelled meanwhile: then it is due already, and stays so."""
    values = {"id": batch.id, "turn": batch.turn, "status": batch.status, "until": until}
    return (await conn.execute(_RENEW, values)).rowcount == 1


async def checked(conn: Connection, batch: BatchRow, total: int, model: str, now: datetime) -> bool:
    """The input file is in order and has so many requests of this model; False if the turn is over or it is cancelled."""
    values = {"id": batch.id, "turn": batch.turn, "total": total, "model": model, "now": now}
    return (await conn.execute(_CHECKED, values)).rowcount == 1


async def read_on(conn: Connection, id_: UUID, next_line: int, next_at: int) -> None:
    """Of the input file all before this line has been read."""
    await conn.execute(_READ_ON, {"id": id_, "next_line": next_line, "next_at": next_at})


async def filed(conn: Connection, id_: UUID, output_file: UUID | None, error_file: UUID | None) -> None:
    """These are the batch's own files."""
    await conn.execute(_FILED, {"id": id_, "output_file": output_file, "error_file": error_file})


async def add(conn: Connection, id_: UUID, told: Told) -> None:
    """Counts lines that are told of."""
    await conn.execute(_ADD, {"id": id_} | {name: getattr(told, name) for name in Told.__struct_fields__})


async def rest(
    conn: Connection, batch: BatchRow, due_at: datetime, feed_at: datetime, short_since: datetime | None
) -> None:
    """Ends a turn, which nobody can prolong any more; somebody looks again at `due_at`. A batch that was cancelled meanwhile is
    due already, and stays so."""
    values = {"due_at": due_at, "feed_at": feed_at, "short_since": short_since}
    await conn.execute(_REST, values | {"id": batch.id, "turn": batch.turn, "status": batch.status})


async def finalize(conn: Connection, batch: BatchRow, now: datetime) -> bool:
    """All lines are told of; False if the turn is over or it was cancelled before."""
    return (await conn.execute(_FINALIZE, {"id": batch.id, "turn": batch.turn, "now": now})).rowcount == 1


async def end(conn: Connection, id_: UUID, status: End, now: datetime, errors: bytes | None = None) -> None:
    """The end of a locked batch."""
    await conn.execute(_END, {"id": id_, "status": status, "now": now, "errors": errors})


async def forget(conn: Connection, before: datetime, most: int) -> int:
    """Forgets up to `most` batches that had ended before then; returns how many."""
    return (await conn.execute(_FORGET, {"before": before, "most": most})).rowcount


def files_of(batch: BatchRow) -> Iterable[UUID]:
    """The batch's own files, as far as there are any."""
    return [file for file in (batch.output_file, batch.error_file) if file is not None]
