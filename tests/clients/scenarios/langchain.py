"""Chat by `langchain-openai`, which fails on a null where a list should be and reads counts off a stream's last chunk."""

import asyncio
from typing import Any, Final, Literal

import openai
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run, stage, staged

ASKED: Final = "How is the weather in Rome?"
CALL: Final = '<tool_call>\n{"name": "weather", "arguments": {"city": "%s"}}\n</tool_call>'


class City(BaseModel):
    """A structured answer."""

    city: Literal["Rome", "Berlin"]


def weather(city: Literal["Rome", "Berlin"]) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


TOOL: Final = tool(weather)


def chat(**options: Any) -> Any:
    """The chat model as its users make it, without retries."""
    usual: Any = {"model": MODEL, "base_url": f"{URL}/v1", "api_key": KEY, "max_retries": 0, "timeout": 30}
    return ChatOpenAI(**usual | options)


@case
def an_answer_has_its_counts() -> None:
    got = chat(max_tokens=12).invoke(ASKED)
    assert got.content
    assert got.response_metadata["model_name"] == MODEL
    assert got.response_metadata["finish_reason"] in ("stop", "length")
    assert 0 < got.usage_metadata["output_tokens"] <= 12


@case
def a_stream_adds_up_to_an_answer() -> None:
    chunks = list(chat(stream_usage=True).stream(ASKED))
    whole = sum(chunks[1:], chunks[0])
    assert isinstance(whole, AIMessageChunk)
    assert whole.content
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] > 0
    assert whole.response_metadata["finish_reason"] in ("stop", "length")


@case
def an_object_comes_by_schema_and_by_tool() -> None:
    for method in ("json_schema", "function_calling"):
        got = chat().with_structured_output(City, method=method).invoke(ASKED)
        assert isinstance(got, City), method


@case
def a_batch_and_an_async_answer() -> None:
    assert all(got.content for got in chat(max_tokens=5).batch([ASKED, "And in Berlin?"]))
    assert asyncio.run(chat(max_tokens=5).ainvoke(ASKED)).content


@case
def texts_become_vectors() -> None:
    where: Any = {"base_url": f"{URL}/v1", "api_key": KEY, "max_retries": 0}
    # Else it cuts texts into OpenAI's tokens by itself, and would fetch OpenAI's vocabulary for it.
    embed = OpenAIEmbeddings(model=MODEL, check_embedding_ctx_length=False, **where)
    vectors = embed.embed_documents(["The sun.", "The sea."])
    assert len(vectors[0]) == len(vectors[1]) > 8
    alone = embed.embed_query("The sea.")
    assert all(abs(a - b) < 1e-5 for a, b in zip(alone, vectors[1], strict=True))


@case
def several_answers_come_to_one_question() -> None:
    (answers,) = chat(n=2, max_tokens=8).generate([[HumanMessage(ASKED)]]).generations
    assert [bool(answer.text) for answer in answers] == [True, True]


@case
def the_responses_api_is_a_choice() -> None:
    llm = chat(use_responses_api=True)
    got = llm.invoke(ASKED, max_tokens=8)
    assert got.text
    assert got.response_metadata["id"].startswith("resp_")
    chunks = list(llm.stream(ASKED))
    assert sum(chunks[1:], chunks[0]).text
    assert isinstance(llm.with_structured_output(City).invoke(ASKED), City)


@staged
def a_tool_loop_by_the_responses_api() -> None:
    stage.says("I look." + CALL % "Rome" + CALL % "Berlin", "Sunny in both.", chunk=1)
    bound = chat(use_responses_api=True).bind_tools([TOOL])
    chunks = list(bound.stream(ASKED))
    asked = sum(chunks[1:], chunks[0])
    assert [call["args"] for call in asked.tool_calls] == [{"city": "Rome"}, {"city": "Berlin"}]
    then = bound.invoke([HumanMessage(ASKED), asked, *(TOOL.invoke(call) for call in asked.tool_calls)])
    assert then.text == "Sunny in both."
    stage.offered()
    assert [one["role"] for one in stage.offered()["messages"]] == ["user", "assistant", "tool", "tool"]


@staged
def a_tool_loop_in_a_stream() -> None:
    bound = chat().bind_tools([TOOL])
    stage.says("I look." + CALL % "Rome" + CALL % "Berlin", "Sunny in both.", chunk=1)
    chunks = list(bound.stream(ASKED))
    asked = sum(chunks[1:], chunks[0])
    assert asked.content == "I look."
    assert [(call["name"], call["args"]) for call in asked.tool_calls] == [
        ("weather", {"city": "Rome"}),
        ("weather", {"city": "Berlin"}),
    ]
    assert asked.invalid_tool_calls == []
    assert asked.response_metadata["finish_reason"] == "tool_calls"
    results = [TOOL.invoke(call) for call in asked.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    then = bound.invoke([HumanMessage(ASKED), asked, *results])
    assert (then.content, then.tool_calls) == ("Sunny in both.", [])
    stage.offered()
    assert [one["role"] for one in stage.offered()["messages"]] == ["user", "assistant", "tool", "tool"]


@staged
def whole_calls_and_logprobs() -> None:
    stage.says(CALL % "Rome")
    got = chat().bind_tools([TOOL], tool_choice="any").invoke(ASKED)
    assert (got.content, [call["args"] for call in got.tool_calls]) == ("", [{"city": "Rome"}])
    stage.says("Sunny, 😎.")
    told = chat(logprobs=True, top_logprobs=1).invoke(ASKED).response_metadata["logprobs"]["content"]
    assert b"".join(bytes(token["bytes"]) for token in told).decode() == "Sunny, 😎."


@staged
def a_failure_midway_raises() -> None:
    stage.says("It is half", then="failed")
    said: list[str] = []

    def read() -> None:
        for chunk in chat().stream(ASKED):
            said.append(str(chunk.content))

    raised(openai.APIError, read)
    assert "".join(said) == "It is half"


@staged
def a_stream_that_is_left_frees_the_slot() -> None:
    stage.says("Once upon", then="held")
    stream = chat().stream(ASKED)
    for chunk in stream:
        if chunk.content:
            break
    stream.close()
    assert stage.cancelled(stage.offered()["job_id"])["status"] == "cancelled"


if __name__ == "__main__":
    run()
