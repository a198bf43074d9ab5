"""Tools, formats and logprobs through the official client: what is asked reaches the worker, what it says is told apart."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError

from shared.protocol.codes import CLOSE_NUMBERS
from shared.protocol.messages import Accept, CloseCode, Offer, Tokens
from tests.swarm.scripted import ROME, ScriptedWorker
from tests.swarm.whole import Swarm

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ASKED: Any = {"model": "hive-nano", "messages": [{"role": "user", "content": "How is the weather?"}]}


@pytest.fixture
async def client(swarm: Swarm) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{swarm.base_url}/v1", api_key=swarm.api_key, max_retries=0) as made:
        yield made


def say(swarm: Swarm, text: str) -> None:
    for worker in (swarm.rome, swarm.berlin, swarm.new_york):
        worker.says = text


async def offered(swarm: Swarm) -> Offer:
    """The one offer that any of the workers got."""
    (worker,) = [one for one in (swarm.rome, swarm.berlin, swarm.new_york) if not one.offers.empty()]
    return await worker.offers.get()


async def test_a_tool_is_called(swarm: Swarm, client: AsyncOpenAI) -> None:
    say(swarm, CALL)
    got = await client.chat.completions.create(**ASKED, tools=TOOLS, tool_choice="auto", parallel_tool_calls=False)
    choice = got.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Rome"})
    body = (await offered(swarm)).body
    assert (json.loads(body.tools or ""), body.tool_choice, body.parallel_tool_calls) == (TOOLS, '"auto"', False)
    again: Any = [
        *ASKED["messages"],
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "Sunny."},
    ]
    say(swarm, "It is sunny.")
    then = await client.chat.completions.create(model="hive-nano", messages=again, tools=TOOLS)
    assert (then.choices[0].message.content, then.choices[0].finish_reason) == ("It is sunny.", "stop")


async def test_a_job_takes_tools_and_tells_the_call(swarm: Swarm) -> None:
    say(swarm, CALL)
    async with swarm.client() as http:
        asked = {"model_id": "hive-nano", "prompt": "How is the weather?", "tools": TOOLS}
        made = (await http.post("/hive/jobs", json=asked)).raise_for_status().json()
        job = await swarm.ended(http, made["job_id"])
        plain = (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello"})).json()
        assert (await swarm.ended(http, plain["job_id"]))["message"] is None
    assert job["result_text"] == CALL
    (call,) = job["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("weather", {"city": "Rome"})


async def test_a_call_is_streamed_as_the_client_expects(swarm: Swarm, client: AsyncOpenAI) -> None:
    say(swarm, CALL)
    stream = await client.chat.completions.create(**ASKED, tools=TOOLS, tool_choice="required", stream=True)
    chunks = [chunk.choices[0] async for chunk in stream if chunk.choices]
    pieces = [piece for chunk in chunks for piece in chunk.delta.tool_calls or []]
    assert [(piece.index, piece.type, piece.function.name) for piece in pieces if piece.id and piece.function] == [
        (0, "function", "weather")
    ]
    arguments = "".join(piece.function.arguments or "" for piece in pieces if piece.function)
    assert json.loads(arguments) == {"city": "Rome"}
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["tool_calls"]
    assert "".join(chunk.delta.content or "" for chunk in chunks) == ""


async def test_a_format_reaches_the_worker_and_what_makes_no_grammar_is_refused_at_once(
    swarm: Swarm, client: AsyncOpenAI
) -> None:
    say(swarm, '{"city": "Rome"}')
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}
    got = await client.chat.completions.create(**ASKED, response_format=wanted)
    assert json.loads(got.choices[0].message.content or "") == {"city": "Rome"}
    assert json.loads((await offered(swarm)).body.response_format or "") == wanted
    impossible: Any = {"name": "s", "strict": True, "schema": {"type": "no-such-type"}}
    with pytest.raises(BadRequestError) as caught:
        await client.chat.completions.create(
            **ASKED, response_format={"type": "json_schema", "json_schema": impossible}
        )
    assert caught.value.param == "response_format"


@pytest.mark.parametrize("stream", [False, True])
async def test_logprobs_are_told_once_for_each_token(swarm: Swarm, client: AsyncOpenAI, stream: bool) -> None:
    asked: Any = {**ASKED, "logprobs": True, "top_logprobs": 1, "stream": stream}
    if stream:
        choices = [chunk.choices[0] async for chunk in await client.chat.completions.create(**asked)]
    else:
        choices = (await client.chat.completions.create(**asked)).choices
    told = [token for choice in choices if choice.logprobs for token in choice.logprobs.content or []]
    ids = swarm.rome.tokeniser.tokenise(swarm.rome.says, special=False)
    assert [round(token.logprob * -1000) for token in told] == ids
    assert b"".join(bytes(token.bytes or []) for token in told).decode() == swarm.rome.says
    assert all([top.token for top in token.top_logprobs] == [token.token] for token in told)
    assert (await offered(swarm)).body.logprobs == 1


async def test_a_worker_that_keeps_logprobs_to_itself_is_sent_away(swarm: Swarm, client: AsyncOpenAI) -> None:
    async def silent(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))
        await worker.send(Tokens(offer.body.job_id, offer.body.attempt, 0, [5], ""))

    swarm.rome.script = silent
    heir = swarm.worker(cell=ROME, says="Sunny.")
    place = {"x-hive-jurisdiction": "IT"}
    asking = asyncio.create_task(client.chat.completions.create(**ASKED, logprobs=True, extra_headers=place))
    await swarm.rome.gone.wait()
    async with heir.connected(swarm.url):
        got = await asking
    assert (got.choices[0].message.content, swarm.rome.close_number) == ("Sunny.", CLOSE_NUMBERS[CloseCode.PROTOCOL])
