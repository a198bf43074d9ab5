"""A key that may have so many jobs at once, over HTTP: what is over it waits its turn and is not refused, and is given away
the moment that another ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx
import pytest

from coordinator.dispatch import rounds
from shared.protocol.messages import Offer
from tests.support_wait import eventually
from tests.swarm.scripted import ScriptedWorker, speak
from tests.swarm.whole import Json, Swarm

JOB: Json = {"model_id": "hive-nano", "prompt": "What is the capital of Italy?", "max_tokens": 20}
CHAT: Json = {"model": "hive-nano", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
def _nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is let in is found because the round is woken, not by the look once a second."""

    async def never(_: Any) -> None:
        return

    monkeypatch.setattr(rounds, "look", never)


@asynccontextmanager
async def capped(swarm: Swarm, at_once: int) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key may have so many jobs at once."""
    operator = {"authorization": f"Bearer {swarm.admin_key}"}
    async with httpx.AsyncClient(base_url=swarm.admin_url, headers=operator, timeout=30) as admin:
        wanted = {"plan": "enterprise", "grant": 100, "at_once": at_once}
        made = (await admin.post("/admin/keys", json=wanted)).raise_for_status().json()
    async with swarm.client(authorization=f"Bearer {made['key']}") as http:
        yield http


@asynccontextmanager
async def tokyo(swarm: Swarm) -> AsyncIterator[ScriptedWorker]:
    """A worker with many slots that waits for its gate after its first words."""
    worker = swarm.worker(cell="872f5aad9ffffff", gate=asyncio.Event(), chunk=2, slots=8)
    async with worker.connected(swarm.url):
        yield worker


async def submitted(http: httpx.AsyncClient, **different: Any) -> str:
    made = await http.post("/hive/jobs", json=JOB | {"jurisdiction": "JP"} | different)
    return str(made.raise_for_status().json()["job_id"])


async def seen(http: httpx.AsyncClient, job_id: str) -> Json:
    job: Json = (await http.get(f"/hive/jobs/{job_id}")).raise_for_status().json()
    return job


async def test_what_is_over_the_cap_waits_and_is_done_in_its_turn(swarm: Swarm) -> None:
    at_work: list[int] = [0]

    async def counted(worker: ScriptedWorker, offer: Offer) -> None:
        at_work.append(at_work[-1] + 1)
        await speak(worker, offer)
        at_work.append(at_work[-1] - 1)

    async with tokyo(swarm) as worker, capped(swarm, 2) as http:
        worker.script = counted
        ids = [await submitted(http) for _ in range(5)]
        first = [(await worker.offers.get()).body.job_id for _ in range(2)]
        assert first == ids[:2]
        told = [await seen(http, job_id) for job_id in ids]
        assert [job["parked"] for job in told] == [False, False, True, True, True]
        assert {job["status"] for job in told[2:]} == {"pending"}
        assert worker.gate is not None
        worker.gate.set()
        done = [await swarm.ended(http, job_id) for job_id in ids]
    assert {job["status"] for job in done} == {"completed"}
    assert not any(job["parked"] for job in done)
    assert (len(at_work), max(at_work), at_work[-1]) == (1 + 2 * len(ids), 2, 0)


async def test_other_keys_go_past_it(swarm: Swarm) -> None:
    async with tokyo(swarm) as worker, capped(swarm, 1) as http, swarm.client() as other:
        await submitted(http)
        waits = await submitted(http)
        goes = await submitted(other)
        offered = {(await worker.offers.get()).body.job_id for _ in range(2)}
        assert goes in offered
        assert (await seen(http, waits))["parked"]


async def parked_one(http: httpx.AsyncClient) -> str:
    """The id of the job of this account that is parked, once there is one."""

    async def look() -> str | None:
        page = (await http.get("/hive/jobs", params={"status": "pending"})).raise_for_status().json()["data"]
        return next((str(job["id"]) for job in page if job["parked"]), None)

    return await eventually(look, 10, "a parked job")


async def test_a_chat_over_the_cap_waits_for_the_one_before_it(swarm: Swarm) -> None:
    async with tokyo(swarm) as worker, capped(swarm, 1) as http:
        running = await submitted(http)
        await worker.offers.get()
        chat = asyncio.ensure_future(
            http.post("/v1/chat/completions", json=CHAT, headers={"x-hive-jurisdiction": "IT"})
        )
        await parked_one(http)
        assert not chat.done()
        await http.delete(f"/hive/jobs/{running}")
        got = (await chat).raise_for_status().json()
    assert got["choices"][0]["message"]["content"] == "The capital is Rome."


async def test_answers_to_one_request_are_made_one_after_the_other(swarm: Swarm) -> None:
    async with capped(swarm, 1) as http:
        got = (await http.post("/v1/chat/completions", json=CHAT | {"n": 3})).raise_for_status().json()
        jobs = [await swarm.ended(http, job["id"]) for job in (await http.get("/hive/jobs")).json()["data"]]
    assert [choice["message"]["content"] for choice in got["choices"]] == ["The capital is Rome."] * 3
    spans = sorted((job["assigned_at"], job["completed_at"]) for job in jobs)
    assert len(spans) == 3
    for (_, ended), (begun, _) in pairwise(spans):
        assert ended <= begun


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_while_it_is_parked_leaves_nothing(swarm: Swarm, stream: bool) -> None:
    async with tokyo(swarm) as worker, capped(swarm, 1) as http:
        running = await submitted(http)
        await worker.offers.get()

        async def computing() -> bool:
            return bool((await seen(http, running))["status"] == "computing")

        await eventually(computing, 10, "the first job computed")
        body, headers = CHAT | {"stream": stream}, {"x-hive-jurisdiction": "JP"}
        chat = asyncio.ensure_future(http.post("/v1/chat/completions", json=body, headers=headers))
        left = await parked_one(http)
        chat.cancel()
        ended = await swarm.ended(http, left)
        assert (ended["status"], ended["attempts"], ended["gns_cost"]) == ("cancelled", 0, 0)
        assert await computing()
