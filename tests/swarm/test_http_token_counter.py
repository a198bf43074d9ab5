"""LiteLLM's token counter: what a job of the same text would be charged for, counted and not estimated."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.store.engine import Engine
from tests.swarm.http_hive import MODEL, Served, make_key, serving

TEXT = "one two three four"
USER = [{"role": "user", "content": TEXT}]


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        yield running


@pytest.mark.parametrize("path", ["/v1/utils/token_counter", "/utils/token_counter"])
@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ({"prompt": TEXT}, 4),
        ({"prompt": [TEXT, "five"]}, 5),
        ({"messages": USER}, 4),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": TEXT}]}], "prompt": None}, 4),
        (
            {"contents": [{"role": "user", "parts": [{"text": TEXT}]}, {"role": "model", "parts": [{"text": "five"}]}]},
            5,
        ),
        ({"contents": [{"parts": [{"text": TEXT}]}]}, 4),
    ],
)
async def test_a_count_without_any_worker(served: Served, path: str, said: dict[str, Any], tokens: int) -> None:
    async with served.client() as http:
        got = await http.post(path, json={"model": MODEL, **said})
    assert (got.status_code, got.json()) == (
        200,
        {"total_tokens": tokens, "request_model": MODEL, "model_used": MODEL, "tokenizer_type": "words"},
    )
    assert served.hive.writer.accepted.empty()


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": MODEL}, 400, "invalid_request", "messages"),
        ({"model": MODEL, "prompt": TEXT, "messages": USER}, 400, "invalid_request", "messages"),
        ({"model": MODEL, "prompt": []}, 400, "invalid_request", "prompt"),
        ({"model": MODEL, "messages": []}, 400, "invalid_request", "messages"),
        ({"model": MODEL, "contents": [{"role": "robot", "parts": []}]}, 400, "invalid_request", "contents[0].role"),
        (
            {"model": MODEL, "contents": [{"parts": [{"inline_data": {}}]}]},
            400,
            "unsupported_parameter",
            "contents[0].parts",
        ),
        ({"model": "none", "prompt": TEXT}, 400, "invalid_model", "model"),
        ({"prompt": TEXT}, 400, "invalid_request", "model"),
    ],
)
async def test_what_cannot_be_counted(served: Served, body: dict[str, Any], status: int, code: str, param: str) -> None:
    async with served.client() as http:
        got = await http.post("/v1/utils/token_counter", json=body)
    error = got.json()["error"]
    assert (got.status_code, error["code"], error["param"]) == (status, code, param)


async def test_a_count_is_for_keys_that_may_use_the_model(served: Served) -> None:
    narrow = {"authorization": f"Bearer {await make_key(served.hive, models=['another'])}"}
    async with served.client() as http:
        for headers, status, code in (
            (narrow, 403, "model_not_allowed"),
            ({"authorization": ""}, 401, "invalid_api_key"),
        ):
            got = await http.post("/utils/token_counter", json={"model": MODEL, "prompt": TEXT}, headers=headers)
            assert (got.status_code, got.json()["error"]["code"]) == (status, code)
