"""What a worker sends, taken in its order: at once where that is possible, and a task lives only as long as something has to
be waited for. Nothing that a worker sends can reach past it."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from itertools import count
from typing import Any, Final, Protocol

import structlog

from coordinator.dispatch import inbox
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import Dispatch
from coordinator.dispatch.watch import gone
from shared.logs import bug
from shared.protocol.closing import Closed
from shared.protocol.coordinator_end import MessageReceived
from shared.protocol.messages import CloseCode

AT_A_TIME: Final = 16
"""How many messages of one worker are taken before everything else has its turn."""

MOST_WAITING: Final = 8
"""While more wait nothing is read from the worker."""

log = structlog.get_logger()


class Line(Protocol):
    """Where the messages come from."""

    def pause(self) -> None:
        """Takes nothing more from the worker until `resume`."""

    def resume(self) -> None:
        """Takes what the worker sends."""


class Listening:
    """One session's ear."""

    __slots__ = ("_d", "_line", "_session", "_waiting")

    def __init__(self, d: Dispatch, session: Session, line: Line) -> None:
        self._d, self._session, self._line = d, session, line
        self._waiting: deque[bytes | str] | None = None

    def heard(self, messages: list[bytes | str]) -> None:
        """These came, in this order; what cannot be taken now waits."""
        if self._waiting is None:
            for number, message in enumerate(messages, 1):
                rest = self._take(message)
                if rest is not None or number == AT_A_TIME:
                    self._go_on(rest, messages[number:])
                    break
        else:
            self._waiting.extend(messages)
            if len(self._waiting) > MOST_WAITING:
                self._line.pause()

    def over(self) -> None:
        """The session has ended: the grace of its attempts starts. What was heard before is taken yet."""
        session = self._session
        gone(self._d, session, self._d.now_ms())
        log.info("a worker left", worker=session.pk, why=session.closing.code if session.closing else "")

    def _take(self, message: bytes | str) -> Coroutine[Any, Any, None] | None:
        """Takes a message; returns what has to be waited for, None if nothing."""
        session, now = self._session, self._d.now_ms()
        if session.closing is not None:
            return None
        if not session.within_rate(now):
            session.close(CloseCode.RATE, "too many frames")
            return None
        try:
            for event in session.end.receive(message, now):
                if isinstance(event, MessageReceived):
                    return inbox.take(self._d, session, event.message, now)
                if isinstance(event, Closed):
                    session.fault(event)
            session.heard_at = now  # a part of a large message is a sign of life too
        except Exception as e:  # noqa: BLE001  # a fault of ours ends this worker's session, and nobody else's
            self._broke(e)
        return None

    def _go_on(self, rest: Coroutine[Any, Any, None] | None, messages: list[bytes | str]) -> None:
        if rest is not None or messages:
            self._waiting = deque(messages)
            task = asyncio.create_task(self._work(rest, self._waiting))
            self._d.taking.add(task)
            task.add_done_callback(self._d.taking.discard)

    async def _work(self, rest: Coroutine[Any, Any, None] | None, waiting: deque[bytes | str]) -> None:
        """Waits for what has to be waited for, then takes what came meanwhile."""
        try:
            for taken in count():
                if rest is not None:
                    await rest
                elif taken % AT_A_TIME == 0:
                    await asyncio.sleep(0)
                if not waiting:
                    return
                rest = self._take(waiting.popleft())
        except Exception as e:  # noqa: BLE001  # as above
            self._broke(e)
        finally:
            self._waiting = None
            self._line.resume()

    def _broke(self, failure: Exception) -> None:
        log.error("a worker's session broke", worker=self._session.pk, **bug(failure))
        self._session.close(CloseCode.OVERLOAD, "the coordinator has a fault, which its log tells")
