"""Drawing while something else goes on."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
PACE_S: Final = 0.05


async def while_drawing(work: Coroutine[Any, Any, T], draw: Callable[[], None], pace_s: float = PACE_S) -> T:
    """What the work gives; meanwhile it is drawn every `pace_s`, or more rarely where drawing takes long."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            began = time.monotonic()
            draw()
            took = time.monotonic() - began
            await asyncio.wait([task], timeout=max(pace_s, 4 * took))
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    return task.result()
