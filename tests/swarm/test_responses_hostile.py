"""Whoever sends nonsense to the Responses API is told what is wrong with it, and never breaks anything."""

import json
import random
from typing import Any
from uuid import uuid4

import pytest

from tests.swarm.responding import MODEL, say
from tests.swarm.whole import Swarm

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD: Any = {
    "model": MODEL,
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "Sunny."}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "compaction", "encrypted_content": "AAAA"},
        {"type": "item_reference", "id": f"msg_{uuid4().hex}_0"},
    ],
    "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
    "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}, "verbosity": "low"},
    "include": ["message.output_text.logprobs"],
    "previous_response_id": f"resp_{uuid4().hex}",
    "metadata": {"a": "b"},
    "reasoning": {"effort": "low"},
    "prompt_cache_options": {"mode": "implicit"},
    "truncation": "auto",
    "max_output_tokens": 8,
    "top_logprobs": 2,
    "background": False,
    "store": True,
    "stream": False,
    "user": "u",
}
JUNK: Any = [None, True, False, 0, -1, 2**70, 1.5, 1e308, "", "x", "\0", "\ud800", "resp_", "é" * 300, [], [[]], [None]]
JUNK += [{}, {"type": None}, {"type": "message"}, {"type": "function", "name": 5}, [{"type": []}], {"": {}}, ["auto"]]
JUNK += ["required", [{"role": "user"}]]


def spoiled(value: Any, chance: random.Random) -> Any:
    """The value with one thing in it that does not belong there."""
    if isinstance(value, dict | list) and value and chance.random() < 0.8:
        copy: Any = value.copy()
        place = chance.choice(list(copy)) if isinstance(copy, dict) else chance.randrange(len(copy))
        if chance.random() < 0.2:
            del copy[place]
        else:
            copy[place] = spoiled(copy[place], chance)
        return copy
    return chance.choice(JUNK)


@pytest.mark.parametrize("seed", range(4))
async def test_nonsense_is_never_our_fault(lasting: Swarm, seed: int) -> None:
    chance = random.Random(seed)
    async with lasting.client() as http:
        for _ in range(150):
            body = spoiled(spoiled(GOOD, chance), chance)
            for field in ("previous_response_id", "input"):
                if isinstance(body, dict) and chance.random() < 0.5:
                    body = {**body, field: None if field != "input" else "Hi"}
            path = chance.choice(["", "", "/compact", "/input_tokens"])
            got = await http.post(f"/v1/responses{path}", content=json.dumps(body))
            assert got.status_code in (200, 400, 404), (got.text, body)
            if got.status_code != 200:
                error = got.json()["error"]
                assert {"message", "type", "param", "code"} <= error.keys()
                assert len(got.content) < 2000, body
        assert (await http.post("/v1/responses", json={"model": MODEL, "input": "Hi"})).json()["status"] == "completed"


@pytest.mark.parametrize(
    "id_",
    [
        "resp_", "resp_0", "x" * 5000, "resp_%00", "..", "résp", "resp_00000000-0000-8000-8000-000000000007",
        f"resp_{'f' * 32}", f"resp_{'0' * 32}",
    ],
)  # fmt: skip
async def test_ids_of_nothing_are_not_found(lasting: Swarm, id_: str) -> None:
    async with lasting.client() as http:
        for method, path in [
            ("GET", ""), ("GET", "?stream=true&starting_after=3"), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")
        ]:  # fmt: skip
            got = await http.request(method, f"/v1/responses/{id_}{path}")
            assert (got.status_code, got.json()["error"]["code"]) in [(404, "not_found"), (405, "method_not_allowed")]
            assert len(got.content) < 1000


async def test_queries_that_are_none_are_refused(lasting: Swarm) -> None:
    async with lasting.client() as http:
        id_ = (await http.post("/v1/responses", json={"model": MODEL, "input": "Hi"})).json()["id"]
        for query in ("limit=0", "limit=101", "limit=x", "order=up", "after=msg_1", "limit=" + "9" * 400, "limit=-1"):
            got = await http.get(f"/v1/responses/{id_}/input_items?{query}")
            assert (got.status_code, got.json()["error"]["param"]) == (400, query.partition("=")[0])
        for number in ("-1", "x", "1e3", "9" * 5000, "²"):
            got = await http.get(f"/v1/responses/{id_}", params={"stream": "true", "starting_after": number})
            assert (got.status_code, got.json()["error"]["param"]) == (400, "starting_after")


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
async def test_what_is_huge_is_refused_and_answers_go_on(lasting: Swarm, truncation: str) -> None:
    many = [{"role": "user", "content": "a"}] * 10_000
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    bodies: Any = [
        {"input": "word " * 100_000},
        {"input": "Hi", "instructions": "word " * 100_000},
        {"input": [{"role": "user", "content": "a"}, *[call] * 8000]},
        {"input": [*many, {"role": "user", "content": "word " * 3000}]},
        {"input": [{"type": "item_reference", "id": f"msg_{uuid4().hex}_0"} for _ in range(300)]},
        {"input": "Hi", "metadata": {"k": "v" * 3_000_000}},
    ]
    async with lasting.client() as http:
        for body in bodies:
            got = await http.post("/v1/responses", json={"model": MODEL, "truncation": truncation, **body})
            assert got.status_code == 400, got.text[:300]
            assert len(got.content) < 1000
        say(lasting, "Still here.")
        got = await http.post("/v1/responses", json={"model": MODEL, "input": many, "truncation": "auto"})
        assert got.json()["output"][0]["content"][0]["text"] == "Still here."


async def test_what_nests_deep_is_refused(lasting: Swarm) -> None:
    deep: Any = "a"
    for _ in range(900):
        deep = [deep]
    bodies: Any = [
        {"input": [{"role": "user", "content": deep}]},
        {"input": "Hi", "tools": deep},
        {"input": "Hi", "tool_choice": deep},
        {"input": "Hi", "tool_choice": {"type": deep}},
        {"input": "Hi", "text": {"format": {"type": "json_schema", "name": "s", "schema": {"enum": deep}}}},
        {"input": "Hi", "text": {"format": deep}},
    ]
    async with lasting.client() as http:
        for body in bodies:
            got = await http.post("/v1/responses", json={"model": MODEL, **body})
            assert got.status_code == 400, got.text[:300]
            assert len(got.content) < 1000
