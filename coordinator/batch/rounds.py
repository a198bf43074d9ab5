"""Goes on with batches for ever: whoever claims one has its turn for a while and leaves the rest to the next turn, here or
at another coordinator. No connection to the database is held from one step to the next."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from coordinator.api.face import Face
from coordinator.batch import turn
from coordinator.batch.recording import OvertakenError
from coordinator.batch.work import TURN, Work
from coordinator.store import batches, files
from coordinator.store.engine import Away, alone
from shared.logs import bug

log = structlog.get_logger()

AT_ONCE: Final = 3
"""So many batches one coordinator goes on with at once."""

KEEP_S: Final = 1.5
"""A turn is prolonged so often; what of it takes long must not be taken for the death of its coordinator."""

IDLE_S: Final = 0.5
BRISK_S: Final = 0.05
BRISK: Final = 10
"""So often whoever has just taken a turn looks sooner for the next one: it may be that of a batch that goes on."""

TIDY_S: Final = 60.0
LISTED: Final = timedelta(days=90)
"""How long a batch is listed after its end."""

PIECES: Final = 400
"""So many pieces of files, 100 MiB, are purged at once: a file has gigabytes, if the answers of a batch do, and a statement that
takes a minute is given up."""

PURGED: Final = 1_000

FORGOTTEN: Final = 1_000


async def run(face: Face) -> None:
    """Goes on with batches, and forgets what is over, for ever."""
    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(_working(face))
        tasks.create_task(_tidying(face))


async def one_round(face: Face) -> bool:
    """Takes one turn, if some batch is due; whether one was. Raises Away."""
    now = face.hive.clock()
    async with alone(face.hive.engine) as conn:
        claimed = await batches.claim(conn, now, now + TURN, 1)
    for batch in claimed:
        try:
            await _kept(Work(face, batch, now))
        except OvertakenError:
            log.info("somebody else goes on with a batch", id=str(batch.id))
        except Away:
            raise
        except Exception as e:  # noqa: BLE001 - one batch must not take all others, and the coordinator, with it
            log.error("a batch failed", id=str(batch.id), **bug(e))
    return bool(claimed)


async def _kept(work: Work) -> None:
    """Takes a turn, and prolongs it for as long as it takes."""
    over = asyncio.Event()
    keeping = asyncio.create_task(_keeping(work, over))
    try:
        await turn.take(work)
    finally:
        over.set()
        await keeping


async def _keeping(work: Work, over: asyncio.Event) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), KEEP_S)
        if not over.is_set():
            with suppress(OvertakenError, Away):  # the turn's next step finds that out by itself
                await work.renew()


async def tidy(face: Face) -> bool:
    """Forgets files and batches whose time is over; whether there are more of them. Raises Away."""
    now = face.hive.clock()
    async with alone(face.hive.engine) as conn:
        pieces = await files.purge_pieces(conn, now, PIECES)
        purged = await files.purge(conn, now, PURGED)
        forgotten = await batches.forget(conn, now - LISTED, FORGOTTEN)
    return pieces == PIECES or purged == PURGED or forgotten == FORGOTTEN


async def _working(face: Face) -> None:
    idle = BRISK
    while True:
        try:
            idle = 0 if await one_round(face) else idle + 1
        except Away as e:
            log.warning("away", what="batches", reason=str(e))
            idle = BRISK
        if idle:
            await asyncio.sleep(BRISK_S if idle < BRISK else IDLE_S)


async def _tidying(face: Face) -> None:
    while True:
        try:
            more = await tidy(face)
        except Away as e:
            log.warning("away", what="files", reason=str(e))
            more = False
        if not more:
            await asyncio.sleep(TIDY_S)
