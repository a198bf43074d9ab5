"""A request that was sent again after its answer had ended: it is told where that answer was made."""

import asyncio
from typing import Any

import pytest

from tests.swarm.whole import Swarm

CHAT: dict[str, Any] = {
    "model": "hive-nano",
    "messages": [{"role": "user", "content": "What is the capital of Italy?"}],
}
TOLD = ("x-hive-job-id", "x-hive-worker", "x-hive-cell", "x-hive-jurisdiction")
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "hive-nano", "prompt": "Once"},
    "/v1/messages": CHAT | {"max_tokens": 20},
    "/v1/responses": {"model": "hive-nano", "input": "Once."},
}


@pytest.mark.parametrize("again", [{"x-stainless-retry-count": "1"}, {"idempotency-key": "once"}])
async def test_a_repeat_is_told_where_its_answer_was_made(swarm: Swarm, again: dict[str, str]) -> None:
    key = {name: said for name, said in again.items() if name == "idempotency-key"}
    async with swarm.client() as http:
        for path, body in BODIES.items():
            for different in ({}, {"stream": True}):
                once = {name: f"{said} {path} {different}" for name, said in key.items()}
                first = await http.post(path, json=body | different, headers=once)
                repeat = await http.post(path, json=body | different, headers=again | once)
                assert [repeat.headers[name] for name in TOLD] == [first.headers[name] for name in TOLD], path
                assert repeat.headers["x-hive-jurisdiction"] in ("IT", "DE", "US"), path


async def test_a_repeat_of_several_answers_is_told_where_the_first_was_made(swarm: Swarm) -> None:
    async with swarm.client() as http:
        first = await http.post("/v1/chat/completions", json=CHAT | {"n": 3, "jurisdiction": "IT"})
        repeat = await http.post(
            "/v1/chat/completions", json=CHAT | {"n": 3, "jurisdiction": "IT"}, headers={"x-stainless-retry-count": "1"}
        )
    assert [repeat.headers[name] for name in TOLD] == [first.headers[name] for name in TOLD]
    assert repeat.headers["x-hive-jurisdiction"] == "IT"


async def test_one_that_comes_while_the_first_is_answered_is_told_by_its_worker(swarm: Swarm) -> None:
    swarm.rome.gate = asyncio.Event()
    asked = CHAT | {"jurisdiction": "IT"}
    async with swarm.client() as http:
        first = asyncio.create_task(http.post("/v1/chat/completions", json=asked))
        await swarm.rome.offers.get()
        repeat = asyncio.create_task(
            http.post("/v1/chat/completions", json=asked, headers={"x-stainless-retry-count": "1"})
        )
        swarm.rome.gate.set()
        told = [{name: got.headers[name] for name in TOLD} for got in await asyncio.gather(first, repeat)]
    assert told[0] == told[1]
    assert told[0]["x-hive-jurisdiction"] == "IT"
