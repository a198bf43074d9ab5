"""OpenAI's Responses API by the official client: made, streamed, parsed, with tools, cut, failed and left."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, pydantic_function_tool
from pydantic import BaseModel

from shared.protocol.messages import Accept, Failed, Offer, Tokens
from tests.swarm.responding import MODEL, client_of, ended, heard, offered, read_into, say, workers
from tests.swarm.scripted import ScriptedWorker
from tests.swarm.whole import Swarm

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: Any = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}]


class Weather(BaseModel):
    """What is asked for as JSON."""

    city: str


@pytest.fixture
async def client(swarm: Swarm) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(swarm) as made:
        yield made


async def test_a_response_is_made_and_kept(swarm: Swarm, client: AsyncOpenAI) -> None:
    raw = await client.responses.with_raw_response.create(
        model=MODEL, input="What is the capital?", instructions="Be brief.", metadata={"a": "b"}, temperature=0.5
    )
    got = raw.parse()
    assert (got.status, got.output_text, got.error) == ("completed", "The capital is Rome.", None)
    assert got.id == "resp_" + raw.headers["x-hive-job-id"].replace("-", "")
    assert (got.instructions, got.metadata, got.temperature, got.tools) == ("Be brief.", {"a": "b"}, 0.5, [])
    assert got.usage is not None
    assert (got.usage.output_tokens, got.usage.output_tokens_details.reasoning_tokens) == (len(_ids(swarm)), 0)
    assert await heard(swarm) == [("system", "Be brief."), ("user", "What is the capital?")]
    again = await client.responses.retrieve(got.id)
    assert again.to_dict() == got.to_dict()
    items = [item async for item in client.responses.input_items.list(got.id)]
    assert [item.to_dict()["content"][0]["text"] for item in items] == ["What is the capital?"]  # type: ignore[index]


def _ids(swarm: Swarm) -> list[int]:
    return swarm.rome.tokeniser.tokenise(swarm.rome.says, special=False)


async def test_a_stream_builds_the_response_that_is_kept(swarm: Swarm, client: AsyncOpenAI) -> None:
    say(swarm, "The capital is Rome.", chunk=1)
    async with client.responses.stream(model=MODEL, input="What is the capital?") as stream:
        events = [event async for event in stream]
        got = await stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    assert len(kinds) > 12
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == got.output_text
    kept = await client.responses.retrieve(got.id)
    told: Any = events[-1]
    assert told.response.model_dump(exclude={"output": {0: {"content": {0: {"parsed"}}}}}) == kept.model_dump()


async def test_the_wire_of_a_stream(swarm: Swarm) -> None:
    async with swarm.client() as http:
        got = await http.post("/responses", json={"model": MODEL, "input": "Hi", "stream": True})
    assert got.headers["content-type"].startswith("text/event-stream")
    assert got.headers["x-hive-worker"] in {worker.pk for worker in workers(swarm)}
    parts = got.text.split("\n\n")
    assert (parts[-1], "[DONE]" in got.text) == ("", False)
    assert all(part.startswith("event: response.") and part.count("\n") == 1 for part in parts[:-1])


async def test_a_format_is_parsed(swarm: Swarm, client: AsyncOpenAI) -> None:
    say(swarm, '{"city": "Rome"}')
    got = await client.responses.parse(model=MODEL, input="Which city?", text_format=Weather)
    assert got.output_parsed == Weather(city="Rome")
    wanted = json.loads((await offered(swarm)).body.response_format or "")
    assert (wanted["type"], wanted["json_schema"]["strict"]) == ("json_schema", True)
    async with client.responses.stream(model=MODEL, input="Which city?", text_format=Weather) as stream:
        assert (await stream.get_final_response()).output_parsed == Weather(city="Rome")


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_loop_of_tools(swarm: Swarm, client: AsyncOpenAI, by_id: bool) -> None:
    say(swarm, f"I look.\n{CALL}")
    first = await client.responses.create(model=MODEL, input="How is the weather?", tools=TOOLS, tool_choice="auto")
    message, call = first.output
    assert (message.type, call.type, first.output_text, first.status) == (
        "message",
        "function_call",
        "I look.\n",
        "completed",
    )
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments), call.status) == ("weather", {"city": "Rome"}, "completed")
    await offered(swarm)
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    say(swarm, "It is sunny.")
    if by_id:
        then = await client.responses.create(model=MODEL, input=[output], previous_response_id=first.id, tools=TOOLS)
    else:
        asked: Any = [{"role": "user", "content": "How is the weather?"}, *first.output, output]
        then = await client.responses.create(model=MODEL, input=asked, tools=TOOLS)
    assert then.output_text == "It is sunny."
    messages = (await offered(swarm)).body.messages or []
    assert [(one.role, one.content) for one in messages] == [
        ("user", "How is the weather?"), ("assistant", "I look.\n"), ("tool", "Sunny.")
    ]  # fmt: skip
    assert [told["id"] for told in messages[1].tool_calls or []] == [messages[2].tool_call_id] == [call.call_id]


async def test_a_call_is_streamed_and_parsed(swarm: Swarm, client: AsyncOpenAI) -> None:
    say(swarm, CALL, chunk=2)
    tool: Any = {**TOOLS[0], "name": "weather", "parameters": pydantic_function_tool(Weather)["function"]["parameters"]}
    async with client.responses.stream(model=MODEL, input="Weather?", tools=[tool], tool_choice="required") as stream:
        events = [event async for event in stream]
        (call,) = (await stream.get_final_response()).output
    pieces = [event for event in events if event.type == "response.function_call_arguments.delta"]
    assert call.type == "function_call"
    assert pieces[-1].snapshot == call.arguments
    assert call.parsed_arguments == {"city": "Rome"}
    assert (await offered(swarm)).body.tool_choice == '"required"'


async def test_an_answer_that_was_cut_is_incomplete(swarm: Swarm, client: AsyncOpenAI) -> None:
    got = await client.responses.create(model=MODEL, input="Hi", max_output_tokens=2)
    assert (got.status, got.max_output_tokens) == ("incomplete", 2)
    assert got.incomplete_details is not None
    assert got.incomplete_details.reason == "max_output_tokens"
    stream = await client.responses.create(model=MODEL, input="Hi", max_output_tokens=2, stream=True)
    assert [event.type async for event in stream][-1] == "response.incomplete"
    then = await client.responses.create(model=MODEL, input="Go on.", previous_response_id=got.id)
    assert then.status == "completed"


async def fails(worker: ScriptedWorker, offer: Offer) -> None:
    """Says something, and that it cannot go on."""
    await worker.send(Accept(offer.body.job_id, offer.body.attempt))
    ids = worker.tokeniser.tokenise("The capital", special=False)
    await worker.send(Tokens(offer.body.job_id, offer.body.attempt, 0, ids, "The capital"))
    await worker.send(Failed(offer.body.job_id, offer.body.attempt, "engine", "The engine broke.", retryable=False))


async def test_a_failure_midway_is_no_end(swarm: Swarm, client: AsyncOpenAI) -> None:
    say(swarm, "", script=fails)
    stream = await client.responses.create(model=MODEL, input="Hi", stream=True)
    seen: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        await read_into(seen, stream)
    assert (seen[-1].type, seen[-1].response.status) == ("response.failed", "failed")
    assert caught.value.code == "job_failed"
    kept = await client.responses.retrieve(seen[-1].response.id)
    assert kept.error is not None
    assert (kept.status, kept.error.code, kept.output) == ("failed", "server_error", [])
    with pytest.raises(openai.InternalServerError) as whole:
        await client.responses.create(model=MODEL, input="Hi")
    assert (whole.value.status_code, whole.value.code) == (502, "job_failed")
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model=MODEL, input="Go on.", previous_response_id=kept.id)
    assert refused.value.param == "previous_response_id"


async def test_who_leaves_a_response_cancels_it(swarm: Swarm, client: AsyncOpenAI) -> None:
    gate = asyncio.Event()
    say(swarm, "The capital is Rome.", chunk=1, gate=gate)
    stream = await client.responses.create(model=MODEL, input="Hi", stream=True)
    created = await anext(aiter(stream))
    assert created.type == "response.created"
    with pytest.raises(openai.BadRequestError):
        await client.responses.cancel(created.response.id)
    assert (await client.responses.retrieve(created.response.id)).status == "in_progress"
    await stream.close()
    assert (await ended(client, created.response)).status == "cancelled"


@pytest.mark.parametrize("stream", [False, True])
async def test_logprobs(swarm: Swarm, client: AsyncOpenAI, stream: bool) -> None:
    asked: Any = {"model": MODEL, "input": "Hi", "top_logprobs": 1, "include": ["message.output_text.logprobs"]}
    if stream:
        events = [event async for event in await client.responses.create(**asked, stream=True)]
        got: Any = events[-1].response
        told = [one for event in events if event.type == "response.output_text.delta" for one in event.logprobs]
        assert [one.logprob for one in told] == [one.logprob for one in got.output[0].content[0].logprobs]
    else:
        got = await client.responses.create(**asked)
    assert [round(one.logprob * -1000) for one in got.output[0].content[0].logprobs] == _ids(swarm)
    assert (await offered(swarm)).body.logprobs == 1
