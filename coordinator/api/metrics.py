"""What this process counts for its operator; never a prompt, a result or a key."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY: Final = CollectorRegistry()
"""One per process, as its counts are the process's."""

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

EXPOSITION_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """All of it in the Prometheus text format."""
    return generate_latest(REGISTRY)
