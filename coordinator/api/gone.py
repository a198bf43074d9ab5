"""Work for a client that may leave at any moment."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from litestar.types import Receive

from coordinator.api.metrics import DISCONNECTS


async def while_there(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work while the client stays; when it leaves, the work is cancelled and has ended on return.

    The body must have been read already. What the work raises is raised here.
    """
    leaving = asyncio.ensure_future(_left(receive))
    watch = _Watch(leaving)
    leaving.add_done_callback(watch.seen)
    try:
        await work
    except asyncio.CancelledError:
        if not watch.is_mine():
            raise
        DISCONNECTS.inc()
    finally:
        watch.over()


class _Watch:
    """Cancels the task that made it once the client has left, unless its work is over."""

    def __init__(self, leaving: "asyncio.Future[None]") -> None:
        task = asyncio.current_task()
        assert task is not None, "work is done in a task"
        self._task, self._leaving = task, leaving
        self._cancelled = self._over = False

    def seen(self, _: "asyncio.Future[None]") -> None:
        """The client has left, or the way to it has failed."""
        if not self._leaving.cancelled():
            self._leaving.exception()
            if not self._over:
                self._cancelled = True
                self._task.cancel()

    def is_mine(self) -> bool:
        """Whether the task was cancelled from here alone."""
        return self._cancelled and self._task.cancelling() == 1

    def over(self) -> None:
        """The work has ended, and the task is not cancelled from here any more."""
        self._over = True
        self._leaving.cancel()
        if self._cancelled:
            self._task.uncancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
