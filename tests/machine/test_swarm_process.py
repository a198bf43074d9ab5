"""`hive up` as a process: it stops cleanly, leaves no child, resumes its data, and starts again what dies."""

import asyncio
import os
import signal
from collections.abc import Iterator

import httpx
import psutil
import pytest

from deploy.layout import Ready
from tests.support_books import faults
from tests.support_up import STOP_S, Up, ended, kill, running, settled
from tests.support_wait import eventually

pytestmark = pytest.mark.timeout(300)

JOB = {"model_id": "hive-nano", "prompt": "Tell me a long story.", "max_tokens": 16, "jurisdiction": "EU"}
CHAT = {"model": "hive-nano", "messages": [{"role": "user", "content": "Hello"}]}
TWO = ("--workers", "2", "--worker-tiers", "navigator,sovereign", "--worker-max-tps", "60")
SOON_S = 5.0
"""How long the system may take for what it has ended."""


@pytest.fixture(scope="module")
def swarm() -> Iterator[Up]:
    with running(*TWO) as made:
        yield made


@pytest.fixture
def up(swarm: Up) -> Up:
    """The swarm, started again if the last test left it stopped."""
    if not swarm.is_running:
        swarm.start()
    return swarm


async def submit(up: Up, count: int) -> list[str]:
    async with up.client() as http:
        answers = await asyncio.gather(*(http.post("/hive/jobs", json=JOB) for _ in range(count)))
    return [answer.raise_for_status().json()["job_id"] for answer in answers]


async def all_completed(up: Up, ids: list[str]) -> None:
    async with up.client() as http:
        jobs = [await ended(up, http, job_id) for job_id in ids]
    assert {job["status"] for job in jobs} == {"completed"}
    assert await faults(up.ready.database_url) == []


def identity(ready: Ready) -> tuple[object, ...]:
    """What stays the same, whatever dies."""
    return ready.api_key, ready.admin_key, ready.workers


async def test_the_ready_file_tells_the_truth(up: Up) -> None:
    ready = up.ready
    assert up.ready_file.stat().st_mode & 0o777 == 0o600
    assert [worker.tier for worker in ready.workers] == ["navigator", "sovereign"]
    assert ready.status_url == f"{ready.base_url}/"
    names = {process.pid for process in up.everyone()}
    assert {ready.pids.coordinator, ready.pids.postgres, ready.pids.horizon, *ready.pids.workers} <= names
    async with up.client() as http:
        shown = {worker["pk"]: worker for worker in (await http.get("/hive/workers")).json()["data"]}
        models = (await http.get("/v1/models")).json()["data"]
    assert {worker.pk: worker.tier for worker in ready.workers} == {pk: shown[pk]["tier"] for pk in shown}
    assert [model["id"] for model in models] == ["hive-nano"]
    assert models[0]["is_ready"]
    assert up.process is not None
    everyone = up.everyone()
    os.killpg(up.process.pid, signal.SIGINT)
    _, left = await asyncio.to_thread(psutil.wait_procs, everyone, STOP_S)
    assert left == []


async def test_it_stops_in_mid_work_and_the_same_data_resumes(up: Up) -> None:
    before = up.ready
    ids = await submit(up, 20)
    everyone = up.everyone()
    assert len(everyone) > 6
    assert up.stop(signal.SIGTERM) < STOP_S
    assert up.process is not None
    assert up.process.returncode == 0
    assert not up.ready_file.exists()
    _, left = await asyncio.to_thread(psutil.wait_procs, everyone, SOON_S)
    assert left == []
    up.start()
    assert identity(up.ready) == identity(before)
    await all_completed(up, ids)
    await all_completed(up, await submit(up, 3))


async def test_nothing_outlives_it_when_it_is_killed_and_the_data_is_whole(up: Up) -> None:
    before, ids, everyone = up.ready, await submit(up, 20), up.everyone()
    up.kill()
    _, left = await asyncio.to_thread(psutil.wait_procs, everyone, STOP_S)
    assert left == []
    up.start()
    assert identity(up.ready) == identity(before)
    await all_completed(up, ids)


async def test_a_child_that_is_killed_comes_back_as_itself(up: Up) -> None:
    before = up.ready
    assert isinstance(before.pids.coordinator, int)
    victims = {before.pids.coordinator, before.pids.horizon, *before.pids.workers}
    for pid in victims:
        kill(pid)

    async def back() -> bool:
        pids = up.ready.pids
        now = {pids.coordinator, pids.horizon, *pids.workers}
        return len(now) == len(victims) and not now & (victims | {0})

    await eventually(back, 40, "four new processes")
    assert identity(up.ready) == identity(before)
    assert up.ready.base_url == before.base_url
    async with up.client() as http:

        async def online() -> bool:
            try:
                return (await http.post("/v1/chat/completions", json=CHAT)).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(online, 40, "an answer")
        ids = await submit(up, 3)
        await all_completed(up, ids)
        assert [(await settled(up, http, job_id, 60))["status"] for job_id in ids] == ["completed"] * 3
