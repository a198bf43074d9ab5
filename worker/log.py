"""The worker's log: events with their fields, one a line; prompts, results and keys are never among them."""

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import structlog

from worker.report import Trouble

FILE: Final = "worker.log"
STDERR: Final = 2
KEPT: Final = 20
LONGEST: Final = 400
BETWEEN: Final = 500
MOST_BYTES: Final = 16 << 20
_TROUBLE: Final = ("warning", "error", "critical")


class Recent:
    """The last warnings and errors, for whoever looks at the worker. A processor of the log."""

    def __init__(self) -> None:
        self._kept: deque[Trouble] = deque(maxlen=KEPT)

    def __call__(self, _: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keeps the event if it is one, and passes it on."""
        if name in _TROUBLE:
            fields = (f"{key} {value}" for key, value in event.items() if key not in ("event", "level", "timestamp"))
            what = str(event.get("event", "")).replace("_", " ")
            said = ": ".join(filter(None, (what, ", ".join(fields))))
            self._kept.append(Trouble(time.time_ns() // 1_000_000, _printable(said)))
        return event

    def last(self, count: int) -> list[Trouble]:
        """The newest ones, newest last."""
        return list(self._kept)[-count:]


def _printable(said: str) -> str:
    """Without what a terminal would obey: a reason may come from the coordinator."""
    return "".join(c if c.isprintable() else " " for c in said[:LONGEST])


class _Bounded:
    """Begins a file of its own anew once it is full, so that a year of a worker does not fill the disk. A processor."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._events = 0

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        self._events += 1
        if self._events % BETWEEN == 0 and os.fstat(self._out.fileno()).st_size > MOST_BYTES:
            os.ftruncate(self._out.fileno(), 0)
        return event


def log_to(out: TextIO, level: str, recent: Recent, *, bounded: bool = False) -> None:
    """Logs from this level on to `out`, and keeps what went wrong; a `bounded` file begins anew when it is full."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            recent,
            *([_Bounded(out)] if bounded else []),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=out.isatty() and "NO_COLOR" not in os.environ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(out),
    )


@contextmanager
def aside(home: Path) -> Iterator[bool]:
    """While a picture has the terminal, whatever we and our children print as an error goes to HIVE_HOME/worker.log, which
    begins anew each time; what is sent elsewhere already stays there. Gives whether it went."""
    if not sys.stderr.isatty():
        yield False
        return
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = os.dup(STDERR)
    file = os.open(home / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        os.dup2(file, STDERR)
        yield True
    finally:
        sys.stderr.flush()
        os.dup2(before, STDERR)
        os.close(before)
        os.close(file)
