"""One turn at one batch: look at its file, go on with its lines, or end it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from coordinator.batch import recording
from coordinator.batch.checking import Checking
from coordinator.batch.feeding import IN_FLIGHT, REFILL, fed, read_on, taken
from coordinator.batch.gathering import gathered
from coordinator.batch.lines import Line, read
from coordinator.batch.reading import check
from coordinator.batch.standing import Pause, closing_of
from coordinator.batch.telling import CANCELLED, left_out
from coordinator.batch.work import Work, in_parts
from coordinator.store import batch_lines, batches
from coordinator.store.batch_lines import LineRow
from coordinator.store.engine import alone
from shared.catalogue import names

POLL: Final = timedelta(seconds=0.5)
"""How soon somebody looks again whether jobs have ended."""

SOON: Final = timedelta(seconds=0.05)
"""The same where some have just ended: others will, and there is room for more."""

LEFT_OUT: Final = 2_000
"""So many lines are told of at once of which there is nothing to tell."""

CANCELS: Final = 8
"""So many jobs are cancelled at once."""


async def take(work: Work) -> None:
    """Goes on with the batch whose turn this is; raises OvertakenError, Away."""
    closing = closing_of(work.batch, work.now)
    if closing is not None:
        await _close(work, closing)
    elif work.batch.status == "validating":
        await _validate(work)
    else:
        await _go_on(work)


async def _validate(work: Work) -> None:
    checking = Checking(work.endpoint, set(names(work.face.hive.catalogue.values())))
    await check(work.engine, work.batch.input_file, checking, work.renew)
    now = work.face.hive.clock()
    if checking.flaws or checking.model is None:
        flaws = msgspec.json.encode(checking.flaws)
        await recording.finish(work.engine, work.batch, "failed", now, flaws)
        return
    async with alone(work.engine) as conn:
        if await batches.checked(conn, work.batch, checking.total, checking.model, now):
            batch = msgspec.structs.replace(work.batch, status="in_progress")
            await batches.rest(conn, batch, now, now, None)


async def _go_on(work: Work) -> None:
    before = await work.untold()
    lines = await gathered(work, before, None)
    told = len(lines) < len(before)
    running = sum(line.job_id is not None for line in lines)
    if work.now < work.batch.feed_at:
        await _rest(work, running, Pause(work.batch.feed_at, work.batch.short_since), told=told)
        return
    room = IN_FLIGHT - len(lines)
    at_end = room >= REFILL and not await taken(work, room)
    unmade = [line for line in await work.untold() if line.job_id is None]
    pause = await fed(work, unmade, running)
    if lines or unmade or not at_end or not await _completed(work):
        await _rest(work, running, pause, told=told)


async def _completed(work: Work) -> bool:
    """Ends the batch, whose file is read to its end, unless a line is not told of yet."""
    if await work.untold():
        return False
    now = work.face.hive.clock()
    if work.batch.status == "in_progress":
        async with alone(work.engine) as conn:
            if not await batches.finalize(conn, work.batch, now):
                return False
    await recording.finish(work.engine, work.batch, "completed", now)
    return True


async def _rest(work: Work, running: int, pause: Pause | None, *, told: bool) -> None:
    """Leaves the batch to the next turn, which comes soon where lines were told of in this one."""
    now = work.face.hive.clock()
    feed_at, short_since = (now, work.batch.short_since) if pause is None else (pause.until, pause.short_since)
    look_at = now + (SOON if told else POLL)
    due_at = min(look_at if running or pause is None else feed_at, work.batch.expires_at)
    async with alone(work.engine) as conn:
        await batches.rest(conn, work.batch, due_at, feed_at, short_since)


async def _close(work: Work, closing: str) -> None:
    """Ends what runs, tells of what has ended and of all that was not done, and ends the batch."""
    lines = await work.untold()
    await _stop(work, [line.job_id for line in lines if line.job_id is not None])
    left = await gathered(work, lines, closing)
    await _leave_out(work, [line for line in left if line.job_id is None], closing)
    if work.batch.in_progress_at is not None:
        await _leave_out_the_rest(work, closing)
    now = work.face.hive.clock()
    if await work.untold():
        async with alone(work.engine) as conn:
            await batches.rest(conn, work.batch, now + POLL, now, None)
    else:
        await recording.finish(work.engine, work.batch, "cancelled" if closing == CANCELLED else "expired", now)


async def _stop(work: Work, jobs: Sequence[UUID]) -> None:
    """Cancels jobs, and the children of parents, that have not ended: the last first, or workers would be given those that
    wait while those that run are cancelled."""
    if not jobs:
        return
    async with alone(work.engine) as conn:
        over = await batch_lines.over(conn, jobs)
        alive = [*await batch_lines.children(conn, jobs), *(job for job in jobs if job not in over)]
    for part in in_parts(alive[::-1], CANCELS):
        await work.renew()
        cancels = (work.face.hive.relay.cancel(job, "its batch is over") for job in part)
        for came in await asyncio.gather(*cancels, return_exceptions=True):
            if isinstance(came, BaseException):
                raise came


async def _leave_out(work: Work, lines: Sequence[LineRow], closing: str) -> None:
    """Tells of lines that have not become jobs that they are left out."""
    for part in in_parts(lines, LEFT_OUT):
        outcomes = [left_out(work.place(line.line, line.custom_id), closing) for line in part]
        work.batch = await recording.tell_unmade(work.engine, work.batch, outcomes, work.now)


async def _leave_out_the_rest(work: Work, closing: str) -> None:
    """The same of all lines that were not even taken."""
    while ahead := await read_on(work, LEFT_OUT, 2 * LEFT_OUT * 1024):
        await work.renew()
        found = [(one.number, read(one.raw, work.endpoint)) for one in ahead]
        outcomes = [left_out(work.place(n, one.custom_id), closing) for n, one in found if isinstance(one, Line)]
        last = ahead[-1]
        work.batch = await recording.skip(work.engine, work.batch, outcomes, last.number + 1, last.next_at)
