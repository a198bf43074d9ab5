"""What the official `openai` package makes of exact answers: a stream's roles, calls, reasoning, ends and failures."""

import json
from typing import Any, Final

import openai
from openai import OpenAI, pydantic_function_tool
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from tests.clients.scenarios.cases import KEY, MODEL, URL, raised, run, stage, staged

ASKED: Final[Any] = {"model": MODEL, "messages": [{"role": "user", "content": "How is the weather?"}]}
SAID: Final = "Grüße aus Rom 🌞🏛️, 你好!"


class Weather(BaseModel):
    """Both the tool and the format of these cases."""

    city: str


def call(city: str) -> str:
    """A call as the bundled model writes it."""
    return '<tool_call>\n{"name": "weather", "arguments": {"city": "' + city + '"}}\n</tool_call>'


TOOL: Final = pydantic_function_tool(Weather, name="weather")
client: Final = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)


def chunks(**asked: Any) -> list[ChatCompletionChunk]:
    """All chunks of a stream, read by the plain client."""
    return list(client.chat.completions.create(**ASKED, stream=True, **asked))


@staged
def a_role_comes_once_and_one_finish_reason_ends_it() -> None:
    stage.says(SAID, chunk=1)
    got = chunks()
    assert {(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in got} == {
        (got[0].id, got[0].created, MODEL, "chat.completion.chunk")
    }
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in got)
    assert [chunk.choices[0].delta.role for chunk in got] == ["assistant", *[None] * (len(got) - 1)]
    assert [chunk.choices[0].finish_reason for chunk in got] == [*[None] * (len(got) - 1), "stop"]
    assert all(chunk.choices[0].delta.tool_calls is None for chunk in got)


@staged
def no_code_point_is_split() -> None:
    stage.says(SAID, chunk=1)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks()]
    assert "".join(pieces) == SAID
    assert len([piece for piece in pieces if piece]) > 5
    assert not any("\ufffd" in piece for piece in pieces)
    stage.says(SAID, chunk=1)
    assert client.chat.completions.create(**ASKED).choices[0].message.content == SAID


@staged
def counts_come_in_one_last_chunk_and_only_when_asked_for() -> None:
    stage.says(SAID)
    got = chunks(stream_options={"include_usage": True})
    assert [bool(chunk.choices) for chunk in got] == [*[True] * (len(got) - 1), False]
    assert [chunk.usage is None for chunk in got] == [*[True] * (len(got) - 1), False]
    whole = client.chat.completions.create(**ASKED).usage
    assert whole is not None
    assert got[-1].usage is not None
    assert whole.model_dump() == got[-1].usage.model_dump()
    assert whole.prompt_tokens_details is not None
    assert whole.prompt_tokens_details.cached_tokens == 0


@staged
def parallel_calls_keep_apart() -> None:
    stage.says(f"I look.\n{call('Rome')}\n{call('Berlin')}", chunk=1)
    with client.chat.completions.stream(**ASKED, tools=[TOOL]) as stream:
        events = list(stream)
        message = stream.get_final_completion().choices[0].message
    assert (message.role, (message.content or "").strip()) == ("assistant", "I look.")
    calls = message.tool_calls or []
    assert [(one.type, one.function.name) for one in calls] == [("function", "weather")] * 2
    assert [one.function.parsed_arguments for one in calls] == [Weather(city="Rome"), Weather(city="Berlin")]
    assert len({one.id for one in calls}) == 2
    assert all(calls)
    done = [event.index for event in events if event.type == "tool_calls.function.arguments.done"]
    assert done == [0, 1]
    stage.says(f"I look.\n{call('Rome')}\n{call('Berlin')}")
    whole = client.chat.completions.parse(**ASKED, tools=[TOOL]).choices[0]
    assert whole.finish_reason == "tool_calls"
    assert [one.function.parsed_arguments for one in whole.message.tool_calls or []] == [
        Weather(city="Rome"),
        Weather(city="Berlin"),
    ]


@staged
def a_calls_id_type_and_name_come_once() -> None:
    stage.says(call("Rome") + call("Berlin"), chunk=1)
    pieces = [piece for chunk in chunks(tools=[TOOL]) for piece in chunk.choices[0].delta.tool_calls or []]
    assert all(isinstance(piece.index, int) and piece.function is not None for piece in pieces)
    named = [
        (piece.index, piece.type, piece.function.name) for piece in pieces if piece.function and piece.function.name
    ]
    assert named == [(0, "function", "weather"), (1, "function", "weather")]
    assert [piece.index for piece in pieces if piece.id] == [0, 1]
    assert [piece.index for piece in pieces if piece.type] == [0, 1]
    for index, city in enumerate(("Rome", "Berlin")):
        arguments = [piece.function.arguments or "" for piece in pieces if piece.index == index and piece.function]
        assert len(arguments) > 2, "the arguments are streamed"
        assert json.loads("".join(arguments)) == {"city": city}


