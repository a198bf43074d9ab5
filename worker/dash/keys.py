"""Single keys of a terminal, read without Enter; the terminal is as it was afterwards, whatever happens."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

PACE_S: Final = 0.2
_SEQUENCE: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]?|O.?|.?)")


@contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[None]:
    """Calls `pressed` in the running loop with each character typed while the block lasts."""
    if not sys.stdin.isatty():
        yield
    elif sys.platform == "win32":
        with _console(pressed):
            yield
    else:
        with _terminal(sys.stdin.fileno(), pressed):
            yield


def characters(data: bytes) -> str:
    """The keys in what was read; cursor and function keys, which come as escape sequences, are none."""
    return _SEQUENCE.sub("", data.decode("utf-8", "ignore"))


@contextmanager
def _terminal(descriptor: int, pressed: Callable[[str], None]) -> Iterator[None]:
    import termios  # noqa: PLC0415 - Windows has neither
    import tty  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(descriptor)

    def single() -> None:
        tty.setcbreak(descriptor)
        _without_suspend(termios, descriptor)

    try:
        single()
        loop.add_signal_handler(signal.SIGCONT, single)  # whoever stopped us has set the terminal for a shell since
        loop.add_reader(descriptor, _read, loop, descriptor, pressed)
        yield
    finally:
        loop.remove_reader(descriptor)
        loop.remove_signal_handler(signal.SIGCONT)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _without_suspend(termios: Any, descriptor: int) -> None:
    """Ctrl-Z would leave the shell with our picture, and the coordinator with a worker that says nothing."""
    now = termios.tcgetattr(descriptor)
    now[6][termios.VSUSP] = b"\0"
    termios.tcsetattr(descriptor, termios.TCSADRAIN, now)


def _read(loop: asyncio.AbstractEventLoop, descriptor: int, pressed: Callable[[str], None]) -> None:
    try:
        data = os.read(descriptor, 64)
    except OSError:
        data = b""
    if not data:  # the terminal is gone
        loop.remove_reader(descriptor)
    for key in characters(data):
        pressed(key)


@contextmanager
def _console(pressed: Callable[[str], None]) -> Iterator[None]:
    """Windows tells nobody of a key, so it is asked five times a second."""
    import msvcrt  # noqa: PLC0415 - Windows alone has it

    console: Any = msvcrt
    loop = asyncio.get_running_loop()
    due: list[asyncio.Handle] = []

    def look() -> None:
        while console.kbhit():
            key = console.getwch()
            if key in ("\0", "\xe0"):
                console.getwch()  # the second half of a cursor or function key
            else:
                pressed(key)
        due[:] = [loop.call_later(PACE_S, look)]

    look()
    try:
        yield
    finally:
        due[0].cancel()
