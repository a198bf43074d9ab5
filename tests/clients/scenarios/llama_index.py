"""Chat by LlamaIndex's class for servers that are like OpenAI's."""

import asyncio
from typing import Any, Final

import openai
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run, stage, staged

ASKED: Final = [ChatMessage(role="user", content="How is the weather in Rome?")]
CALL: Final = '<tool_call>\n{"name": "weather", "arguments": {"city": "%s"}}\n</tool_call>'


class City(BaseModel):
    """A structured answer."""

    city: str


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


def model(**options: Any) -> Any:
    """The model as its users make it, without retries."""
    usual: Any = {"model": MODEL, "api_base": f"{URL}/v1", "api_key": KEY, "max_retries": 0, "timeout": 30}
    told: Any = {"is_chat_model": True, "is_function_calling_model": True, "context_window": 2048}
    return OpenAILike(**usual | told | options)


@case
def an_answer_a_stream_and_an_async_answer() -> None:
    got = model(max_tokens=12).chat(ASKED)
    assert got.message.content
    assert got.raw.usage.completion_tokens <= 12
    pieces = [piece.delta or "" for piece in model(max_tokens=12).stream_chat(ASKED)]
    assert "".join(pieces)
    assert asyncio.run(model(max_tokens=5).achat(ASKED)).message.content


@case
def a_prompt_is_completed_by_the_chat_and_as_it_is() -> None:
    assert model(max_tokens=8).complete("The capital of Italy is").text
    plain = model(max_tokens=8, is_chat_model=False, is_function_calling_model=False)
    assert plain.complete("Once upon").text
    assert "".join(piece.delta or "" for piece in plain.stream_complete("Once upon"))


@case
def texts_become_vectors() -> None:
    embed = OpenAILikeEmbedding(model_name=MODEL, api_base=f"{URL}/v1", api_key=KEY, max_retries=0)
    vectors = embed.get_text_embedding_batch(["The sun.", "The sea."])
    assert len(vectors[0]) == len(vectors[1]) > 8
    alone = embed.get_query_embedding("The sea.")
    assert all(abs(a - b) < 1e-5 for a, b in zip(alone, vectors[1], strict=True))


@staged
def a_tool_is_predicted_and_called() -> None:
    stage.says(CALL % "Rome", "Sunny in Rome.")
    tools = [FunctionTool.from_defaults(weather)]
    got = model().predict_and_call(tools, ASKED[0].content)
    assert got.response == "Sunny in Rome."
    asked = stage.offered()
    assert "weather" in asked["tools"]


@staged
def calls_in_a_stream_are_whole_at_its_end() -> None:
    stage.says("I look." + CALL % "Rome" + CALL % "Berlin", chunk=1)
    llm, tools = model(), [FunctionTool.from_defaults(weather)]
    *_, last = llm.stream_chat_with_tools(tools, user_msg=ASKED[0], allow_parallel_tool_calls=True)
    calls = llm.get_tool_calls_from_response(last)
    assert [(call.tool_name, call.tool_kwargs) for call in calls] == [
        ("weather", {"city": "Rome"}),
        ("weather", {"city": "Berlin"}),
    ]
    assert len({call.tool_id for call in calls}) == 2
    assert last.message.content == "I look."


@staged
def an_object_comes_by_its_schema() -> None:
    stage.says('{"city": "Rome"}')
    got = model(should_use_structured_outputs=True).as_structured_llm(City).chat(ASKED)
    assert got.raw == City(city="Rome")
    assert "json_schema" in stage.offered()["response_format"]


@staged
def a_failure_midway_raises() -> None:
    stage.says("It is half", then="failed")
    said: list[str] = []

    def read() -> None:
        for piece in model().stream_chat(ASKED):
            said.append(piece.delta or "")

    raised(openai.APIError, read)
    assert "".join(said) == "It is half"


if __name__ == "__main__":
    run()
