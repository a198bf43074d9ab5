"""The register in the database, kept for the workers that are here: that they are, what they say of themselves, and what others
wrote of them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import msgspec

from coordinator.dispatch import elsewhere
from coordinator.dispatch.between import Left
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import Dispatch
from coordinator.store import workers
from coordinator.store.engine import alone
from shared.protocol.messages import CloseCode, ModelOffer

SLICE: Final = 1000
"""For so many workers at once, so that neither their rows nor everything else here waits long."""

MODELS: Final = timedelta(minutes=10)
"""How often a model file that workers offer is noted: all who join would wait for each other at its row."""


async def keep(d: Dispatch) -> None:
    """Notes who is here and what they said since the last time, and reads whose they are and who else is there. Raises Away."""
    await depart(d)
    for sessions in _slices(d):
        await _touch(d, sessions)
    await elsewhere.read(d)


async def depart(d: Dispatch) -> None:
    """Notes which workers have left since this was last done. Raises Away."""
    if left := dict(d.hub.left):
        async with alone(d.engine) as conn:
            await workers.leave_workers(conn, left, d.name)
        d.hub.left = {pk: number for pk, number in d.hub.left.items() if left.get(pk) != number}
        d.bus.tell(Left(sorted(left.keys() - d.hub.sessions.keys())))


async def see_models(d: Dispatch, offers: list[ModelOffer]) -> None:
    """Notes the model files that a worker offers, each now and then. Raises Away."""
    now = d.clock()
    fresh = [one for one in offers if now - d.seen.get((one.id, one.digest), now - MODELS) >= MODELS]
    if fresh:
        async with alone(d.engine) as conn:
            await workers.see_models(conn, fresh, now)
        d.seen |= {(one.id, one.digest): now for one in fresh}


def _slices(d: Dispatch) -> Iterator[list[Session]]:
    sessions = list(d.hub.sessions.values())
    return (sessions[start : start + SLICE] for start in range(0, len(sessions), SLICE))


async def _touch(d: Dispatch, sessions: list[Session]) -> None:
    """Notes that these are here; one that is elsewhere by now is superseded, one with another owner serves that one."""
    pks = [session.pk for session in sessions]
    async with alone(d.engine) as conn:
        here = await workers.touch_workers(conn, pks, d.name, d.clock())
        for session in sessions:
            if (said := session.news) is not None:
                await workers.set_capabilities(conn, session.pk, msgspec.json.encode(said))
                session.news = None if session.news is said else session.news
        moved = {} if here == len(pks) else await workers.moved_workers(conn, pks, d.name)
        owners = await workers.owners_of(conn, pks)
    for session in sessions:
        if moved.get(session.pk, 0) > session.number:
            session.close(CloseCode.SUPERSEDED, "the same worker connected again, to another coordinator")
        elif session.facts.owner != owners.get(session.pk):
            d.hub.own(session.pk, owners.get(session.pk))
