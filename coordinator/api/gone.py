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
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            DISCONNECTS.inc()
    finally:
        await _end(leaving)
        await _end(working)
    if not working.cancelled():
        working.result()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait((task,))
