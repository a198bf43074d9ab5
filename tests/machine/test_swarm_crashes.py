"""Whatever process of a real swarm is killed with -9: every accepted job ends once, is paid once, stays in its place."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from coordinator.settle.split import split
from shared.ids import to_stroops
from tests.support_books import faults, value
from tests.support_up import Json, Up, ended, gns_of, kill, running, settled
from tests.support_wait import eventually

pytestmark = pytest.mark.timeout(240)

STORY: Any = {
    "model": "hive-nano",
    "messages": [{"role": "user", "content": "Tell me a long story."}],
    "max_tokens": 160,
}
JOB = {"model_id": "hive-nano", "prompt": "Tell me a long story.", "max_tokens": 16, "jurisdiction": "EU"}
PAID = "SELECT count(*) FROM payables WHERE job_id = :id AND state = 'paid'"


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running("--worker-max-tps", "60") as swarm:
        yield swarm


@pytest.fixture
async def http(up: Up) -> AsyncIterator[httpx.AsyncClient]:
    async with up.client() as client:
        yield client


@pytest.fixture(autouse=True)
async def books(up: Up) -> AsyncIterator[None]:
    """After every test of this file."""
    yield
    assert await faults(up.ready.database_url) == []


async def submit(http: httpx.AsyncClient) -> str:
    answer = await http.post("/hive/jobs", json=JOB)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


async def all_completed(up: Up, http: httpx.AsyncClient, ids: list[str]) -> list[Json]:
    jobs = [await ended(up, http, job_id, 80) for job_id in ids]
    assert Counter(job["status"] for job in jobs) == {"completed": len(ids)}
    return jobs


async def some_completed(http: httpx.AsyncClient, ids: list[str], at_least: int) -> None:
    """A moment at which some of these jobs are done, and others are not."""

    async def look() -> bool:
        return len(set(await _completed(http)) & set(ids)) >= at_least

    await eventually(look, 30, f"{at_least} completed jobs")


async def _completed(http: httpx.AsyncClient) -> list[str]:
    page = await http.get("/hive/jobs", params={"status": "completed", "limit": 100})
    return [job["id"] for job in page.raise_for_status().json()["data"]]


async def restarted(up: Up, pid: int, of: str) -> None:
    async def look() -> bool:
        now = getattr(up.ready.pids, of)
        return bool(now) and now != pid

    await eventually(look, 30, f"{of} started again\n{up.logs()}")


async def test_a_worker_killed_in_mid_answer_is_replaced_the_stream_goes_on_and_both_are_paid(
    up: Up, http: httpx.AsyncClient
) -> None:
    before = {worker.pk: await gns_of(up, worker.pk) for worker in up.ready.workers}
    said, killed = [], 0
    async with up.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(
            **STORY, stream=True, temperature=0, extra_headers={"x-hive-jurisdiction": "EU"}
        )
        job_id, dead = raw.headers["x-hive-job-id"], raw.headers["x-hive-worker"]
        async for chunk in raw.parse():
            said += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            if len(said) == 3 and not killed:
                killed = up.worker_pid(dead)
                kill(killed)
    job = await settled(up, http, job_id, 60)
    assert (job["status"], job["attempts"]) == ("completed", 2), job
    assert job["worker_pk"] != dead
    assert "".join(said) == job["result_text"]

    async def both_are_paid() -> bool:
        return await value(up.ready.database_url, PAID, id=job_id) == 2

    await eventually(both_are_paid, 40, f"the killed worker, started again, signs for its part\n{up.logs()}")
    earned = {worker.pk: await gns_of(up, worker.pk) - before[worker.pk] for worker in up.ready.workers}
    assert {pk for pk, stroops in earned.items() if stroops} == {dead, job["worker_pk"]}
    whole = split(to_stroops(str(job["gns_cost"]))).worker
    assert whole - 2 <= sum(earned.values()) <= whole


async def test_the_coordinator_killed_with_a_hundred_accepted_jobs(up: Up, http: httpx.AsyncClient) -> None:
    ids = await asyncio.gather(*(submit(http) for _ in range(100)))
    await some_completed(http, ids, 10)
    pid = up.ready.pids.coordinator
    assert isinstance(pid, int)
    kill(pid)
    await restarted(up, pid, "coordinator")
    jobs = await all_completed(up, http, ids)
    assert {job["worker_pk"] for job in jobs} == {worker.pk for worker in up.ready.workers[:2]}


async def test_postgres_killed_under_load(up: Up, http: httpx.AsyncClient) -> None:
    ids: list[str] = []
    refused: Counter[tuple[int, str]] = Counter()

    async def keep_asking() -> None:
        while len(ids) < 60 or not refused:
            answer = await http.post("/hive/jobs", json=JOB)
            if answer.status_code == 201:
                ids.append(answer.json()["job_id"])
            else:
                refused[answer.status_code, answer.json()["error"]["code"]] += 1

    asking = [asyncio.create_task(keep_asking()) for _ in range(4)]

    async def loaded() -> bool:
        return len(ids) >= 20

    await eventually(loaded, 30, "20 accepted jobs")
    pid = up.ready.pids.postgres
    kill(pid)
    await asyncio.gather(*asking)
    assert set(refused) == {(503, "database_away")}
    await restarted(up, pid, "postgres")
    await all_completed(up, http, ids)
