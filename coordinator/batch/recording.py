"""What a turn leaves behind: each is one transaction that holds only if it still is that turn, so that whoever dies in
between, or is slow, loses nothing and writes nothing twice."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import reduce
from typing import Final
from uuid import UUID, uuid4

import msgspec
import structlog

from coordinator.batch.telling import Outcome
from coordinator.store import batch_lines, batches, files
from coordinator.store.batch_lines import NewLine
from coordinator.store.batches import BatchRow, End
from coordinator.store.engine import Connection, Engine
from coordinator.store.files import CHUNK, FileRow

log = structlog.get_logger()

UNFINISHED: Final = timedelta(days=30)
"""How long after its batch should be over a file is kept that nobody finished."""


class OvertakenError(Exception):
    """Somebody else has the turn now: nothing of this one may hold any more."""


@asynccontextmanager
async def mine(engine: Engine, batch: BatchRow) -> AsyncIterator[Connection]:
    """A transaction with the batch locked; raises OvertakenError."""
    async with engine.begin() as conn:
        if not await batches.is_mine(conn, batch):
            raise OvertakenError
        yield conn


async def take(engine: Engine, batch: BatchRow, new: Sequence[NewLine], next_line: int, next_at: int) -> BatchRow:
    """Keeps lines that were read, and from where to read on."""
    async with mine(engine, batch) as conn:
        if new:
            await batch_lines.insert(conn, batch.id, new)
        await batches.read_on(conn, batch.id, next_line, next_at)
    return msgspec.structs.replace(batch, next_line=next_line, next_at=next_at)


async def note(engine: Engine, batch: BatchRow, jobs: Mapping[int, UUID]) -> None:
    """Notes which jobs lines have become."""
    async with mine(engine, batch) as conn:
        await batch_lines.made(conn, batch.id, jobs)


async def tell(engine: Engine, batch: BatchRow, outcomes: Sequence[Outcome]) -> BatchRow:
    """Writes what is to be told of lines whose jobs have ended."""
    async with mine(engine, batch) as conn:
        return await _tell(conn, batch, outcomes)


async def tell_unmade(engine: Engine, batch: BatchRow, outcomes: Sequence[Outcome], now: datetime) -> BatchRow:
    """The same of lines that became no job, and lets them become none; those that have, unnoticed, are noted instead."""
    lines = [outcome.line for outcome in outcomes]
    async with mine(engine, batch) as conn:
        await batch_lines.withhold(conn, batch.id, batch.account_id, lines, now)
        standing = await batch_lines.standing(conn, batch.id, batch.account_id, lines)
        if standing:
            await batch_lines.made(conn, batch.id, standing)
        return await _tell(conn, batch, [outcome for outcome in outcomes if outcome.line not in standing])


async def skip(
    engine: Engine, batch: BatchRow, outcomes: Sequence[Outcome], next_line: int, next_at: int
) -> BatchRow:  # fmt: skip
    """Writes what is to be told of lines that were never taken, and from where to read on."""
    async with mine(engine, batch) as conn:
        await batches.read_on(conn, batch.id, next_line, next_at)
        told = await _write(conn, batch, outcomes)
    return msgspec.structs.replace(told, next_line=next_line, next_at=next_at)


async def finish(engine: Engine, batch: BatchRow, end: End, now: datetime, errors: bytes | None = None) -> None:
    """Ends a batch: from now on its files are there."""
    async with mine(engine, batch) as conn:
        expires_at = now + timedelta(seconds=batch.output_seconds)
        await files.finish(conn, batches.files_of(batch), now, expires_at)
        await batches.end(conn, batch.id, end, now, errors)
    log.info("a batch ended", id=str(batch.id), state=end, lines=batch.total)


async def _tell(conn: Connection, batch: BatchRow, outcomes: Sequence[Outcome]) -> BatchRow:
    if not outcomes:
        return batch
    untold = await batch_lines.tell(conn, batch.id, [outcome.line for outcome in outcomes])
    assert untold == len(outcomes), "who has the turn knows what was told"
    return await _write(conn, batch, outcomes)


async def _write(conn: Connection, batch: BatchRow, outcomes: Sequence[Outcome]) -> BatchRow:
    good = b"".join(outcome.told for outcome in outcomes if not outcome.failed)
    bad = b"".join(outcome.told for outcome in outcomes if outcome.failed)
    output = await _append(conn, batch, batch.output_file, "output", good)
    errors = await _append(conn, batch, batch.error_file, "error", bad)
    if (output, errors) != (batch.output_file, batch.error_file):
        await batches.filed(conn, batch.id, output, errors)
    await batches.add(conn, batch.id, reduce(_plus, (outcome.counts for outcome in outcomes), batches.Told()))
    return msgspec.structs.replace(batch, output_file=output, error_file=errors)


async def _append(conn: Connection, batch: BatchRow, file: UUID | None, kind: str, data: bytes) -> UUID | None:
    """Writes at the end of one of the batch's files, which is made when it is needed first; returns its id."""
    if not data:
        return file
    if file is None:
        file = uuid4()
        row = FileRow(
            id=file, account_id=batch.account_id, purpose="batch_output", filename=f"batch_{batch.id.hex}_{kind}.jsonl",
            bytes=0, whole=False, created_at=batch.created_at, expires_at=batch.expires_at + UNFINISHED,
        )  # fmt: skip
        await files.insert(conn, row)
    start = await files.grow(conn, file, len(data))
    for at in range(0, len(data), CHUNK):
        await files.write(conn, file, start + at, data[at : at + CHUNK])
    return file


def _plus(one: batches.Told, other: batches.Told) -> batches.Told:
    names = batches.Told.__struct_fields__
    return batches.Told(**{name: getattr(one, name) + getattr(other, name) for name in names})
