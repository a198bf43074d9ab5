"""Ctrl-C and the system's wish that a process ends, on every system."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

NUMBERS: Final = tuple(
    number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None
)
"""A terminal that is closed (SIGHUP) is a wish to end like the others; Windows has none of it."""


@contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` in the running loop at each SIGINT, SIGTERM or SIGHUP while the block lasts; then what was there is back."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in NUMBERS}
    by_loop = _listen(loop, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if by_loop:
                loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _listen(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> bool:
    """Starts to listen; whether the loop does it. Windows' loop cannot, but Python's handlers run in the main thread."""
    try:
        for number in NUMBERS:
            loop.add_signal_handler(number, stop)
    except NotImplementedError:
        for number in NUMBERS:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
        return False
    return True