@staged
def a_tool_loop_tells_the_model_what_was_called() -> None:
    stage.says(call("Rome"), "It is sunny.")
    first = client.chat.completions.create(**ASKED, tools=[TOOL], parallel_tool_calls=False)
    asked = stage.offered()
    assert (json.loads(asked["tools"])[0]["function"]["name"], asked["parallel_tool_calls"]) == ("weather", False)
    message = first.choices[0].message
    assert (message.content, first.choices[0].finish_reason) == (None, "tool_calls")
    assert message.tool_calls
    result: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Sunny."}
    messages: Any = [*ASKED["messages"], message, result]
    then = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    assert (then.choices[0].message.content, then.choices[0].finish_reason) == ("It is sunny.", "stop")
    heard = stage.offered()["messages"]
    assert [one["role"] for one in heard] == ["user", "assistant", "tool"]
    assert heard[2]["content"] == "Sunny."


@staged
def a_format_that_is_cut_off_raises_the_length_error() -> None:
    stage.says('{"city": "Rome, the capital of Italy"}')
    for asking in (client.chat.completions.parse, _streamed):
        error = raised(openai.LengthFinishReasonError, asking, **ASKED, response_format=Weather, max_tokens=4)
        assert error.completion.choices[0].finish_reason == "length"
    stage.says('{"city": "Rome"}')
    for asking in (client.chat.completions.parse, _streamed):
        assert asking(**ASKED, response_format=Weather).choices[0].message.parsed == Weather(city="Rome")


def _streamed(**asked: Any) -> Any:
    with client.chat.completions.stream(**asked) as stream:
        return stream.get_final_completion()


@staged
def logprobs_of_a_stream_add_up() -> None:
    stage.says(SAID, chunk=1)
    whole = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=1).choices[0].logprobs
    with client.chat.completions.stream(**ASKED, logprobs=True, top_logprobs=1) as stream:
        streamed = stream.get_final_completion().choices[0].logprobs
    assert whole is not None
    assert streamed is not None
    assert whole.content
    assert streamed.content == whole.content
    assert b"".join(bytes(token.bytes or []) for token in whole.content).decode() == SAID
    assert all(token.top_logprobs[0].token == token.token for token in whole.content)


@staged
def a_failure_before_the_first_token_has_its_status() -> None:
    stage.says("", then="failed")
    for stream in (False, True):
        trying = client.with_options(max_retries=2).chat.completions.create
        error = raised(openai.InternalServerError, trying, **ASKED, stream=stream)
        assert (error.status_code, error.code) == (502, "job_failed")
        once, again = stage.offered(), stage.offered()
        assert (once["job_id"], once["attempt"], again["attempt"]) == (again["job_id"], 1, 2)
        assert stage.none_offered(), "Hive has tried twice, so the client must not"


@staged
def a_failure_midway_raises() -> None:
    stage.says("It is half", then="failed")
    said: list[str] = []

    def read() -> None:
        for chunk in client.chat.completions.create(**ASKED, stream=True):
            said.append(chunk.choices[0].delta.content or "")
            assert chunk.choices[0].finish_reason is None

    error = raised(openai.APIError, read)
    assert ("".join(said), error.code) == ("It is half", "job_failed")
    assert error.message


@staged
def silence_is_no_event() -> None:
    stage.told_of_silence(0.1)
    stage.says("It is sunny.", late=True)
    stream = client.chat.completions.create(**ASKED, stream=True)
    stage.goes_on(after_s=0.5)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "It is sunny."
    stage.says("It is sunny.", then="held")
    with client.chat.completions.stream(**ASKED) as helped:
        stage.goes_on(after_s=0.5)
        assert helped.get_final_completion().choices[0].message.content == "It is sunny."


@staged
def a_failure_after_a_silence_raises() -> None:
    stage.told_of_silence(0.1)
    stage.says("", late=True, then="failed")
    stream = client.chat.completions.create(**ASKED, stream=True)
    stage.goes_on()
    assert raised(openai.APIError, list, stream).code == "job_failed"


@staged
def reasoning_is_told_apart() -> None:
    stage.thinks()
    stage.says("<think>Rome is sunny 🌞.</think>\nIt is sunny.", chunk=1)
    deltas = [chunk.choices[0].delta for chunk in chunks()]
    thought = [str(getattr(delta, "reasoning_content", None) or "") for delta in deltas]
    assert "".join(thought).strip() == "Rome is sunny 🌞."
    assert "".join(delta.content or "" for delta in deltas).strip() == "It is sunny."
    message = client.chat.completions.create(**ASKED).choices[0].message
    assert (message.content or "").strip() == "It is sunny."
    assert message.model_dump()["reasoning_content"].strip() == "Rome is sunny 🌞."


if __name__ == "__main__":
    run()
