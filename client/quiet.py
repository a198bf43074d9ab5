"""A terminal that keeps what is typed into it while something else is drawn there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is echoed inside the block, also no ^C; what was typed, key by key, is there for whoever reads next."""
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 - Windows has none

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    silent = [before[0] & ~termios.ICRNL, *before[1:3], before[3] & ~(termios.ECHO | termios.ICANON), *before[4:]]
    termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
