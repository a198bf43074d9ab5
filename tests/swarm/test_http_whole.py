"""The whole way of a job, from HTTP to scripted workers in three cities and back: the examples of the seed's page."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from coordinator.store.engine import Engine
from shared.geo.cells import at, cell_of, format_cell, parse_cell
from tests.support_wait import eventually
from tests.swarm.faced import Faced, facing
from tests.swarm.floor import opened
from tests.swarm.http_hive import PLACES

CELLS = {place: format_cell(cell_of(*point)) for place, point in PLACES.items()}
SAYS = "H3 is a hierarchical hexagonal geospatial indexing system."
CHAT: Any = {"model": "letters", "messages": [{"role": "user", "content": "Explain H3."}]}


class World(Faced):
    """A face, a floor behind it, and a worker in each city by its place."""

    def __init__(self, faced: Faced, places: dict[str, str]) -> None:
        super().__init__(faced.url, faced.key, faced.floor)
        self.places = places


@pytest.fixture
async def world(engine: Engine, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(engine) as floor, contextlib.AsyncExitStack() as stack:
        faced = await stack.enter_async_context(facing(floor, tmp_path))
        places = {}
        for place, cell in CELLS.items():
            worker = floor.worker(cell=cell, says=SAYS, handle=f"@{place.replace(' ', '')}")
            await stack.enter_async_context(worker.connected(floor.url))
            places[worker.pk] = place
        yield World(faced, places)


async def test_the_seeds_chat(world: World) -> None:
    async with AsyncOpenAI(api_key=world.key, base_url=f"{world.url}/v1") as client:
        raw = await client.chat.completions.with_raw_response.create(
            **CHAT,
            max_tokens=150,
            extra_headers={"x-hive-jurisdiction": "EU"},
        )
    whole = raw.parse()
    assert whole.choices[0].message.content == SAYS
    assert whole.usage is not None
    assert (whole.usage.completion_tokens, whole.choices[0].finish_reason) == (len(SAYS), "stop")
    assert whole.id == "hive-" + raw.headers["x-hive-job-id"][:8]
    assert world.places[raw.headers["x-hive-worker"]] != "new york"


async def test_the_seeds_job(world: World) -> None:
    body = {
        "h3_cell": CELLS["rome"],
        "model_id": "letters",
        "prompt": "What is decentralized AI inference?",
        "max_tokens": 60,
        "temperature": 0.7,
        "gns_reward": 0.01,
        "jurisdiction": "EU",
        "min_trust_tier": "provisioned",
    }
    async with world.client() as http:
        made = await http.post("/hive/jobs", json=body)
        assert made.status_code == 201, made.text
        job_id = made.json()["job_id"]
        events = await http.get(f"/hive/jobs/{job_id}/events")
        assert "event: done" in events.text
        job = (await http.get(f"/hive/jobs/{job_id}")).json()
        assert (job["status"], job["result_text"], job["tokens_generated"]) == ("completed", SAYS, len(SAYS))
        assert world.places[job["worker_pk"]] == "rome"
        assert job["tokens_per_second"] > 0
        assert job["completed_at"].endswith("Z")
        assert (job["settled"], job["stellar_tx_hash"], job["gns_cost"]) == (False, None, 0.01)
        receipt = (await http.get(job["receipt_url"])).json()
        assert (receipt["receipt"]["job_id"], receipt["inclusion"]) == (job_id, None)
        assert parse_cell(receipt["receipt"]["cell"]) == at(parse_cell(CELLS["rome"]), 4)
        again = await http.delete(f"/hive/jobs/{job_id}")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "not_cancellable")


async def test_two_hundred_jobs_for_the_eu_never_reach_new_york(world: World) -> None:
    async with world.client() as http:

        async def one(number: int) -> str:
            async with slots:
                body = {**CHAT, "stream": number % 2 == 0, "max_tokens": 8}
                got = await http.post("/v1/chat/completions", json=body, headers={"x-hive-jurisdiction": "EU"})
            assert got.status_code == 200, got.text
            return world.places[got.headers["x-hive-worker"]]

        slots = asyncio.Semaphore(16)
        served = await asyncio.gather(*(one(number) for number in range(200)))
    assert set(served) == {"rome", "berlin"}


async def test_a_named_cell_is_served_by_its_worker(world: World) -> None:
    async with world.client() as http:
        for place, cell in CELLS.items():
            headers = {"x-hive-h3-cell": cell, "x-hive-h3-strict": "true"}
            got = await http.post("/v1/chat/completions", json=CHAT, headers=headers)
            assert world.places[got.headers["x-hive-worker"]] == place
        status = (await http.get("/hive/status")).json()
        assert (status["active_nodes"], status["active_h3_cells"], status["ledger"]) == (3, 3, "none")
        listed = (await http.get("/hive/workers")).json()["data"]
        assert {worker["handle"] for worker in listed} == {"@rome", "@berlin", "@newyork"}
        assert CELLS["rome"] not in (await http.get("/hive/workers")).text


async def test_a_client_that_leaves_ends_its_job_as_cancelled(world: World) -> None:
    gate = asyncio.Event()
    tokyo = format_cell(cell_of(35.68, 139.69))
    stuck = world.floor.worker(cell=tokyo, says=SAYS, slots=1, gate=gate, handle="@stuck")
    async with stuck.connected(world.floor.url), world.client() as http:
        body = {**CHAT, "stream": True}
        async with http.stream("POST", "/v1/chat/completions", json=body, headers={"x-hive-jurisdiction": "JP"}) as got:
            job_id = got.headers["x-hive-job-id"]
            await anext(got.aiter_lines())
        cancelled = await asyncio.wait_for(stuck.cancels.get(), 30)
        assert cancelled.job_id == job_id

        async def written() -> bool:
            return bool((await http.get(f"/hive/jobs/{job_id}")).json()["completed_at"])

        await eventually(written, 30, "the end of the job")
        job = (await http.get(f"/hive/jobs/{job_id}")).json()
        assert (job["status"], job["error"]["code"]) == ("cancelled", "job_failed")
