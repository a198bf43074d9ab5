"""The loops of dispatch: each is rounds and waiting, all of them owned by the application's task group."""

import asyncio
from typing import Final

import structlog

from coordinator.dispatch import ending, hearing, results, rounds, standing, telling, wanted, watch
from coordinator.dispatch.attempts import Stage
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import Dispatch
from coordinator.dispatch.waiting import wait_at_most
from shared.protocol.messages import CloseCode, Drain

FINISH_S: Final = 8
"""For so long clients may get the rest of their answers from a coordinator that stops."""

MOVE_S: Final = 3
"""For so long it is waited until some worker of theirs is at another coordinator."""

BACK_MS: Final = 2
"""Workers come back from a coordinator that stops so far from each other, or who takes them could do nothing else."""

TICK_S: Final = 0.1

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
    """Tells every worker that this coordinator goes away and ends its session; returns the sessions. They take their attempts
    along, to another coordinator or to this one's next process: what goes on there is asked for. Those with attempts come
    back after `reconnect_ms`, the others one after another."""
    sessions = sorted(d.hub.sessions.values(), key=lambda session: not d.hub.attempts.taken(session.pk))
    for place, session in enumerate(sessions):
        session.send(Drain(reconnect_ms + BACK_MS * place))
        session.close(CloseCode.RESTART, "the coordinator restarts")
    for attempt in d.hub.attempts.everything():
        if attempt.stage is not Stage.OVER:
            d.hub.attempts.remove(attempt)
    telling.ask_again(d, d.now_ms())
    log.info("workers are sent away", workers=len(sessions))
    return sessions


async def finish(d: Dispatch, hurry: asyncio.Event) -> None:
    """Waits for the ends of jobs that clients wait for here, as long as another coordinator tells of them; not for ever, and
    not once told to `hurry`."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while d.bus.connected and not hurry.is_set() and (waiting := d.relay.awaited()):
        waited = clock() - began
        if waited >= FINISH_S or (waited >= MOVE_S and not any(map(d.relay.mirror, waiting))):
            return
        await wait_at_most(hurry, TICK_S)
