"""A batch's input file as it lies in pieces in the database, read line by line without ever holding all of it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final
from uuid import UUID

import msgspec

from coordinator.batch.checking import Checking
from coordinator.batch.lines import Cutter
from coordinator.store import files
from coordinator.store.engine import Engine, alone
from shared.errors import TooLarge

AT_ONCE: Final = 256
"""After so many lines others get their turn on the event loop."""

RENEW_EVERY: Final = 16 * 2**20
"""Bytes of a file that are looked at before the turn is prolonged."""


class Ahead(msgspec.Struct, frozen=True):
    """A line: its number, its bytes, and where the next one begins."""

    number: int
    raw: bytes
    next_at: int


async def lines_from(engine: Engine, file: UUID, number: int, at: int) -> AsyncGenerator[Ahead]:
    """The lines of a file from this one on, which begins at this byte; no connection is held between them. Raises TooLarge
    for one that never ends, Away."""
    cutter, place = Cutter(), at
    while data := await _piece(engine, file, place):
        place += len(data)
        for raw in cutter.push(data):
            at += len(raw)
            yield Ahead(number, raw, at)
            number += 1
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
    if raw := cutter.rest():
        yield Ahead(number, raw, at + len(raw))


async def check(engine: Engine, file: UUID, checking: Checking, renew: Callable[[], Awaitable[None]]) -> None:
    """Looks at all lines of a file, or until enough of them are wrong; calls `renew` now and then and raises what that
    raises, Away."""
    renewed_at = 0
    try:
        async with aclosing(lines_from(engine, file, 1, 0)) as lines:
            async for ahead in lines:
                checking.take(ahead.raw)
                if checking.over:
                    break
                if ahead.next_at - renewed_at >= RENEW_EVERY:
                    renewed_at = ahead.next_at
                    await renew()
    except TooLarge as error:
        checking.cut_off(error.message)
    checking.end()


async def _piece(engine: Engine, file: UUID, at: int) -> bytes:
    async with alone(engine) as conn:
        return await files.read(conn, file, at)
