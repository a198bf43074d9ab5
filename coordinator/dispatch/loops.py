"""The loops of dispatch: each is rounds and waiting, all of them owned by the application's task group."""

import asyncio

import structlog

from coordinator.dispatch import ending, hearing, results, rounds, standing, wanted, watch
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import Dispatch
from shared.protocol.messages import CloseCode, Drain

log = structlog.get_logger()


async def run(d: Dispatch) -> None:
    """Runs all of dispatch until it is cancelled; a loop that fails takes the others, and the application, with it."""
    async with asyncio.TaskGroup() as loops:
        loops.create_task(rounds.run(d))
        loops.create_task(results.run(d))
        loops.create_task(watch.run(d))
        loops.create_task(ending.run(d))
        loops.create_task(standing.run(d))
        loops.create_task(wanted.run(d))
        loops.create_task(hearing.run(d))


def drain(d: Dispatch, reconnect_ms: int) -> list[Session]:
    """Tells every worker that this coordinator goes away and ends its session; returns the sessions."""
    sessions = list(d.hub.sessions.values())
    for session in sessions:
        session.send(Drain(reconnect_ms))
        session.close(CloseCode.RESTART, "the coordinator restarts")
    log.info("workers are sent away", workers=len(sessions))
    return sessions
