"""What a process asks of the machine it runs on: a port that nobody has, children that die with it, a quick loop."""

import asyncio
import contextlib
import ctypes
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether this TCP port of the loopback can be listened on; 0 always can."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def raise_open_files() -> int | None:
    """Lets this process open as many files and sockets as it may at most; returns how many that is, None where the system
    does not say."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says "unlimited" and means a number of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return None if soft == resource.RLIM_INFINITY else soft


def die_with_parent(number: int = signal.SIGTERM) -> Callable[[], None] | None:
    """What a Popen's `preexec_fn` must do so that the kernel sends this signal to the child when its parent is gone; None
    off Linux. A change of user forgets the request, so that must come first."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)

    return ask


def seldom_collect() -> None:
    """Jobs leave next to no cycles behind, so what is there by now is never searched for them, and the rest seldom: where a
    queue knows thousands of kinds a search takes 35 ms."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def run_server(work: Coroutine[Any, Any, None]) -> None:
    """Runs a server's task on libuv's loop, where there is one for the system: a job takes less processor time then."""
    seldom_collect()
    if sys.platform == "win32":
        asyncio.run(work)
    else:
        import uvloop  # noqa: PLC0415 - it is not made for Windows

        uvloop.run(work)
