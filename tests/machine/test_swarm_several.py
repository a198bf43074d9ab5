"""`hive up --coordinators 2`: real processes, a NATS server between them, and one of them killed and restarted under way."""

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.support_up import Up, kill, running
from tests.support_wait import eventually

pytestmark = pytest.mark.timeout(300)
CHAT: dict[str, Any] = {
    "model": "hive-nano", "messages": [{"role": "user", "content": "What is the capital of Italy?"}], "max_tokens": 40,
    "temperature": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running("--coordinators", "2", "--workers", "1") as made:
        yield made


def client(up: Up, number: int) -> httpx.AsyncClient:
    """Plain HTTP with the owner's key to one of the coordinators."""
    headers = {"authorization": f"Bearer {up.ready.api_key}"}
    return httpx.AsyncClient(base_url=up.ready.base_urls[number], headers=headers, timeout=30)


async def answers(up: Up, number: int) -> bool:
    """Whether this coordinator answers a chat; its worker is at the first."""
    async with client(up, number) as http:
        try:
            answer = await http.post("/v1/chat/completions", json=CHAT)
        except httpx.TransportError:
            return False
    return answer.status_code == 200 and "Rome" in answer.text


async def test_each_of_two_coordinators_answers_though_one_of_them_has_the_only_worker(up: Up) -> None:
    ready = up.ready
    assert isinstance(ready.pids.coordinator, list)
    assert (len(ready.pids.coordinator), len(ready.base_urls), ready.base_urls[0]) == (2, 2, ready.base_url)
    assert {*ready.pids.coordinator, ready.pids.nats} <= {process.pid for process in up.everyone()}
    for number in (0, 1):
        assert await answers(up, number), up.logs()
        async with client(up, number) as http:

            async def counted(http: httpx.AsyncClient = http) -> bool:
                status = (await http.get("/hive/status")).json()
                return (status["active_nodes"], status["registered_nodes"]) == (1, 1)

            await eventually(counted, 30, "the one worker in the numbers, which may be some seconds old")
    async with (
        client(up, 1) as http,
        http.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as stream,
    ):
        lines = [line async for line in stream.aiter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    assert stream.headers["x-hive-worker"] == ready.workers[0].pk


async def test_coordinators_and_the_bus_that_die_come_back_and_nothing_that_was_accepted_is_lost(up: Up) -> None:
    before = up.ready.pids
    assert isinstance(before.coordinator, list)
    were = {*before.coordinator, before.nats}
    async with client(up, 1) as http:
        job = {"model_id": "hive-nano", "prompt": "What is the capital of Italy?", "max_tokens": 40}
        made = await asyncio.gather(*(http.post("/hive/jobs", json=job) for _ in range(10)))
        ids = [one.raise_for_status().json()["job_id"] for one in made]
        kill(before.coordinator[0])
        kill(before.nats)
        os.kill(before.coordinator[1], signal.SIGTERM)

    async def back() -> bool:
        now = up.ready.pids
        assert isinstance(now.coordinator, list)
        pids = [*now.coordinator, now.nats]
        return not set(pids) & {*were, 0} and all(map(psutil.pid_exists, pids))

    await eventually(back, 60, f"two coordinators and the bus again\n{up.logs()}")
    for number in (1, 0):

        async def answering(number: int = number) -> bool:
            return await answers(up, number)

        await eventually(answering, 60, f"an answer of coordinator {number + 1}\n{up.logs()}")
    async with client(up, 0) as http:

        async def completed() -> bool:
            jobs = [(await http.get(f"/hive/jobs/{id_}")).raise_for_status().json() for id_ in ids]
            return all(job["status"] == "completed" for job in jobs)

        await eventually(completed, 90, f"the ends of all jobs\n{up.logs()}")


def test_it_stops_within_its_time_and_leaves_nobody_behind(up: Up) -> None:
    everyone = up.everyone()
    assert up.stop() < 20
    _, left = psutil.wait_procs(everyone, 5)
    assert left == []
