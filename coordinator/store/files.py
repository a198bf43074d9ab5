"""Files that accounts keep here: what is known of each, and its bytes in pieces."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import text

from coordinator.store.engine import Connection
from coordinator.store.rows import Row

Purpose = Literal["batch", "batch_output"]
CHUNK: Final = 256 * 1024
"""How many bytes a piece has at most."""


class FileRow(Row, frozen=True):
    """A file; `bytes` is its size, and of one that is not `whole` yet what it may come to, or has so far."""

    id: UUID
    account_id: UUID
    purpose: Purpose
    filename: str
    bytes: int
    whole: bool
    created_at: datetime
    expires_at: datetime


_COLUMNS = "id, account_id, purpose, filename, bytes, whole, created_at, expires_at"
_LOCK_ACCOUNT = text("SELECT 1 FROM accounts WHERE id = :account_id FOR NO KEY UPDATE")
_RESERVE = text(f"""
    INSERT INTO files ({_COLUMNS})
    SELECT :id, CAST(:account_id AS uuid), :purpose, :filename, CAST(:bytes AS bigint), :whole, :created_at, :expires_at
    WHERE (SELECT coalesce(sum(f.bytes), 0) FROM files f WHERE f.account_id = :account_id) + CAST(:bytes AS bigint) <= :quota
""")  # noqa: S608  # columns of ours
_INSERT = text(f"""
    INSERT INTO files ({_COLUMNS})
    VALUES (:id, :account_id, :purpose, :filename, :bytes, :whole, :created_at, :expires_at)
""")  # noqa: S608  # columns of ours
_WRITE = text("INSERT INTO file_chunks (file_id, at, data) VALUES (:id, :at, :data)")
_GROW = text("UPDATE files SET bytes = bytes + :bytes WHERE id = :id RETURNING bytes - :bytes")
_SEAL = text("""
    UPDATE files SET whole = true, bytes = :bytes, filename = :filename, created_at = :created_at, expires_at = :expires_at
    WHERE id = :id AND NOT whole
""")
_FINISH = text("""
    UPDATE files SET whole = true, created_at = :created_at, expires_at = :expires_at WHERE id = ANY(:ids) AND NOT whole
""")
_GET = text(f"SELECT {_COLUMNS} FROM files WHERE id = :id AND account_id = :account_id AND whole")  # noqa: S608  # of ours
_PAGE = """
    SELECT {columns} FROM files WHERE account_id = :account_id AND whole AND purpose = ANY(:purposes)
        AND (created_at, id) {beyond} (:at, CAST(:id AS uuid))
    ORDER BY created_at {order}, id {order} LIMIT :most
"""
_PAGES = {
    "desc": text(_PAGE.format(columns=_COLUMNS, beyond="<", order="DESC")),
    "asc": text(_PAGE.format(columns=_COLUMNS, beyond=">", order="ASC")),
}
READ = """
    SELECT at, data FROM file_chunks WHERE file_id = :id AND at >= coalesce(
        (SELECT c.at FROM file_chunks c WHERE c.file_id = :id AND c.at <= :at ORDER BY c.at DESC LIMIT 1), :at)
    ORDER BY at LIMIT 1
"""
_READ = text(READ)
_LOCK = text("SELECT 1 FROM files WHERE id = :id AND account_id = :account_id AND whole FOR UPDATE")
_KEEP = text(f"SELECT {_COLUMNS} FROM files WHERE id = :id AND account_id = :account_id AND whole FOR KEY SHARE")  # noqa: S608  # of ours
# The offset keeps it from being joined: each file is looked up by itself.
_UNUSED = "NOT EXISTS (SELECT 1 FROM batches b WHERE b.input_file = f.id AND b.due_at IS NOT NULL OFFSET 0)"
_DELETE = text(f"""
    UPDATE files f SET whole = false, bytes = 0, expires_at = :now WHERE f.id = :id AND {_UNUSED}
""")  # noqa: S608  # names of ours
_DROP = text("DELETE FROM files WHERE id = :id AND NOT whole")
# The last pieces go first: of a file of which some are gone, somebody who is reading it finds that it ends there.
PURGE_PIECES = f"""
    DELETE FROM file_chunks WHERE ctid = ANY(ARRAY(
        SELECT c.ctid FROM files f CROSS JOIN LATERAL (
            SELECT p.ctid, p.at FROM file_chunks p WHERE p.file_id = f.id ORDER BY p.at DESC LIMIT :most) AS c
        WHERE f.expires_at <= :now AND {_UNUSED} ORDER BY f.expires_at, f.id, c.at DESC LIMIT :most))
"""  # noqa: S608  # names of ours
PURGE = f"""
    DELETE FROM files WHERE id = ANY(ARRAY(
        SELECT f.id FROM files f WHERE f.expires_at <= :now AND {_UNUSED}
            AND NOT EXISTS (SELECT 1 FROM file_chunks c WHERE c.file_id = f.id OFFSET 0)
        ORDER BY f.expires_at LIMIT :most FOR UPDATE SKIP LOCKED))
