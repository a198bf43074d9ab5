"""Waiting with a bound for what other processes do: they send a test no signal, so it looks again until it is so."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

PACE_S: Final = 0.05

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """The first thing that `look` finds (anything but None and False) within `seconds`; else fails, naming `what`."""
    pause = threading.Event()
    for _ in range(int(seconds / PACE_S)):
        if (found := look()) is not None and found is not False:
            return found
        pause.wait(PACE_S)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


async def eventually(look: Callable[[], Awaitable[Found | None]], seconds: float, what: str) -> Found:
    """The same for a `look` that is awaited; the event loop goes on meanwhile."""
    never = asyncio.get_running_loop().create_future()
    try:
        async with asyncio.timeout(seconds):
            while (found := await look()) is None or found is False:
                await asyncio.wait([never], timeout=PACE_S)
            return found
    except TimeoutError:
        raise AssertionError(f"not within {seconds:.0f} s: {what}") from None
    finally:
        never.cancel()
