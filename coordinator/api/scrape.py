"""`GET /metrics`: what is counted as it happens, and what is looked at when somebody asks."""

from typing import Any, Final

from litestar import get
from litestar.types import ASGIApp

from coordinator.api.answers import Answer
from coordinator.api.face import face_of
from coordinator.api.hive import Hive, HttpRequest
from coordinator.api.metrics import JOBS, PAID, WORKERS, exposition
from coordinator.api.shown import SwarmStatus
from coordinator.dispatch.offer import in_ms
from coordinator.observe.series import OLDEST, PARKED, PENDING, POOL, SESSIONS, SLOTS
from coordinator.store import waiting
from coordinator.store.engine import alone, connections
from coordinator.store.waiting import Lane


@get("/metrics", name="metrics")
async def metrics(request: HttpRequest) -> ASGIApp:
    """Counts in the Prometheus text format, or as OpenMetrics with exemplars."""
    face = face_of(request)
    status = (await face.swarm.snapshot()).status
    async with alone(face.hive.engine) as conn:
        lanes = await waiting.lanes(conn)
    _swarm(status)
    _waiting(face.hive, lanes)
    _here(face.hive)
    return Answer(*exposition(request.headers.get("accept", "")))


def _swarm(status: SwarmStatus) -> None:
    for state, count in status.jobs.items():
        JOBS.labels(state).set(count)
    WORKERS.set(status.active_nodes)
    PAID.set(float(status.total_tokens_distributed))


def _waiting(hive: Hive, lanes: list[Lane]) -> None:
    for priority in ("interactive", "batch"):
        PENDING.labels(priority).set(sum(lane.jobs for lane in lanes if lane.priority == priority and not lane.parked))
    PARKED.set(sum(lane.jobs for lane in lanes if lane.parked))
    now = hive.clock()
    OLDEST.set(max(((now - lane.oldest).total_seconds() for lane in lanes), default=0.0))


def _here(hive: Hive) -> None:
    benches = hive.hub.benches(in_ms(hive.clock())).values()
    SESSIONS.set(len(hive.hub.sessions))
    SLOTS.labels("taken").set(sum(bench.taken for bench in benches))
    SLOTS.labels("free").set(sum(max(0, bench.slots - bench.taken) for bench in benches))
    used, idle = connections(hive.engine)
    POOL.labels("used").set(used)
    POOL.labels("idle").set(idle)


ROUTES: Final[list[Any]] = [metrics]
