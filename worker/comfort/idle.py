"""For how long nobody has touched this machine, as each system tells it; None where it tells nothing."""

import ctypes
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from worker.comfort.outside import Said, said

_LOGIN: Final = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_MAC_IDLE: Final = re.compile(r'"HIDIdleTime" = (\d+)')
_TICKS: Final = 1 << 32


def idle_seconds() -> float | None:
    """Seconds since somebody last used a keyboard, a mouse or a terminal."""
    if sys.platform == "win32":
        return windows_idle(ctypes.windll)
    if sys.platform == "darwin":
        return mac_idle(said)
    return linux_idle(said, time.time(), terminals, os.environ)


def linux_idle(
    ask: Said, now: float, ttys: Callable[[], Iterable[Path]], environment: Mapping[str, str]
) -> float | None:
    """What logind knows of all sessions; without it, the last key in any terminal, where there is no desktop."""
    words = ask("busctl", "--system", "get-property", *_LOGIN, "IdleHint", "IdleSinceHint")
    match = re.fullmatch(r"b (true|false)\s+t (\d+)\s*", words or "")
    if match is not None:
        since = int(match[2]) / 1e6
        return max(0.0, now - since) if match[1] == "true" else 0.0
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return None
    touched = [_read_at(tty) for tty in ttys()]
    return max(0.0, now - max(touched)) if touched else None


def terminals() -> list[Path]:
    """The terminals of this machine that somebody may type in."""
    found = [*Path("/dev/pts").glob("[0-9]*"), *Path("/dev").glob("tty[0-9]*")]
    return [tty for tty in found if _is_owned(tty)]


def mac_idle(ask: Said) -> float | None:
    """What the driver of all input devices says."""
    match = _MAC_IDLE.search(ask("ioreg", "-c", "IOHIDSystem", "-d", "4") or "")
    return int(match[1]) / 1e9 if match else None


def windows_idle(windll: Any) -> float | None:
    """The system's ticks (ms, 32 bits) since its last input."""

    class LastInput(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("tick", ctypes.c_uint))

    last = LastInput(ctypes.sizeof(LastInput), 0)
    if not windll.user32.GetLastInputInfo(ctypes.byref(last)):
        return None
    return float((windll.kernel32.GetTickCount() - last.tick) % _TICKS) / 1000


def _read_at(tty: Path) -> float:
    try:
        return tty.stat().st_atime
    except OSError:
        return 0.0


def _is_owned(tty: Path) -> bool:
    """Whether somebody is logged in there; a console that waits for a login is touched by nobody."""
    try:
        return tty.parent.name == "pts" or tty.stat().st_uid != 0
    except OSError:
        return False
