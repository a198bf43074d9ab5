"""Logs: one JSON object a line on stderr, times in UTC. Nobody logs prompts, results, keys or other secrets."""

import logging
import sys
import traceback
from typing import Any

import structlog


def configure_logs(level: str) -> None:
    """Sets the level by its name (an unknown one is info) and the shape of every line."""
    known = logging.getLevelNamesMapping()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(known.get(level.upper(), logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def bug(failure: BaseException) -> dict[str, Any]:
    """What a log may hold of an exception: its kind and the last five places; never its text, which may quote a prompt."""
    cause = failure.__cause__ or failure
    frames = traceback.extract_tb(cause.__traceback__)[-5:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(cause).__name__, "at": places}
