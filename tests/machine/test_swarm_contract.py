"""The examples of the API reference on a real swarm: only base URL, key and model are changed."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from tests.support_books import faults
from tests.support_up import Json, Up, ended, running, settled

pytestmark = pytest.mark.timeout(240)

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CELL = "861e8050fffffff"


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running() as swarm:
        yield swarm


@pytest.fixture
async def curl(up: Up) -> AsyncIterator[httpx.AsyncClient]:
    """A client that adds nothing of its own but what curl does."""
    async with up.client() as client:
        yield client
    assert await faults(up.ready.database_url) == []


async def test_a_chat_completion(curl: httpx.AsyncClient) -> None:
    question = {"role": "user", "content": "Explain H3 geospatial indexing in one paragraph."}
    body = {"model": "hive-nano", "messages": [question], "max_tokens": 150, "temperature": 0.7, "stream": False}
    answer = await curl.post("/v1/chat/completions", json=body)
    got: Json = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(r"hive-[0-9a-f]{8}", got["id"])
    assert answer.headers["x-hive-job-id"].startswith(got["id"].removeprefix("hive-"))
    assert (got["object"], got["model"]) == ("chat.completion", "hive-nano")
    (choice,) = got["choices"]
    assert (choice["index"], choice["message"]["role"]) == (0, "assistant")
    assert choice["message"]["content"]
    assert choice["finish_reason"] in ("stop", "length")
    usage = got["usage"]
    assert usage["prompt_tokens"] > 0
    assert 0 < usage["completion_tokens"] <= 150
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_the_models(curl: httpx.AsyncClient) -> None:
    got: Json = (await curl.get("/v1/models")).raise_for_status().json()
    assert got["object"] == "list"
    (model,) = got["data"]
    assert (model["id"], model["object"]) == ("hive-nano", "model")
    assert {"created", "owned_by"} <= model.keys()


async def test_gdpr_compliant_inference_in_the_eu(up: Up, curl: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "x-hive-jurisdiction": "EU", "x-hive-min-tier": "trusted"}
    raw = (
        '{ "model": "hive-nano", "messages": [{"role": "user", "content": "Summarise this patient record: ..."}],'
        ' "max_tokens": 200 }'
    )
    answer = await curl.post("/v1/chat/completions", content=raw, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["x-hive-jurisdiction"] in ("IT", "DE")
    assert answer.headers["x-hive-worker"] in [worker.pk for worker in up.ready.workers[:2]]


async def test_the_sdk_with_one_changed_line(up: Up) -> None:
    async with AsyncOpenAI(api_key=up.ready.api_key, base_url=f"{up.ready.base_url}/v1") as client:
        response = await client.chat.completions.create(
            model="hive-nano",
            messages=[{"role": "user", "content": "Hello"}],
            extra_headers={"x-hive-jurisdiction": "EU"},
        )
        assert response.choices[0].message.content
        assert response.choices[0].finish_reason == "stop"
        assert [model.id async for model in client.models.list()] == ["hive-nano"]


async def test_a_job_from_submission_to_payment(up: Up, curl: httpx.AsyncClient) -> None:
    body = {
        "h3_cell": CELL,
        "model_id": "hive-nano",
        "prompt": "What is decentralized AI inference?",
        "max_tokens": 60,
        "temperature": 0.7,
        "gns_reward": 0.01,
        "jurisdiction": "EU",
        "min_trust_tier": "observed",
    }
    made = await curl.post("/hive/jobs", json=body)
    created: Json = made.raise_for_status().json()
    assert created.keys() == {"job_id", "status", "h3_cell", "created_at"}
    assert created["status"] == "pending"
    assert UUID.fullmatch(created["job_id"])
    assert INSTANT.fullmatch(created["created_at"])
    job = await settled(up, curl, created["job_id"], 60)
    assert (job["id"], job["status"], job["settled"]) == (created["job_id"], "completed", True)
    assert job["result_text"]
    assert 0 < job["tokens_generated"] <= 60
    assert job["tokens_per_second"] > 0
    assert job["worker_pk"] == up.ready.workers[0].pk
    assert re.fullmatch(r"[0-9a-f]{64}", job["stellar_tx_hash"])
    assert INSTANT.fullmatch(job["completed_at"])
    assert job["gns_cost"] == 0.01


async def test_the_status(up: Up) -> None:
    async with httpx.AsyncClient(base_url=up.ready.base_url) as anybody:
        got: Json = (await anybody.get("/hive/status")).raise_for_status().json()
    six: dict[str, type | tuple[type, ...]] = {
        "active_nodes": int,
        "total_tflops": (int, float),
        "computing_nodes": int,
        "avg_ram_gb": (int, float),
        "active_h3_cells": int,
        "total_tokens_distributed": (int, float),
    }
    assert {name: isinstance(got[name], kind) for name, kind in six.items()} == dict.fromkeys(six, True)
    assert (got["active_nodes"], got["active_h3_cells"]) == (3, 3)
    assert got["avg_ram_gb"] > 0


async def test_the_error_codes(up: Up, curl: httpx.AsyncClient) -> None:
    chat: Json = {"model": "hive-nano", "messages": [{"role": "user", "content": "Hello"}]}
    asked: list[tuple[Json, dict[str, str], int, str]] = [
        ({"model": "gpt-7"}, {}, 400, "invalid_model"),
        ({}, {"x-hive-h3-cell": "not-a-cell"}, 400, "invalid_cell"),
        ({}, {"x-hive-jurisdiction": "JP"}, 503, "no_workers"),
        ({}, {"authorization": "Bearer wrong"}, 401, "invalid_api_key"),
    ]
    for body, headers, status, code in asked:
        answer = await curl.post("/v1/chat/completions", json={**chat, **body}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    answer = await curl.get("/hive/jobs", headers={"authorization": "Bearer wrong"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def test_200_jobs_for_the_eu_never_reach_new_york(up: Up, curl: httpx.AsyncClient) -> None:
    job: Any = {
        "model_id": "hive-nano",
        "prompt": "What is the capital of Italy?",
        "max_tokens": 12,
        "jurisdiction": "EU",
    }
    made = await asyncio.gather(*(curl.post("/hive/jobs", json=job) for _ in range(200)))
    ids = [answer.raise_for_status().json()["job_id"] for answer in made]
    jobs = [await ended(up, curl, job_id) for job_id in ids]
    assert Counter(one["status"] for one in jobs) == {"completed": 200}
    assert {one["worker_pk"] for one in jobs} == {worker.pk for worker in up.ready.workers[:2]}
