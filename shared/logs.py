"""Logs: one JSON object a line on stderr, times in UTC. Nobody logs prompts, results, keys or other secrets."""

import logging
import sys

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
        cache_logger_on_first_use=True,
    )
