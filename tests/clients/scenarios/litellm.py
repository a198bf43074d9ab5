"""Chat by `litellm` as a client, which many agents use, and which maps every chunk to a class of its own."""

import asyncio
from typing import Any, Final

import litellm

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run, stage, staged

ASKED: Final[Any] = [{"role": "user", "content": "How is the weather in Rome?"}]
CALL: Final = '<tool_call>\n{"name": "weather", "arguments": {"city": "%s"}}\n</tool_call>'
SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Rome"]}}, "required": ["city"]}
TOOLS: Final = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
HIVE: Final[Any] = {
    "model": f"openai/{MODEL}", "messages": ASKED, "api_base": f"{URL}/v1", "api_key": KEY, "max_retries": 0,
    "timeout": 30,
}  # fmt: skip

litellm.suppress_debug_info = True
litellm.telemetry = False


@case
def an_answer_has_its_counts() -> None:
    got = litellm.completion(**HIVE, max_tokens=12)
    assert got.choices[0].message.content
    assert got.choices[0].finish_reason in ("stop", "length")
    assert 0 < got.usage.completion_tokens <= 12


@case
def a_stream_is_built_up_again() -> None:
    chunks = list(litellm.completion(**HIVE, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks, messages=ASKED)
    assert whole.choices[0].message.content
    assert whole.usage.completion_tokens > 0


@case
def a_format_and_an_async_answer() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}
    got = asyncio.run(litellm.acompletion(**HIVE, response_format=wanted))
    assert got.choices[0].message.content.replace(" ", "").replace("\n", "") == '{"city":"Rome"}'


@case
def texts_become_vectors_and_prompts_texts() -> None:
    where: Any = {key: HIVE[key] for key in ("model", "api_base", "api_key", "timeout", "max_retries")}
    got = litellm.embedding(input=["The sun.", "The sea."], **where)
    assert [len(one["embedding"]) > 8 for one in got.data] == [True, True]
    plain = where | {"model": f"text-completion-openai/{MODEL}"}
    assert litellm.text_completion(prompt="Once upon", max_tokens=6, **plain).choices[0].text


@case
def other_faces_are_reached() -> None:
    where: Any = {key: HIVE[key] for key in ("model", "api_base", "api_key", "timeout")}
    got = litellm.responses(input="Hello", max_output_tokens=8, **where)
    assert got.output[0].content[0].text
    claude = where | {"model": f"anthropic/{MODEL}", "api_base": URL}
    said = litellm.completion(messages=ASKED, max_tokens=8, **claude)
    assert said.choices[0].message.content


@staged
def calls_by_anthropics_face() -> None:
    stage.says("I look." + CALL % "Rome", chunk=1)
    claude: Any = {**HIVE, "model": f"anthropic/{MODEL}", "api_base": URL, "tools": TOOLS, "max_tokens": 100}
    message = litellm.completion(**claude).choices[0].message
    assert (message.content, message.tool_calls[0].function.arguments) == ("I look.", '{"city": "Rome"}')
    chunks = list(litellm.completion(**claude, stream=True))
    whole = litellm.stream_chunk_builder(chunks, messages=ASKED).choices[0]
    assert whole.finish_reason == "tool_calls"
    assert whole.message.tool_calls[0].function.arguments == '{"city": "Rome"}'


@staged
def calls_in_a_stream_are_built_up_again() -> None:
    stage.says("I look." + CALL % "Rome" + CALL % "Berlin", chunk=1)
    chunks = list(litellm.completion(**HIVE, tools=TOOLS, stream=True))
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert reasons == ["tool_calls"]
    message = litellm.stream_chunk_builder(chunks, messages=ASKED).choices[0].message
    assert message.content == "I look."
    assert [(call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("weather", '{"city": "Rome"}'),
        ("weather", '{"city": "Berlin"}'),
    ]
    assert len({call.id for call in message.tool_calls}) == 2


@staged
def a_tool_loop_goes_round() -> None:
    stage.says(CALL % "Rome", "Sunny.")
    first = litellm.completion(**HIVE, tools=TOOLS).choices[0]
    assert first.finish_reason == "tool_calls"
    back = {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "Sun."}
    then = litellm.completion(**{**HIVE, "messages": [*ASKED, first.message.model_dump(), back]}, tools=TOOLS)
    assert (then.choices[0].message.content, then.choices[0].finish_reason) == ("Sunny.", "stop")


@staged
def an_async_stream_keeps_its_code_points() -> None:
    stage.says("Grüße 🌞 aus Rom", chunk=1)

    async def read() -> str:
        answer = await litellm.acompletion(**HIVE, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in answer])

    assert asyncio.run(read()) == "Grüße 🌞 aus Rom"


@staged
def silence_is_no_event() -> None:
    stage.told_of_silence(0.1)
    stage.says("It is sunny.", late=True)
    stream = litellm.completion(**HIVE, stream=True)
    stage.goes_on(after_s=0.5)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "It is sunny."


@staged
def a_failure_midway_raises() -> None:
    stage.says("It is half", then="failed")
    said: list[str] = []

    def read() -> None:
        for chunk in litellm.completion(**HIVE, stream=True):
            said.append(chunk.choices[0].delta.content or "")

    error = raised(litellm.exceptions.MidStreamFallbackError, read)
    assert "".join(said) == "It is half"
    assert "the engine has ended" in str(error)


@staged
def errors_keep_their_class() -> None:
    for change, error in (
        ({"model": "openai/no-such-model"}, litellm.exceptions.BadRequestError),
        ({"api_key": "none"}, litellm.exceptions.AuthenticationError),
        ({"messages": [{"role": "user", "content": "word " * 4000}]}, litellm.exceptions.ContextWindowExceededError),
    ):
        raised(error, litellm.completion, **{**HIVE, **change})


if __name__ == "__main__":
    run()
