"""What a worker can do, seen from an official client through the whole swarm: our own engine, and an owner's other server."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from jsonschema import validate
from openai import APIStatusError

from shared.files import write_private
from tests.machine.llama_server import llama_server
from tests.support_up import REPOSITORY, Up, running
from tests.support_wait import eventually
from worker.report import is_ready, read_report

pytestmark = pytest.mark.timeout(240)
ROME = "871e8052affffff"
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running("--workers", "1") as swarm:
        yield swarm


async def test_a_schema_holds_the_answer_whatever_the_model_would_say(up: Up) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
    async with up.openai() as client:
        for seed in range(3):
            chat = await client.chat.completions.create(
                model="hive-nano", messages=[{"role": "user", "content": "Tell me a story."}], seed=seed,
                temperature=1.5, response_format=form,
            )  # fmt: skip
            validate(json.loads(chat.choices[0].message.content or ""), PERSON)


async def test_a_required_tool_is_called_and_streamed_whole(up: Up) -> None:
    async with up.openai() as client:
        stream = await client.chat.completions.create(
            model="hive-nano", messages=[{"role": "user", "content": "Say hello."}], tools=[WEATHER],
            tool_choice="required", stream=True,
        )  # fmt: skip
        names, arguments, finish = list[str](), "", ""
        async for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or []:
                names += [call.function.name] if call.function and call.function.name else []
                arguments += (call.function.arguments or "") if call.function else ""
            finish = chunk.choices[0].finish_reason or finish
    assert (names, finish) == (["get_weather"], "tool_calls")
    assert set(json.loads(arguments)) == {"city"}


async def test_logprobs_are_told_for_each_token(up: Up) -> None:
    async with up.openai() as client:
        chat = await client.chat.completions.create(
            model="hive-nano", messages=[{"role": "user", "content": "What is the capital of Italy?"}], temperature=0,
            logprobs=True, top_logprobs=3,
        )  # fmt: skip
    told = chat.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert "".join(token.token for token in told.content) == chat.choices[0].message.content
    for token in told.content:
        assert token.top_logprobs[0].token == token.token, "the likeliest, at temperature 0"
        assert [top.logprob for top in token.top_logprobs] == sorted(
            (t.logprob for t in token.top_logprobs), reverse=True
        )


async def test_a_conversation_that_goes_on_is_not_read_again(up: Up) -> None:
    messages: list[Any] = [{"role": "system", "content": "You are a kind helper. " * 20}]
    async with up.openai() as client:
        cached = []
        for question in ("What is the capital of Italy?", "And of France?"):
            messages.append({"role": "user", "content": question})
            chat = await client.chat.completions.create(model="hive-nano", messages=messages, temperature=0)
            messages.append({"role": "assistant", "content": chat.choices[0].message.content})
            assert chat.usage is not None
            assert chat.usage.prompt_tokens_details is not None
            cached.append((chat.usage.prompt_tokens_details.cached_tokens, chat.usage.prompt_tokens))
    assert cached[1][0] is not None
    assert cached[1][0] > cached[0][1] - 10


@asynccontextmanager
async def joined(up: Up, home: Path, settings: str) -> AsyncIterator[None]:
    """A worker with this configuration, ready."""
    write_private(home / "config.toml", settings.encode())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared", "worker", "join", "--coordinator", up.ready.base_url, "--cell", ROME,
        cwd=REPOSITORY, env={**os.environ, "HIVE_HOME": str(home)},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def ready() -> bool:
        report = read_report(home)
        return report is not None and is_ready(report) and bool(report.loaded)

    try:
        await eventually(ready, 60, "the worker")
        yield
    finally:
        if process.returncode is None:
            psutil.Process(process.pid).terminate()
        await process.wait()


async def linked(up: Up, home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared", "worker", "link", "--api-key", up.ready.api_key, cwd=REPOSITORY,
        env={**os.environ, "HIVE_HOME": str(home)}, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0


async def test_an_owners_other_server_answers_and_says_that_it_cannot_be_replayed(up: Up, tmp_path: Path) -> None:
    async with llama_server() as server:
        settings = (
            f'[worker]\nmodels = []\n[[worker.openai]]\nurl = "{server.url}"\nmodels = {{"hive-nano" = "nano"}}\n'
        )
        async with joined(up, tmp_path, settings), up.client() as http:
            await linked(up, tmp_path)
            question = {"role": "user", "content": "What is the capital of France?"}
            body = {"model": "hive-nano", "messages": [question], "temperature": 0}
            mine = await http.post("/v1/chat/completions", json=body, headers={"x-hive-owner": "me"})
            assert mine.status_code == 200, mine.text
            assert "Paris" in mine.json()["choices"][0]["message"]["content"]
            receipt = (await http.get(f"/hive/receipts/{mine.headers['x-hive-job-id']}")).json()["receipt"]
            assert (receipt["verifiability"], receipt["worker_pk"]) == ("weak", mine.headers["x-hive-worker"])
            await refused_where_a_replay_is_needed(up)


async def refused_where_a_replay_is_needed(up: Up) -> None:
    async with up.openai() as client:
        with pytest.raises(APIStatusError) as refused:
            await client.chat.completions.create(
                model="hive-nano", messages=[{"role": "user", "content": "x"}], seed=1,
                extra_headers={"x-hive-owner": "me"},
            )  # fmt: skip
    assert refused.value.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "replay" in refused.value.message
