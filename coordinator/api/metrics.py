"""What is counted of HTTP, and of the swarm as every coordinator sees it; and how all that is counted is told."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from coordinator.observe.series import ERRORS, GUARDED, REGISTRY
from shared.errors import HiveError

REQUESTS: Final = Counter(
    "hive_http_requests_total", "HTTP requests by route and status", ["route", "method", "status"], registry=REGISTRY
)
SECONDS: Final = Histogram(
    "hive_http_request_seconds",
    "Time to the head of the answer, by route",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120),
    registry=REGISTRY,
)
DISCONNECTS: Final = Counter(
    "hive_client_disconnects_total", "Clients that left before their answer was complete", registry=REGISTRY
)
JOBS: Final = Gauge("hive_jobs", "Jobs by state, all coordinators", ["state"], registry=REGISTRY)
WORKERS: Final = Gauge("hive_workers_online", "Workers online", registry=REGISTRY)
PAID: Final = Gauge("hive_paid_gns", "GNS paid out since the beginning", registry=REGISTRY)


def exposition(accept: str) -> tuple[bytes, str]:
    """All of it and its content type: OpenMetrics, which has exemplars, where the `accept` header asks for it."""
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type


def refused(error: HiveError) -> None:
    """Counts a request that is answered with an error."""
    ERRORS.labels(error.code).inc()
    if error.code == "blocked_by_guardrail" and error.details is not None:
        GUARDED.labels(error.details["guard"]).inc()