"""  # noqa: S608  # names of ours
_PURGE_PIECES, _PURGE = text(PURGE_PIECES), text(PURGE)


async def lock_account(conn: Connection, account_id: UUID) -> None:
    """Lets nobody else reserve room for this account's files until the transaction ends."""
    await conn.execute(_LOCK_ACCOUNT, {"account_id": account_id})


async def reserve(conn: Connection, row: FileRow, quota: int) -> bool:
    """Makes a file that has no bytes yet, if what it may come to fits beside the account's others into `quota` bytes; lock
    the account before."""
    return (await conn.execute(_RESERVE, row_values(row) | {"quota": quota})).rowcount == 1


async def insert(conn: Connection, row: FileRow) -> None:
    """Makes a file of Hive's own making, which the quota never refuses: what it holds is paid for."""
    await conn.execute(_INSERT, row_values(row))


async def write(conn: Connection, id_: UUID, at: int, data: bytes) -> None:
    """Writes the piece that begins at this byte."""
    await conn.execute(_WRITE, {"id": id_, "at": at, "data": data})


async def grow(conn: Connection, id_: UUID, by: int) -> int:
    """Makes a file so many bytes longer; returns where they begin."""
    return int(await conn.scalar(_GROW, {"id": id_, "bytes": by}))


async def seal(conn: Connection, row: FileRow) -> bool:
    """From now on the file is there, with the size, name and times of `row`; False if it has gone meanwhile."""
    values = row_values(row)
    named = {name: values[name] for name in ("id", "bytes", "filename", "created_at", "expires_at")}
    return (await conn.execute(_SEAL, named)).rowcount == 1


async def finish(conn: Connection, ids: Iterable[UUID], now: datetime, expires_at: datetime) -> None:
    """From now on these files are there with all that was written."""
    await conn.execute(_FINISH, {"ids": list(ids), "created_at": now, "expires_at": expires_at})


async def get(conn: Connection, account_id: UUID, id_: UUID) -> FileRow | None:
    """An account's file, None if it has none of this id."""
    row = (await conn.execute(_GET, {"id": id_, "account_id": account_id})).one_or_none()
    return None if row is None else FileRow(**row._mapping)


async def keep(conn: Connection, account_id: UUID, id_: UUID) -> FileRow | None:
    """The same; it is not deleted before the transaction ends."""
    row = (await conn.execute(_KEEP, {"id": id_, "account_id": account_id})).one_or_none()
    return None if row is None else FileRow(**row._mapping)


async def page(
    conn: Connection, account_id: UUID, purposes: Sequence[Purpose], order: Literal["asc", "desc"],
    after: tuple[datetime, UUID] | None, most: int,
) -> list[FileRow]:  # fmt: skip
    """An account's files for these purposes by their age, after the file made at that time under that id."""
    least = datetime.min.replace(tzinfo=UTC), UUID(int=0)
    greatest = datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1)
    at, id_ = after or (least if order == "asc" else greatest)
    values = {"account_id": account_id, "purposes": list(purposes), "at": at, "id": id_, "most": most}
    return [FileRow(**row._mapping) for row in await conn.execute(_PAGES[order], values)]


async def read(conn: Connection, id_: UUID, at: int) -> bytes:
    """The bytes of a file from this one on, to the end of a piece; none at the end of the file."""
    row = (await conn.execute(_READ, {"id": id_, "at": at})).one_or_none()
    return b"" if row is None else bytes(row.data[at - row.at :])


async def lock(conn: Connection, account_id: UUID, id_: UUID) -> bool:
    """Locks an account's file; False if it has none of this id."""
    return (await conn.scalar(_LOCK, {"id": id_, "account_id": account_id})) is not None


async def delete(conn: Connection, id_: UUID, now: datetime) -> bool:
    """From now on a locked file is not there, and its bytes are purged; False if a batch reads it yet."""
    return (await conn.execute(_DELETE, {"id": id_, "now": now})).rowcount == 1


async def drop(conn: Connection, id_: UUID) -> None:
    """Deletes a file that never became whole."""
    await conn.execute(_DROP, {"id": id_})


async def purge_pieces(conn: Connection, now: datetime, most: int) -> int:
    """Deletes up to `most` pieces of files whose time is over and that no batch reads; returns how many."""
    return (await conn.execute(_PURGE_PIECES, {"now": now, "most": most})).rowcount


async def purge(conn: Connection, now: datetime, most: int) -> int:
    """Deletes up to `most` such files of which no piece is left; returns how many."""
    return (await conn.execute(_PURGE, {"now": now, "most": most})).rowcount


def row_values(row: FileRow) -> dict[str, object]:
    """The parameters that are a row's fields."""
    return {name: getattr(row, name) for name in FileRow.__struct_fields__}
