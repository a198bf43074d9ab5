"""Lines become jobs: read from the file, kept, and taken in by the intake that takes every request, each under a key of its
own, so that whoever does it again after a crash finds the job that is there."""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import aclosing
from time import perf_counter
from typing import Final
from uuid import UUID

import msgspec
import structlog

from coordinator.api.errors import internal_error
from coordinator.api.intake import Sent
from coordinator.api.keys import unauthorized
from coordinator.batch import recording
from coordinator.batch.endpoints import asked_for
from coordinator.batch.lines import Line, read
from coordinator.batch.reading import Ahead, lines_from
from coordinator.batch.standing import Pause, pause_for
from coordinator.batch.telling import Outcome, refused
from coordinator.batch.work import Work, by_size
from coordinator.guard.gate import HEADER as GUARD
from coordinator.store import accounts, batch_lines
from coordinator.store.batch_lines import LineRow, NewLine, key_of
from coordinator.store.callers import KeyRow
from coordinator.store.engine import Away, alone
from shared.errors import HiveError
from shared.logs import bug

log = structlog.get_logger()

IN_FLIGHT: Final = 200
"""So many lines of a batch are in the queue at once: it never holds all of a large one."""

REFILL: Final = 32
"""Room for fewer lines than these is not worth reading the file for."""

TAKEN: Final = 4 * 2**20
"""After so many bytes of new lines no more are taken at once."""

Came = UUID | HiveError
"""The job, or the parent of jobs, that a line has become, or why it could not."""


async def taken(work: Work, room: int) -> bool:
    """Keeps the next lines of the file, up to so many, as those that are to become jobs; False at the file's end."""
    ahead = await read_on(work, room, TAKEN)
    if not ahead:
        return False
    found = [(one.number, read(one.raw, work.endpoint)) for one in ahead]
    new = [NewLine(line=n, custom_id=one.custom_id, body=one.body) for n, one in found if isinstance(one, Line)]
    last = ahead[-1]
    work.batch = await recording.take(work.engine, work.batch, new, last.number + 1, last.next_at)
    return True


async def read_on(work: Work, most: int, size: int) -> list[Ahead]:
    """The next lines of the file, empty ones too: up to `most`, and none after so many bytes; none at its end."""
    ahead: list[Ahead] = []
    batch = work.batch
    async with aclosing(lines_from(work.engine, batch.input_file, batch.next_line, batch.next_at)) as lines:
        async for one in lines:
            ahead.append(one)
            if len(ahead) >= most or one.next_at - batch.next_at >= size:
                break
    return ahead


async def fed(work: Work, lines: Sequence[LineRow], running: int) -> Pause | None:
    """Has lines become jobs, beside so many of the batch that are jobs already, and tells of those that cannot; once one
    of them has to wait, all do: returns for how long. Raises OvertakenError, Away."""
    key = await _key(work) if lines else None
    for part in by_size(lines):
        await work.renew()
        async with alone(work.engine) as conn:
            bodies = await batch_lines.bodies(conn, work.batch.id, [one.line for one in part])
        came = await asyncio.gather(*(_made(work, one.line, bodies.get(one.line, b""), key) for one in part))
        jobs = {one.line: job for one, job in zip(part, came, strict=True) if isinstance(job, UUID)}
        if jobs:
            await recording.note(work.engine, work.batch, jobs)
            work.batch = msgspec.structs.replace(work.batch, short_since=None)
        running += len(jobs)
        for away in came:
            if isinstance(away, Away):
                raise away
        pause = await _not_made(work, part, came, waits=running > 0)
        if pause is not None:
            return pause
    return None


async def _not_made(work: Work, lines: Sequence[LineRow], came: Sequence[Came], *, waits: bool) -> Pause | None:
    """Tells of the lines that have failed; returns how long the others wait."""
    pauses: list[Pause] = []
    outcomes: list[Outcome] = []
    for one, error in zip(lines, came, strict=True):
        if isinstance(error, UUID):
            continue
        pause = pause_for(error, work.batch, work.now, waits=waits)
        if pause is not None:
            pauses.append(pause)
        else:
            outcomes.append(refused(work.place(one.line, one.custom_id), error))
    if outcomes:
        work.batch = await recording.tell_unmade(work.engine, work.batch, outcomes, work.now)
    return max(pauses, key=lambda pause: pause.until) if pauses else None


async def _made(work: Work, line: int, body: bytes, key: KeyRow | None) -> Came:
    try:
        if key is None:
            raise unauthorized("the batch's", openai=True)
        asked = await asked_for(work.face, key, work.endpoint, body, work.header)
        await work.face.admit_with(work.header(GUARD), asked)
        deadline = min(asked.deadline, work.batch.expires_at - work.now)
        asked = msgspec.structs.replace(asked, attached=False, priority="batch", deadline=deadline)
        known, body_hash = key_of(work.batch.id, line), hashlib.sha256(body).hexdigest()
        sent = Sent(perf_counter(), body_hash, idempotency_key=known, size=len(body))
        return (await work.face.intake.take(asked, key, sent)).id
    except HiveError as error:
        return error
    except Exception as e:  # noqa: BLE001 - one line that we cannot take must not keep its batch from going on
        log.error("a line of a batch failed", id=str(work.batch.id), line=line, **bug(e))
        return internal_error()


async def _key(work: Work) -> KeyRow | None:
    """The key that the batch was made with; None if it is good for nothing any more."""
    async with alone(work.engine) as conn:
        key = await accounts.get_key(conn, work.batch.key_id)
    if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= work.now):
        return None
    return key
