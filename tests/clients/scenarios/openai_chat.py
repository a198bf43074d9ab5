"""Chat by the official `openai` package, whichever major version runs this: raw, `.stream()`, `.parse()`, async, tools."""

import json
from typing import Any, Final, Literal

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run

ASKED: Final[Any] = {"model": MODEL, "messages": [{"role": "user", "content": "How is the weather in Rome?"}]}
SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome", "Berlin"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: Final[Any] = [{"type": "function", "function": {"name": "weather", "strict": True, "parameters": SCHEMA}}]


class Weather(BaseModel):
    """What `.parse()` is asked for; any model can say it, for the grammar leaves it no choice but a word."""

    city: Literal["Rome", "Berlin"]
    sunny: bool


client: Final = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)


@case
def models_are_listed_and_told_one_by_one() -> None:
    listed = list(client.models.list())
    assert MODEL in [model.id for model in listed]
    one = client.models.retrieve(MODEL)
    assert (one.id, one.object) == (MODEL, "model")
    assert one.owned_by
    assert one.created > 0


@case
def an_answer_in_one_piece_has_all_that_the_types_say() -> None:
    raw = client.chat.completions.with_raw_response.create(**ASKED, max_completion_tokens=12, temperature=0)
    got = raw.parse()
    (choice,) = got.choices
    assert (got.object, got.model, choice.index) == ("chat.completion", MODEL, 0)
    assert (choice.message.role, choice.message.refusal, choice.message.tool_calls) == ("assistant", None, None)
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert got.usage is not None
    assert got.usage.total_tokens == got.usage.prompt_tokens + got.usage.completion_tokens
    assert 0 < got.usage.completion_tokens <= 12
    assert got.system_fingerprint
    assert raw.request_id
    assert raw.headers["x-hive-job-id"].startswith(got.id.removeprefix("hive-"))


@case
def the_pieces_of_a_stream_make_the_answer() -> None:
    asked: Any = {**ASKED, "seed": 7}
    stream = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    with client.chat.completions.stream(**asked) as helped:
        whole = helped.get_final_completion()
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert len(said) > 0
    assert whole.choices[0].message.role == "assistant"
    assert whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


@case
def a_class_is_filled_in() -> None:
    parsed = client.chat.completions.parse(**ASKED, response_format=Weather)
    assert isinstance(parsed.choices[0].message.parsed, Weather)
    with client.chat.completions.stream(**ASKED, response_format=Weather) as stream:
        done = [event for event in stream if event.type == "content.done"]
    assert [isinstance(event.parsed, Weather) for event in done] == [True]


@case
def a_tool_loop_goes_round() -> None:
    messages: Any = list(ASKED["messages"])
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS, tool_choice="required")
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    messages.append(message)
    for call in message.tool_calls:
        assert isinstance(call, ChatCompletionMessageFunctionToolCall)
        assert json.loads(call.function.arguments)["city"] in ("Rome", "Berlin")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "Sunny."})
    then = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS, tool_choice="none", max_tokens=8)
    assert then.choices[0].message.content
    assert then.choices[0].message.tool_calls is None


@case
def a_named_tool_is_called_in_a_stream() -> None:
    named: Any = {"type": "function", "function": {"name": "weather"}}
    with client.chat.completions.stream(**ASKED, tools=TOOLS, tool_choice=named) as stream:
        events = list(stream)
        whole = stream.get_final_completion()
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert [(event.index, event.name) for event in done] == [(0, "weather")]
    assert whole.choices[0].message.tool_calls
    (call,) = whole.choices[0].message.tool_calls
    arguments: Any = call.function.parsed_arguments
    assert arguments["city"] in ("Rome", "Berlin")
    assert (call.type, whole.choices[0].finish_reason) == ("function", "tool_calls")


@case
def logprobs_are_those_of_the_tokens() -> None:
    got = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2, max_tokens=6, temperature=0)
    told = got.choices[0].logprobs
    assert told is not None
    assert told.content
    assert got.usage is not None
    assert len(told.content) == got.usage.completion_tokens
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in told.content)
    said = b"".join(bytes(token.bytes or []) for token in told.content).decode()
    assert said == got.choices[0].message.content


@case
async def the_async_client_does_the_same() -> None:
    async with AsyncOpenAI(base_url=f"{URL}/v1/", api_key=KEY, max_retries=0, timeout=30) as anew:
        got = await anew.chat.completions.create(**ASKED, max_tokens=5)
        assert got.choices[0].message.content
        async with anew.chat.completions.stream(**ASKED) as stream:
            said = [event.delta async for event in stream if event.type == "content.delta"]
            whole = await stream.get_final_completion()
        assert "".join(said) == whole.choices[0].message.content
        assert [model.id async for model in anew.models.list()] == [MODEL]


@case
def what_is_wrong_raises_its_own_class() -> None:
    for change, error, code in (
        ({"model": "no-such-model"}, openai.BadRequestError, "invalid_model"),
        ({"messages": []}, openai.BadRequestError, "invalid_request"),
        ({"temperature": 9}, openai.BadRequestError, "invalid_request"),
    ):
        caught = raised(error, client.chat.completions.create, **{**ASKED, **change})
        assert caught.code == code, (change, caught.code)
        assert caught.request_id
    nobody = client.with_options(api_key="hive_none")
    assert raised(openai.AuthenticationError, nobody.models.list).code == "invalid_api_key"


if __name__ == "__main__":
    run()
