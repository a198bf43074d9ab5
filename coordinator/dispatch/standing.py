"""What the books say of each worker, told to it: soon after its welcome, and again when that has changed."""

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec
import structlog

from coordinator.dispatch.session import Session
from coordinator.dispatch.state import Dispatch
from coordinator.dispatch.waiting import wait_at_most
from coordinator.store import earnings, shares
from coordinator.store.earnings import Sums
from coordinator.store.engine import Away, alone
from shared.protocol.messages import Standing, Unsigned

LOOK_MS: Final = 10_000
"""How often the books are read for a worker that is here."""

RARE_MS: Final = 60_000
"""The same for one that had no job for so long, and lost none of late: its books change only as it is paid."""

PAUSE_S: Final = 1.0
"""Between two rounds: most workers' turns come at moments of their own, and each look is for all whose turn it is."""

NEWS: Final = 50
"""A swarm that grew or shrank by less than one in so many is of the size that it was."""

log = structlog.get_logger()


async def run(d: Dispatch) -> None:
    """Tells for ever: whoever arrived at once, the others when their ten seconds are over."""
    while True:
        try:
            due = await one_round(d, d.now_ms())
        except Away:
            log.warning("the database is away: workers are not told of their earnings")
            due = d.now_ms() + LOOK_MS
        await asyncio.sleep(PAUSE_S)
        await wait_at_most(d.hub.arrived, max(0.0, (due - d.now_ms()) / 1000))


async def one_round(d: Dispatch, now: int) -> int:
    """Reads the books for all whose turn it is at `now` (ms), in one statement (and in another what waits for signatures, if
    any of them has to give some), and tells whom they have changed for; returns when (ms) the next is due. Raises Away."""
    d.hub.arrived.clear()
    sessions = list(d.hub.sessions.values())
    due = [session for session in sessions if _due(session, now) <= now]
    if due:
        async with alone(d.engine) as conn:
            found = await earnings.sums(conn, [session.pk for session in due], d.clock().date())
            waiting = [pk for pk, sums in found.items() if sums.unsigned]
            unsigned = await shares.asked(conn, waiting, d.clock()) if waiting else {}
        online = d.hub.online
        for session in due:
            session.books_at = now
            _tell(session, standing_of(found[session.pk], online, now, unsigned.get(session.pk, [])))
    return next_due(sessions, now)


def standing_of(sums: Sums, workers_online: int, now: int, unsigned: list[Unsigned]) -> Standing:
    """The message; what an owner spent is neither withheld nor due any more."""
    return Standing(now, sums.today, sums.held, sums.pending, sums.paid, workers_online, unsigned)


def next_due(sessions: Iterable[Session], now: int) -> int:
    """When (ms) the books have to be read again."""
    return min((_due(session, now) for session in sessions), default=now + LOOK_MS)


def _due(session: Session, now: int) -> int:
    often = session.last_job_at + RARE_MS > now or session.record > 0
    return session.books_at + (LOOK_MS if often else RARE_MS)


def _tell(session: Session, standing: Standing) -> None:
    if session.told is None or _differs(session.told, standing):
        session.told = standing
        session.send(standing)


def _differs(told: Standing, standing: Standing) -> bool:
    size = told.workers_online
    if NEWS * abs(standing.workers_online - size) < size:
        standing = msgspec.structs.replace(standing, workers_online=size)
    return msgspec.structs.replace(told, time=standing.time) != standing
