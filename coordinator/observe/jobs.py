"""What is told of a job that has ended: one line in the log, and its part of the counts."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram

from coordinator.observe.series import ENDED, LOST, QUEUE, RETRIES, TOKENS, named
from coordinator.queue.over import Over

log = structlog.get_logger()

_REASONS: Final = {
    "no progress for 15 s": "silent",
    "the worker went away": "gone",
    "the lease ran out": "lease",
    "the worker forgot it": "forgotten",
    "its earlier tokens are gone": "forgotten",
}


KNOWN: Final = 20_000
"""Of so many jobs that have not ended it is known here which request asked for them: what waits longest is forgotten first."""

_requests: Final[dict[UUID, str]] = {}


def asked(jobs: Iterable[UUID]) -> None:
    """The request that is being served has asked for these jobs: their ends name it, if they come here."""
    request = structlog.contextvars.get_contextvars().get("request")
    if request is None:
        return
    _requests.update(dict.fromkeys(jobs, str(request)))
    while len(_requests) > KNOWN:
        del _requests[next(iter(_requests))]


def tell(over: Iterable[Over]) -> None:
    """Logs and counts jobs whose end is committed."""
    for one in over:
        _count(one)
        request = _requests.pop(one.job.id, None)
        log.info("a job ended", **_line(one), **({} if request is None else {"request": request}))


def loss_of(reason: str) -> str:
    """Why an attempt was lost as one of few words: the reason itself may be a worker's own."""
    return "rejected" if reason.startswith("rejected:") else _REASONS.get(reason, "worker")


def lost(reason: str, *, again: bool) -> None:
    """Counts an attempt that was lost for this reason; `again`: its job waits for another."""
    LOST.labels(loss_of(reason)).inc()
    if again:
        RETRIES.inc()


def _line(one: Over) -> dict[str, object]:
    """Never what was asked or said, and never whose it is."""
    job, end = one.job, one.end
    return {
        "job": str(job.id),
        "parent": str(job.parent) if job.parent else None,
        "model": job.model,
        "source": job.source,
        "state": end.state.value,
        "error": end.error_code,
        "attempts": job.attempt,
        "lost": job.lost + end.lost,
        "queue_ms": _ms(job.created_at, job.assigned_at or one.at),
        "run_ms": _ms(job.assigned_at, one.at),
        "tokens_in": end.tokens_in,
        "tokens": end.tokens_out,
        "worker": job.worker_pk,
    }


def _count(one: Over) -> None:
    job, end = one.job, one.end
    _ended(end.state.value, job.source).inc()
    for direction, many in (("in", end.tokens_in), ("cached", end.cached_tokens), ("out", end.tokens_out)):
        if many:
            _tokens(job.model, direction).inc(many)
    if job.assigned_at is not None:
        _queue(job.priority).observe((job.assigned_at - job.created_at).total_seconds(), named(job.id))


@cache
def _ended(state: str, source: str) -> Counter:
    """A series is looked up once: that takes longer than to count."""
    return ENDED.labels(state, source)


@cache
def _tokens(model: str, direction: str) -> Counter:
    return TOKENS.labels(model, direction)


@cache
def _queue(priority: str) -> Histogram:
    return QUEUE.labels(priority)


def _ms(start: datetime | None, end: datetime) -> int | None:
    return None if start is None else round((end - start).total_seconds() * 1000)
