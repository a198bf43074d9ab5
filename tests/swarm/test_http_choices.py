"""Several answers to one request: children of one parent, by the official client; fallbacks; an SDK's own retries."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from coordinator.queue.lifecycle import State
from coordinator.store.engine import Engine
from coordinator.store.rows import NewJob
from tests.swarm.http_hive import MODEL, Served, online, serving, until

CHAT: Any = {"model": MODEL, "messages": [{"role": "user", "content": "Say one word."}]}


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        running.hive.join(online("rome"))
        yield running


@pytest.fixture
async def client(served: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=served.api_key, base_url=f"{served.base_url}/v1", max_retries=0) as made:
        yield made


async def take(served: Served, count: int) -> list[NewJob]:
    """The next jobs, each given to a worker."""
    jobs = [await served.hive.accepted() for _ in range(count)]
    for job in jobs:
        served.hive.assign(job, online("rome"))
    return jobs


async def test_two_choices_are_two_children_of_one_parent_and_read_the_prompt_once(
    served: Served, client: AsyncOpenAI
) -> None:
    asking: asyncio.Task[Any] = asyncio.ensure_future(
        client.chat.completions.with_raw_response.create(**CHAT, n=2, seed=7)
    )
    first, second = await take(served, 2)
    await served.hive.complete(second, "two", 1)
    await served.hive.complete(first, "one", 2, "length")
    raw = await asking
    got = raw.parse()
    assert [(c.index, c.message.content, c.finish_reason) for c in got.choices] == [
        (0, "one", "length"),
        (1, "two", "stop"),
    ]
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (3, 3)
    assert first.parent == second.parent
    assert raw.headers["x-hive-job-id"] == str(first.parent)
    assert (first.seed, second.copy) == ("7", True)
    async with served.client() as http:
        parent = (await http.get(f"/hive/jobs/{first.parent}")).json()
        child = (await http.get(f"/hive/jobs/{second.id}")).json()
        events = await http.get(f"/hive/jobs/{first.parent}/events")
    assert parent["children"] == [str(first.id), str(second.id)]
    assert (child["parent_id"], child["children"]) == (str(first.parent), [])
    assert (events.status_code, events.json()["error"]["code"]) == (400, "invalid_request")


async def test_choices_stream_side_by_side(served: Served, client: AsyncOpenAI) -> None:
    stream = asyncio.create_task(
        client.chat.completions.create(**CHAT, n=2, stream=True, stream_options={"include_usage": True})
    )
    first, second = await take(served, 2)
    served.hive.say(second, 0, "b")
    served.hive.say(first, 0, "a")
    texts, reasons, roles = {0: "", 1: ""}, {}, []
    chunks = await stream
    await served.hive.complete(first, "aa", 2)
    await served.hive.complete(second, "bb", 2)
    async for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            roles += [choice.index] if choice.delta.role else []
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
        usage = chunk.usage
    assert (texts, reasons, roles) == ({0: "aa", 1: "bb"}, {0: "stop", 1: "stop"}, [0, 1])
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 4)


async def test_who_leaves_frees_all_choices(served: Served) -> None:
    async with served.client() as http:
        asking = asyncio.create_task(http.post("/v1/chat/completions", json={**CHAT, "n": 3}))
        jobs = await take(served, 3)
        asking.cancel()
        await asyncio.wait([asking])
    left = {await asyncio.wait_for(_abandoned(served), 10) for _ in jobs}
    assert left == {job.id for job in jobs}


async def _abandoned(served: Served) -> Any:
    while not (left := served.hive.relay.take_abandoned()):
        await served.hive.relay.abandoned.wait()
    for more in list(left)[1:]:
        served.hive.relay.abandon(more)
    return next(iter(left))


async def test_a_parent_is_cancelled_whole(served: Served) -> None:
    async with served.client() as http:
        asking = asyncio.create_task(http.post("/v1/chat/completions", json={**CHAT, "n": 2}))
        first, second = await take(served, 2)
        cancelled = await http.delete(f"/hive/jobs/{first.parent}")
        got = await asking
    assert cancelled.status_code == 200
    assert [job_id for job_id, _ in served.hive.cancelled] == [first.id, second.id]
    assert got.status_code == 502


async def test_completions_of_several_prompts(served: Served, client: AsyncOpenAI) -> None:
    asking = asyncio.create_task(
        client.completions.create(model=MODEL, prompt=["one word", "two words here"], n=2, echo=True, max_tokens=5)
    )
    jobs = await take(served, 4)
    for number, job in enumerate(jobs):
        await served.hive.complete(job, f" {number}", 1)
    got = await asking
    assert [choice.text for choice in got.choices] == [
        "one word 0",
        "one word 1",
        "two words here 2",
        "two words here 3",
    ]
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (5, 4)
    assert [job.max_tokens for job in jobs] == [5] * 4


async def test_a_completion_streams_and_tells_logprobs_in_the_older_shape(served: Served, client: AsyncOpenAI) -> None:
    stream = asyncio.create_task(client.completions.create(model=MODEL, prompt="one", stream=True))
    (job,) = await take(served, 1)
    served.hive.say(job, 0, "a")
    chunks = await stream
    await served.hive.complete(job, "ab", 2)
    text = [chunk.choices[0].text async for chunk in chunks]
    assert text == ["a", "b", ""]


@pytest.mark.parametrize("prompt", [None, [], [1, "a"], [[1], 2], [[]]])
async def test_what_is_no_prompt_is_refused(served: Served, prompt: Any) -> None:
    async with served.client() as http:
        got = await http.post("/v1/completions", json={"model": MODEL, "prompt": prompt})
    assert (got.status_code, got.json()["error"]["param"]) == (400, "prompt")


async def test_fallbacks_stand_in_for_a_model_that_cannot_be_had(served: Served) -> None:
    async with served.client() as http:
        body = {**CHAT, "model": "nobody/has-it", "models": ["neither/this", MODEL]}
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=body))
        (job,) = await take(served, 1)
        await served.hive.complete(job, "x", 1)
        assert (await asking).json()["model"] == MODEL
        del body["model"]
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=body))
        (job,) = await take(served, 1)
        await served.hive.complete(job, "x", 1)
        assert (await asking).json()["model"] == MODEL
        nameless = await http.post("/v1/chat/completions", json={"messages": CHAT["messages"]})
        assert (nameless.status_code, nameless.json()["error"]["param"]) == (400, "model")
        body["model"] = "nobody/has-it"
        alone = await http.post("/v1/chat/completions", json={**body, "models": ["neither/this"]})
    assert (alone.status_code, alone.json()["error"]["code"]) == (400, "invalid_model")
    assert "nobody/has-it" in alone.json()["error"]["message"]


async def test_an_sdks_own_retry_joins_the_first_job_and_a_plain_repeat_does_not(served: Served) -> None:
    retry = {"x-stainless-retry-count": "1"}
    async with served.client() as http:
        asking = asyncio.create_task(http.post("/v1/chat/completions", json={**CHAT, "n": 2}))
        jobs = await take(served, 2)
        served.hive.late += timedelta(minutes=1)
        again = asyncio.create_task(http.post("/v1/chat/completions", json={**CHAT, "n": 2}, headers=retry))
        await until(lambda: all(len(served.hive.relay._readers[job.id]) == 2 for job in jobs))
        for job in jobs:
            await served.hive.complete(job, "same", 1)
        first, second = await asking, await again
        assert first.json() == second.json()
        other = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT, headers=retry))
        (fresh,) = await take(served, 1)
        await served.hive.end(fresh.id, State.COMPLETED, result_text="new", tokens_generated=1, finish_reason="stop")
        assert (await other).headers["x-hive-job-id"] == str(fresh.id)
    assert served.hive.writer.accepted.empty()


@pytest.mark.parametrize("n", [0, -1, 129])
async def test_how_many_answers_are_made_is_bounded(served: Served, n: int) -> None:
    async with served.client() as http:
        got: httpx.Response = await http.post("/v1/chat/completions", json={**CHAT, "n": n})
    assert (got.status_code, got.json()["error"]["param"]) == (400, "n")


@pytest.mark.parametrize(("n", "prompts", "param"), [(None, 129, "prompt"), (None, 40_000, "prompt"), (2, 65, "n")])
async def test_a_list_of_prompts_is_bounded_as_well(served: Served, n: int | None, prompts: int, param: str) -> None:
    async with served.client() as http:
        got = await http.post("/v1/completions", json={"model": MODEL, "prompt": ["a"] * prompts, "n": n})
        assert (got.status_code, got.json()["error"]["param"]) == (400, param)
        unspelled = await http.post("/v1/completions", json={"model": MODEL, "prompt": [[-1]] * 129})
        assert "up to 128 texts" in unspelled.json()["error"]["message"]
    assert served.hive.writer.accepted.empty()


async def test_a_retry_for_another_place_is_another_request(served: Served) -> None:
    async with served.client() as http:
        keyed = {"idempotency-key": "k", "x-hive-jurisdiction": "IT"}
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT, headers=keyed))
        (job,) = await take(served, 1)
        await served.hive.complete(job, "in Italy", 1)
        assert (await asking).status_code == 200
        refused = await http.post("/v1/chat/completions", json=CHAT, headers={**keyed, "x-hive-jurisdiction": "EU"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_conflict")
        elsewhere = {"x-stainless-retry-count": "1", "x-hive-jurisdiction": "EU"}
        retrying = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT, headers=elsewhere))
        (fresh,) = await take(served, 1)
        await served.hive.complete(fresh, "elsewhere", 1)
        assert (await retrying).json()["choices"][0]["message"]["content"] == "elsewhere"


async def test_few_fallbacks_are_tried_and_each_once(served: Served) -> None:
    async with served.client() as http:
        body = {**CHAT, "model": "nobody/has-it", "models": ["neither/this"] * 1000}
        known = await http.post("/v1/chat/completions", json=body)
        assert known.json()["error"]["code"] == "invalid_model"
        got = await http.post("/v1/chat/completions", json={**body, "models": [f"no/{i}" for i in range(17)]})
    assert (got.status_code, got.json()["error"]["param"]) == (400, "models")
