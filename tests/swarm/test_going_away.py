"""A coordinator that stops says so to everybody who reads from it: nobody is left with half an answer that looks whole."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from coordinator.store.engine import Engine
from tests.swarm.http_hive import MODEL, Served, online, serving

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        running.hive.join(online("rome"))
        yield running


async def test_a_stream_ends_with_an_error_and_never_as_if_it_were_whole(served: Served) -> None:
    async def begin() -> None:
        job = await served.hive.accepted()
        served.hive.assign(job, online("rome"))
        served.hive.say(job, 0, "Hel")

    async with served.client() as http, asyncio.TaskGroup() as beside:
        beside.create_task(begin())
        stream = await http.send(
            http.build_request("POST", "/v1/chat/completions", json={**CHAT, "stream": True}), stream=True
        )
        lines = stream.aiter_lines()
        while "Hel" not in await anext(lines):
            pass
        served.hive.relay.stop()
        rest = [line.removeprefix("data: ") async for line in lines if line.startswith("data: ")]
        await stream.aclose()
    assert json.loads(rest[-1])["error"]["code"] == "restarting"
    assert "[DONE]" not in rest


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dispatched", [False, True])
async def test_who_has_heard_nothing_yet_is_asked_to_come_back(served: Served, stream: bool, dispatched: bool) -> None:
    async with served.client() as http:
        asking = asyncio.create_task(http.post("/v1/chat/completions", json={**CHAT, "stream": stream}))
        job = await served.hive.accepted()
        if dispatched:
            served.hive.assign(job, online("rome"))
        served.hive.relay.stop()
        told = await asking
    assert (told.status_code, told.json()["error"]["code"]) == (503, "restarting")
    assert told.headers["retry-after"] == "1"
    assert told.headers.get("x-should-retry") == ("false" if dispatched else None)


async def test_a_reader_of_events_is_let_go_to_come_back_with_its_last_id(served: Served) -> None:
    async with served.client() as http:
        made = await http.post("/hive/jobs", json={"model_id": MODEL, "prompt": "Hello"})
        job = await served.hive.accepted()
        async with http.stream("GET", f"/hive/jobs/{made.json()['job_id']}/events") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: status"
            served.hive.relay.stop()
            rest = [line async for line in lines]
        assert not any(line in {"event: done", "event: error"} for line in rest)
        assert (await http.get(f"/hive/jobs/{job.id}")).json()["status"] == "pending"


async def test_what_is_no_job_is_told_so_by_its_name(served: Served) -> None:
    async with served.client() as http:
        lost: httpx.Response = await http.get("/hive/jobs/abc")
        assert (lost.status_code, lost.json()["error"]["message"]) == (404, "There is no job abc.")
        unknown = (await http.post("/hive/jobs", json={"model_id": "gpt-7", "prompt": "Hello"})).json()["error"]
        assert (unknown["code"], unknown["param"]) == ("invalid_model", "model_id")
