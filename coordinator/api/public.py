"""The routes that need no key: status, models, workers, receipts, guards, health."""

from typing import Any, Final
from uuid import UUID

from litestar import get
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api import guards
from coordinator.api.answers import json_answer
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.offered import OfferedList
from coordinator.api.shown import WorkerList
from coordinator.api.views import written
from coordinator.store import receipts
from coordinator.store.engine import alone
from shared.errors import NotFound


@get("/hive/status", name="swarm_status")
async def swarm_status(request: HttpRequest) -> ASGIApp:
    """The swarm in numbers."""
    return json_answer((await face_of(request).swarm.snapshot()).status)


@get("/hive/models", name="swarm_models")
async def swarm_models(request: HttpRequest) -> ASGIApp:
    """Every model of the catalogue, and who serves it now."""
    return json_answer(OfferedList(face_of(request).swarm.models()))


@get("/hive/workers", name="swarm_workers")
async def swarm_workers(request: HttpRequest) -> ASGIApp:
    """Every registered worker, the ones online first."""
    snapshot = await face_of(request).swarm.snapshot()
    return json_answer(WorkerList(sorted(snapshot.workers, key=lambda worker: not worker.online)))


@get("/hive/workers/{pk:str}", name="swarm_worker")
async def swarm_worker(request: HttpRequest, pk: FromPath[str]) -> ASGIApp:
    """One worker by its public key."""
    for worker in (await face_of(request).swarm.snapshot()).workers:
        if worker.pk == pk.lower():
            return json_answer(worker)
    raise NotFound(f"There is no worker {pk[:64]}.")


@get("/hive/receipts/{job_id:uuid}", name="receipt")
async def receipt(request: HttpRequest, job_id: FromPath[UUID]) -> ASGIApp:
    """The signed receipt of a completed job."""
    async with alone(face_of(request).hive.engine) as conn:
        signed = await receipts.get_receipt(conn, job_id)
    if signed is None:
        raise NotFound(f"There is no receipt of a job {job_id}.")
    return json_answer(signed)


@get("/health", name="health")
async def health(request: HttpRequest) -> ASGIApp:
    """Whether this coordinator serves; 503 while its database is away."""
    face = face_of(request)
    await face.swarm.reach()
    now = written(face.hive.clock())
    return json_answer({"status": "ok", "timestamp": now, "workers_online": face.hive.hub.online})


ROUTES: Final[list[Any]] = [swarm_status, swarm_models, swarm_workers, swarm_worker, receipt, health, *guards.ROUTES]
