"""What a process asks of the machine it runs on: a port that nobody has, and children that die with it."""

import ctypes
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def die_with_parent(number: int = signal.SIGTERM) -> Callable[[], None] | None:
    """What a Popen's `preexec_fn` must do so that the kernel sends this signal to the child when its parent is gone; None
    off Linux. A change of user forgets the request, so that must come first."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)

    return ask
