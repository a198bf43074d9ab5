"""The lines of batches that were read and are not told of yet, and the jobs that they became."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from coordinator.store.batch import Batch
from coordinator.store.engine import Connection
from coordinator.store.rows import JobView, Row
from coordinator.store.views import _AROUND, _ENDED, _view
from shared.ids import day_of


class LineRow(Row, frozen=True):
    """A line: its number in the input file, the caller's own name for it, how many bytes its body has, and the job, or
    parent, that it became."""

    line: int
    custom_id: str
    size: int
    job_id: UUID | None


class NewLine(Row, frozen=True):
    """A line that was read; `body` is the JSON that it asks with."""

    line: int
    custom_id: str
    body: bytes


_new = Batch("n", line="integer", custom_id="text", body="bytea")
_INSERT = text(f"""
    INSERT INTO batch_lines (batch_id, line, custom_id, body)
    SELECT :batch_id, line, custom_id, body FROM {_new.sql}
""")  # noqa: S608  # names of ours
_LIST = text(
    "SELECT line, custom_id, octet_length(body) AS size, job_id FROM batch_lines WHERE batch_id = :batch_id ORDER BY line"
)
_BODIES = text("SELECT line, body FROM batch_lines WHERE batch_id = :batch_id AND line = ANY(:lines)")
_made = Batch("m", line="integer", job_id="uuid")
_MADE = text(f"""
    UPDATE batch_lines l SET job_id = m.job_id FROM {_made.sql}
    WHERE l.batch_id = :batch_id AND l.line = m.line AND l.job_id IS NULL
""")  # noqa: S608  # names of ours
_TELL = text("DELETE FROM batch_lines WHERE batch_id = :batch_id AND line = ANY(:lines)")

_ids = Batch("w", day="date", id="uuid")
# The offsets keep the jobs from being joined: each is looked up by itself, however few there were when the plan was made.
OVER = f"""
    SELECT w.id FROM {_ids.sql}
    WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.day = w.day AND j.id = w.id OFFSET 0)
        AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent = w.id OFFSET 0)
"""  # noqa: S608  # names of ours
_OVER = text(OVER)
_ENDED_OF = f"{_ENDED} WHERE j.day = ANY(:days) AND j"
ENDED = (
    _AROUND.format(jobs=f"{_ENDED_OF}.id = ANY(:ids) UNION ALL {_ENDED_OF}.parent = ANY(:ids)") + " ORDER BY v.choice"
)
_ENDED_JOBS = text(ENDED)
_CHILDREN = text("SELECT id FROM jobs WHERE parent = ANY(:ids)")

_key = Batch("k", key="text")
_WITHHOLD = text(f"""
    INSERT INTO idempotency (account_id, key, job_id, body_hash, created_at)
    SELECT :account_id, key, :batch_id, '', :now FROM {_key.sql} ORDER BY key
    ON CONFLICT (account_id, key) DO NOTHING
""")  # noqa: S608  # names of ours
_STANDING = text(f"""
    SELECT i.key, i.job_id FROM {_key.sql} JOIN idempotency i ON i.account_id = :account_id AND i.key = k.key
    WHERE i.job_id <> :batch_id
""")  # noqa: S608  # names of ours


def key_of(batch_id: UUID, line: int) -> str:
    """The idempotency key of a line's job: no caller's key has such a character."""
    return f"batch\x1f{batch_id.hex}\x1f{line}"


async def insert(conn: Connection, batch_id: UUID, new: Iterable[NewLine]) -> None:
    """Keeps lines that were read."""
    await conn.execute(_INSERT, _new.bind((n.line, n.custom_id, n.body) for n in new) | {"batch_id": batch_id})


async def untold(conn: Connection, batch_id: UUID) -> list[LineRow]:
    """All lines that were read and are not told of yet, in their order."""
    return [LineRow(**row._mapping) for row in await conn.execute(_LIST, {"batch_id": batch_id})]


async def bodies(conn: Connection, batch_id: UUID, lines: Sequence[int]) -> dict[int, bytes]:
    """What these lines ask with."""
    rows = await conn.execute(_BODIES, {"batch_id": batch_id, "lines": list(lines)})
    return {row.line: bytes(row.body) for row in rows}


async def made(conn: Connection, batch_id: UUID, jobs: Mapping[int, UUID]) -> None:
    """These lines have become these jobs, or parents of jobs."""
    await conn.execute(_MADE, _made.bind(jobs.items()) | {"batch_id": batch_id})


async def tell(conn: Connection, batch_id: UUID, lines: Sequence[int]) -> int:
    """These lines are told of and need no keeping; returns how many of them were not told of before."""
    return (await conn.execute(_TELL, {"batch_id": batch_id, "lines": list(lines)})).rowcount


async def over(conn: Connection, jobs: Iterable[UUID]) -> set[UUID]:
    """Those of these jobs, or parents of jobs, that have ended."""
    return set(await conn.scalars(_OVER, _ids.bind((day_of(id_), id_) for id_ in jobs)))


async def ended(conn: Connection, jobs: Iterable[UUID]) -> dict[UUID, list[JobView]]:
    """Of these ended jobs, or parents of ended jobs, each as its owner sees it, or the parent's children by choice."""
    ids = list(jobs)
    found: dict[UUID, list[JobView]] = {}
    for row in await conn.execute(_ENDED_JOBS, {"ids": ids, "days": sorted(set(map(day_of, ids)))}):
        view = _view(row)
        found.setdefault(view.parent or view.id, []).append(view)
    return found


async def children(conn: Connection, parents: Iterable[UUID]) -> list[UUID]:
    """The jobs under these parents that have not ended."""
    return list(await conn.scalars(_CHILDREN, {"ids": list(parents)}))


async def withhold(conn: Connection, batch_id: UUID, account_id: UUID, lines: Sequence[int], now: datetime) -> None:
    """Lets no job be made of these lines any more, whoever is about to."""
    keys = _key.bind((key_of(batch_id, line),) for line in lines)
    await conn.execute(_WITHHOLD, keys | {"account_id": account_id, "batch_id": batch_id, "now": now})


async def standing(conn: Connection, batch_id: UUID, account_id: UUID, lines: Sequence[int]) -> dict[int, UUID]:
    """Those of these lines that have become jobs already, whether or not somebody came to note it."""
    named = {key_of(batch_id, line): line for line in lines}
    rows = await conn.execute(
        _STANDING, _key.bind((key,) for key in named) | {"account_id": account_id, "batch_id": batch_id}
    )
    return {named[row.key]: row.job_id for row in rows}
