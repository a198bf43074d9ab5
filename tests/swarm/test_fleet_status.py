"""The numbers of the swarm are those of all coordinators, whichever is asked."""

import asyncio
from pathlib import Path

import httpx

from coordinator.store.engine import Engine
from tests.support_wait import eventually
from tests.swarm.fleet import coordinators, known, worker_of


async def test_a_worker_elsewhere_is_shown_with_what_it_computes(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    async with coordinators(database_url, tmp_path, "") as (here, there), httpx.AsyncClient(timeout=30) as anybody:
        busy, idle = worker_of(there, gate=gate, slots=3), worker_of(there)

        async def shown() -> dict[str, int]:
            """What each worker that is online runs, as the other coordinator tells it."""
            found = (await anybody.get(f"{here.base_url}/hive/workers")).json()["data"]
            return {one["pk"]: one["running"] for one in found if one["online"]}

        async def told(running: int) -> bool:
            status = (await anybody.get(f"{here.base_url}/hive/status")).json()
            numbers = status["active_nodes"], status["computing_nodes"]
            return await shown() == {busy.pk: running, idle.pk: 0} and numbers == (2, int(running > 0))

        async with busy.connected(there.url), there.client() as http:
            jobs = [
                (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": f"{n}"})).json()["job_id"]
                for n in range(2)
            ]
            for _ in jobs:
                await busy.offers.get()
            async with idle.connected(there.url):
                for worker in (busy, idle):
                    await known(here, worker)  # or the register is read every 10 s, and after 15 s the jobs are lost
                await eventually(lambda: told(2), 15, "both jobs in the numbers of the other coordinator")
                gate.set()
                for job in jobs:
                    await there.ended(http, job)
                await eventually(lambda: told(0), 15, "no job in them")
