"""What this process counts and times, for its operator: few series, whose labels are closed sets. Never a prompt, a result, a key
or an id, but for the job's that a histogram's exemplar names."""

from typing import Final
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY: Final = CollectorRegistry()
"""One per process, as its counts are the process's."""

_QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LONG: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_DAYS: Final = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86_400, 3 * 86_400, 7 * 86_400)


def _timed(name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"hive_{name}_seconds", what, labels, buckets=buckets, registry=REGISTRY)


def _counted(name: str, what: str, *labels: str) -> Counter:
    return Counter(f"hive_{name}_total", what, labels, registry=REGISTRY)


def _gauged(name: str, what: str, *labels: str) -> Gauge:
    return Gauge(f"hive_{name}", what, labels, registry=REGISTRY)


SUBMIT: Final = _timed("submit", "From a request's arrival to its jobs' commit", _QUICK)
QUEUE: Final = _timed("job_queue", "From a job's commit to its first worker, told when it ends", _LONG, "priority")
DISPATCH: Final = _timed("dispatch", "From an offer to the worker's first word about it", _QUICK)
FIRST_TOKEN: Final = _timed("first_token", "From an offer to its first token", _LONG)
DECODE: Final = _timed("decode", "From an attempt's first token to its result", _LONG)
COMMIT: Final = _timed("commit", "Writing a batch of what workers reported", _QUICK)
SETTLEMENT: Final = _timed("settlement", "From a job's end to its payment's confirmation on the ledger", _DAYS)
LAG: Final = _timed("event_loop_lag", "How much later than asked the event loop came back", _QUICK)

ENDED: Final = _counted("jobs_ended", "Jobs that ended here", "state", "source")
TOKENS: Final = _counted(
    "tokens", "Tokens of jobs that ended here: read, of those cached, and made", "model", "direction"
)
RETRIES: Final = _counted("job_retries", "Jobs that wait again after an attempt came to nothing")
LOST: Final = _counted("attempts_lost", "Attempts that were lost, by reason", "reason")
DECLINED: Final = _counted("attempts_declined", "Offers that workers did not take")
ERRORS: Final = _counted("errors", "Requests that were answered with an error, by its code", "code")
GUARDED: Final = _counted("guard_refusals", "Requests that a guard refused", "guard")
CACHE: Final = _counted("answer_cache", "Requests that an earlier answer might serve, by whether one did", "result")
CALLBACKS: Final = _counted("callbacks", "Calls to tell of a job's end, by what came of them", "outcome")

PENDING: Final = _gauged(
    "jobs_pending", "Jobs that wait in the queue, counted up to 20 000; all coordinators", "priority"
)
PARKED: Final = _gauged("jobs_parked", "Jobs that wait for others of their key, counted up to 20 000; all coordinators")
OLDEST: Final = _gauged("oldest_pending_seconds", "Age of the oldest waiting job of those counted; all coordinators")
SESSIONS: Final = _gauged("worker_sessions", "Workers connected to this coordinator")
SLOTS: Final = _gauged("slots", "Slots of the workers connected here, by whether they are taken", "state")
POOL: Final = _gauged("database_connections", "Connections to the database, by whether they are in use", "state")


def named(job_id: UUID) -> dict[str, str]:
    """An exemplar that leads from a histogram to a job."""
    return {"job": str(job_id)}
