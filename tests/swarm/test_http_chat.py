"""The OpenAI face by the official client, unmodified, and by hand where the wire matters."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from coordinator.api.app import public_app
from coordinator.api.transport import is_private_way, networks
from coordinator.queue.lifecycle import State
from coordinator.store.engine import Engine
from coordinator.store.rows import NewJob
from tests.swarm.http_hive import MODEL, Served, online, serving, until

CHAT: Any = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Explain H3 geospatial indexing in one paragraph."}],
}
NO_HEADERS: dict[str, str] = {}


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        running.hive.join(online("rome"))
        yield running


@pytest.fixture
async def client(served: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=served.api_key, base_url=f"{served.base_url}/v1") as made:
        yield made


async def answer(served: Served, *words: str, finish_reason: str = "stop") -> NewJob:
    """Play the worker: take the next job and say these words, one token each."""
    job = await served.hive.accepted()
    served.hive.assign(job, online("rome"))
    for offset, word in enumerate(words):
        served.hive.say(job, offset, word)
    await served.hive.complete(job, "".join(words), len(words), finish_reason)
    return job


async def test_a_whole_answer_in_the_seeds_shape(served: Served) -> None:
    async with served.client() as http:
        asking = asyncio.create_task(
            http.post("/v1/chat/completions", json={**CHAT, "max_tokens": 150, "stream": False})
        )
        job = await answer(served, "H3 ", "is ", "hexagons.")
        got = await asking
    body = got.json()
    assert got.status_code == 200
    assert body["id"] == f"hive-{job.id.hex[:8]}"
    assert (body["object"], body["model"]) == ("chat.completion", MODEL)
    message = {"role": "assistant", "content": "H3 is hexagons.", "refusal": None}
    assert body["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    counts = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert body["usage"] == counts | {"prompt_tokens_details": {"cached_tokens": 0}}
    assert isinstance(body["created"], int)
    rome = online("rome")
    headers = got.headers
    assert (headers["x-hive-job-id"], headers["x-hive-worker"]) == (str(job.id), rome.pk)
    assert (headers["x-hive-cell"], headers["x-hive-jurisdiction"]) == (rome.public.cell, "IT")
    assert float(headers["x-hive-queue-ms"]) >= 0
    assert float(headers["x-hive-overhead-ms"]) > 0


async def test_a_stream_by_the_official_client(served: Served, client: AsyncOpenAI) -> None:
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    playing = asyncio.create_task(answer(served, "One ", "two", " three", finish_reason="length"))
    stream = await client.chat.completions.create(**CHAT, **options)
    chunks = [chunk async for chunk in stream]
    await playing
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(text or "" for text in said) == "One two three"
    assert [c.choices[0].delta.role for c in chunks if c.choices].count("assistant") == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["length"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (7, 3)


async def test_the_wire_of_a_stream(served: Served) -> None:
    async with served.client() as http:
        playing = asyncio.create_task(answer(served, "a", "b"))
        got = await http.post("/chat/completions", json={**CHAT, "stream": True})
        await playing
    assert got.headers["content-type"].startswith("text/event-stream")
    assert (got.headers["cache-control"], got.headers["x-accel-buffering"]) == ("no-cache", "no")
    assert got.headers["x-hive-worker"] == online("rome").pk
    events = got.text.split("\n\n")
    assert (events[-1], events[-2]) == ("", "data: [DONE]")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"content": "b"},
        {},
    ]


async def test_the_helper_that_accumulates_a_stream(served: Served, client: AsyncOpenAI) -> None:
    playing = asyncio.create_task(answer(served, "ein", " zwei"))
    async with client.chat.completions.stream(model=MODEL, messages=CHAT["messages"]) as stream:
        async for _ in stream:
            pass
        whole = await stream.get_final_completion()
    await playing
    assert (whole.choices[0].message.role, whole.choices[0].message.content) == ("assistant", "ein zwei")


async def test_a_failure_before_the_first_word_has_its_status(served: Served, client: AsyncOpenAI) -> None:
    async def fail() -> None:
        job = await served.hive.accepted()
        served.hive.assign(job, online("rome"))
        await served.hive.end(job.id, State.FAILED, error_message="three workers were lost")

    for stream in (False, True):
        failing = asyncio.create_task(fail())
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(**CHAT, stream=stream)
        await failing
        assert caught.value.status_code == 502
        assert caught.value.code == "job_failed"
        assert caught.value.response.headers["x-should-retry"] == "false"
    assert served.hive.writer.accepted.empty()


async def test_a_failure_midway_never_looks_like_an_end(served: Served, client: AsyncOpenAI) -> None:
    async def fail() -> None:
        job = await served.hive.accepted()
        served.hive.assign(job, online("rome"))
        served.hive.say(job, 0, "half")
        await served.hive.end(job.id, State.TIMED_OUT)

    failing = asyncio.create_task(fail())
    stream = await client.chat.completions.create(**CHAT, stream=True)
    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass
    await failing


@pytest.mark.parametrize("window", ["queued", "assigned", "streaming"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_away_cancels_its_job(served: Served, window: str, stream: bool) -> None:
    async with served.client() as http:
        asking = asyncio.create_task(http.post("/v1/chat/completions", json={**CHAT, "stream": stream}))
        job = await served.hive.accepted()
        if window != "queued":
            served.hive.assign(job, online("rome"))
        if window == "streaming":
            served.hive.say(job, 0, "half")
        assert served.hive.relay.is_attached(job.id)
        asking.cancel()
        await asyncio.wait([asking])
    await asyncio.wait_for(served.hive.relay.abandoned.wait(), 10)
    assert list(served.hive.relay.take_abandoned()) == [job.id]


async def test_an_answer_that_was_read_to_its_end_cancels_nothing(served: Served) -> None:
    async with served.client() as http:
        for stream in (False, True):
            playing = asyncio.create_task(answer(served, "done"))
            assert (await http.post("/v1/chat/completions", json={**CHAT, "stream": stream})).status_code == 200
            await playing
    assert not served.hive.relay.abandoned.is_set()


async def test_a_repeat_with_the_same_key_reads_the_first_job(served: Served) -> None:
    key = {"idempotency-key": "again"}
    async with served.client() as http:
        first = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT, headers=key))
        job = await served.hive.accepted()
        second = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT, headers=key))
        await until(lambda: len(served.hive.relay._readers.get(job.id, ())) == 2)
        served.hive.assign(job, online("rome"))
        served.hive.say(job, 0, "once")
        await served.hive.complete(job, "once", 1)
        answers = [await first, await second]
    assert {a.headers["x-hive-job-id"] for a in answers} == {str(job.id)}
    assert {a.json()["choices"][0]["message"]["content"] for a in answers} == {"once"}


async def test_placement_headers_reach_the_job(served: Served, client: AsyncOpenAI) -> None:
    playing = asyncio.create_task(answer(served, "ciao"))
    whole = await client.chat.completions.with_raw_response.create(
        **CHAT,
        extra_headers={"x-hive-jurisdiction": "EU", "x-hive-min-tier": "seedling"},
    )
    await playing
    assert whole.headers["x-hive-jurisdiction"] == "IT"
    with pytest.raises(openai.InternalServerError) as caught:
        await client.with_options(max_retries=0).chat.completions.create(
            **CHAT,
            extra_headers={"x-hive-jurisdiction": "US"},
        )
    assert (caught.value.status_code, caught.value.code) == (503, "no_workers")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, None),
    ],
)
async def test_what_would_change_the_meaning_is_refused(
    served: Served, change: dict[str, Any], param: str | None
) -> None:
    async with served.client() as http:
        got = await http.post("/v1/chat/completions", json={**CHAT, **change})
    error = got.json()["error"]
    assert (got.status_code, error["code"]) == (400, "unsupported_parameter")
    assert error["param"] == (param or "messages[0].content[0].type")


async def test_harmless_fields_and_nulls_are_accepted(served: Served) -> None:
    nulls = dict.fromkeys(
        [
            "temperature",
            "top_p",
            "n",
            "stop",
            "max_tokens",
            "seed",
            "tools",
            "response_format",
            "logprobs",
            "logit_bias",
        ]
    )
    more = {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "auto", "parallel_tool_calls": True}
    openrouter = {"top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "models": ["x"], "max_completion_tokens": 9}
    async with served.client() as http:
        body = {**CHAT, **nulls, **more, **openrouter, "unknown": {"deep": [1]}}
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=body))
        job = await answer(served, "ok")
        assert (await asking).status_code == 200
    assert job.max_tokens == 9
    sampling = json.loads(job.request)["sampling"]
    assert (sampling["top_k"], sampling["min_p"], sampling["repetition_penalty"]) == (40, 50_000, 1_100_000)


async def test_models(served: Served, client: AsyncOpenAI) -> None:
    listed = [model async for model in client.models.list()]
    assert [(m.id, m.object, m.owned_by) for m in listed] == [(MODEL, "model", "hive")]
    assert (await client.models.retrieve(MODEL)).id == MODEL
    for missing in ("no/such:model", "meta-llama%2Fx"):
        async with served.client() as http:
            got = await http.get(f"/v1/models/{missing}")
        assert (got.status_code, got.json()["error"]["code"]) == (404, "model_not_found")


async def test_no_worker_is_told_at_once(served: Served) -> None:
    for session in list(served.hive.hub.sessions.values()):
        served.hive.hub.leave(session)
    async with served.client() as http:
        await http.get("/v1/models")
        got = await http.post("/v1/chat/completions", json=CHAT)
        assert (got.status_code, got.json()["error"]["code"]) == (503, "no_workers")
        assert got.elapsed.total_seconds() < 3
        assert got.headers["retry-after"] == "5"
        assert (await http.get("/v1/models")).json()["data"] == []
        everything = (await http.get("/v1/models", params={"all": "true"})).json()["data"]
        assert [(m["id"], m["is_ready"]) for m in everything] == [(MODEL, False)]


def test_plain_http_from_outside_is_refused() -> None:
    trusted = networks(["10.0.0.0/8"])
    https: dict[str, str] = {"x-forwarded-proto": "https"}
    plain: dict[str, str] = {"x-forwarded-proto": "http"}
    assert is_private_way("http", "127.0.0.1", NO_HEADERS.get, trusted)
    assert is_private_way("https", "203.0.113.9", NO_HEADERS.get, trusted)
    assert is_private_way("http", "10.1.2.3", https.get, trusted)
    assert not is_private_way("http", "10.1.2.3", NO_HEADERS.get, trusted)
    assert not is_private_way("http", "203.0.113.9", https.get, trusted)
    assert not is_private_way("http", "127.0.0.1", plain.get, networks(["127.0.0.1"]))


async def test_a_client_behind_no_tls_is_told_so(served: Served) -> None:
    app: Any = public_app(served.hive)
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://hive.test") as http:
        got = await http.get("/hive/status")
    assert (got.status_code, got.json()["error"]["code"]) == (400, "invalid_request")
