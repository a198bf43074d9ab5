"""Sends callbacks: claims what is due, calls without holding a connection to the database, and notes how it went.

A callback whose coordinator dies while it calls is due again after CLAIMED: every end is told at least once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from coordinator.dispatch.waiting import wait_at_most
from coordinator.observe.series import CALLBACKS
from coordinator.outside.http import Outside
from coordinator.outside.outcome import UnreachedError
from coordinator.outside.schedule import AT_ONCE, PER_HOST, Due, admitted, outcome
from coordinator.outside.signing import secrets_of, signed
from coordinator.store import callbacks
from coordinator.store.callbacks import FIRST_LANE, Lane
from coordinator.store.engine import Away, Engine
from shared.logs import bug

log = structlog.get_logger()

POLL_S: Final = 1.0
CALL_S: Final = 15.0
CLAIMED: Final = timedelta(seconds=60)
POSTPONED: Final = timedelta(hours=1)
KEPT: Final = timedelta(days=30)
"""How long a callback is listed after its end."""
CONNECTIONS: Final = 2
"""How many of the pool are used for what nobody waits for."""
LANES: Final = 500
BATCH: Final = 500

Tell = Callable[[Due], Awaitable[bytes | None]]
"""What is to be told, as JSON; None while there is nothing to tell yet."""


class Courier:
    """Sends the callbacks of one coordinator; `pepper` is what the accounts' secrets follow from."""

    def __init__(
        self,
        engine: Engine,
        outside: Outside,
        tell: Tell,
        pepper: bytes,
        clock: Callable[[], datetime],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._engine = engine
        self._outside = outside
        self._tell = tell
        self._pepper = pepper
        self._clock = clock
        self._chance = chance
        self._running: set[Due] = set()
        self._lane: Lane = FIRST_LANE
        self._storing = asyncio.Semaphore(CONNECTIONS)
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Sends for ever; a database that is away is asked again."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._ended.clear()
                if not await self._unless_away(tasks):
                    await wait_at_most(self._ended, POLL_S)  # where one call has ended another may begin

    async def one_round(self, tasks: asyncio.TaskGroup, now: datetime) -> bool:
        """Claims what may be sent now and has `tasks` send it; whether the next round is to follow at once. Raises Away."""
        if len(self._running) >= AT_ONCE:
            return False
        async with self._engine.begin() as conn:
            due, last = await callbacks.due(conn, self._lane, now, lanes=LANES, each=PER_HOST)
            chosen = admitted(due, [*self._running])
            if chosen:
                await callbacks.claim(conn, [one.id for one in chosen], now + CLAIMED)
            forgotten = 0 if last else await callbacks.forget(conn, now - KEPT, BATCH)
        self._lane = last or FIRST_LANE
        for one in chosen:
            self._running.add(one)
            tasks.create_task(self._send(one))
        return last is not None or forgotten == BATCH

    async def _send(self, one: Due) -> None:
        try:
            await self._sent(one)
        except Away as e:
            log.warning("away", what="callback", reason=str(e))
        finally:
            self._running.discard(one)
            self._ended.set()

    async def _sent(self, one: Due) -> None:
        tries, calls = one.tries + 1, one.calls + 1
        answer = await self._called(one)
        now = self._clock()
        async with self._storing, self._engine.begin() as conn:
            if answer is None:
                await callbacks.postpone(conn, one.id, calls, now + POSTPONED)
                return
            came = outcome(answer, tries, now, self._chance())
            await callbacks.record(conn, one.id, calls, came, now)
        CALLBACKS.labels(came.state).inc()
        if came.state == "dead":
            log.warning("a callback is given up", job=str(one.id), calls=calls, status=came.status)

    async def _called(self, one: Due) -> int | str | None:
        """The status that was answered, or why there is none; None while there is nothing to tell."""
        try:
            async with self._storing:
                body = await self._tell(one)
            if body is None:
                return None
            now = self._clock()
            secrets = secrets_of(self._pepper, one.account_id, one.generation, one.rotated_at, now)
            headers = {"content-type": "application/json", **signed(one.id, now, body, secrets)}
            return await self._outside.post(one.url, body, headers, CALL_S)
        except UnreachedError as e:
            return str(e)
        except Away:
            raise
        except Exception as e:  # noqa: BLE001 - one callback that cannot be told must not keep all others from being sent
            log.error("callback failed", job=str(one.id), **bug(e))
            return "could not be told, which is our fault"

    async def _unless_away(self, tasks: asyncio.TaskGroup) -> bool:
        try:
            return await self.one_round(tasks, self._clock())
        except Away as e:
            log.warning("away", what="callbacks", reason=str(e))
            return False
