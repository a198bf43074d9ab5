"""The worker's log: events with their fields, one a line; prompts, results and keys are never among them."""

import logging
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

from worker.report import Trouble

KEPT: Final = 20
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
            self._kept.append(Trouble(time.time_ns() // 1_000_000, ": ".join(filter(None, (what, ", ".join(fields))))))
        return event

    def last(self, count: int) -> list[Trouble]:
        """The newest ones, newest last."""
        return list(self._kept)[-count:]


def log_to(out: TextIO | None, level: str, recent: Recent) -> None:
    """Logs from this level on to `out`; without it, nothing is printed and what went wrong is only kept."""
    processors: list[Any] = [structlog.processors.add_log_level, recent]
    if out is None:
        processors.append(_drop)
    else:
        processors += [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=out.isatty()),
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(out),
    )


def _drop(*_: Any) -> Any:
    raise structlog.DropEvent
