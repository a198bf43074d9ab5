"""Messages by Anthropic's own package: whole, streamed, with tools, parsed, counted, thinking, and broken off."""

import json
from typing import Any, Final, Literal

import anthropic
from anthropic import Anthropic, beta_tool
from anthropic.types.message_create_params import MessageCreateParamsBase
from pydantic import BaseModel

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run, stage, staged

ASKED: Final[Any] = {
    "model": MODEL,
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "How is the weather in Rome?"}],
}
CALL: Final = '<tool_call>\n{"name": "weather", "arguments": {"city": "%s"}}\n</tool_call>'
SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Rome"]}}, "required": ["city"]}
TOOLS: Final[Any] = [{"name": "weather", "description": "The weather.", "input_schema": SCHEMA}]

client: Final[Any] = Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=30)


class City(BaseModel):
    """A structured answer."""

    city: Literal["Rome", "Berlin"]


@case
def a_message_has_all_that_the_types_say() -> None:
    raw = client.messages.with_raw_response.create(**{**ASKED, "max_tokens": 12}, system="Be brief.")
    got = raw.parse()
    (block,) = got.content
    assert (got.type, got.role, got.model, block.type) == ("message", "assistant", MODEL, "text")
    assert block.text
    assert got.stop_reason in ("end_turn", "max_tokens")
    assert got.usage.input_tokens > 0
    assert 0 < got.usage.output_tokens <= 12
    assert got.id.startswith("msg_")
    assert raw.headers["x-hive-worker"]


@case
def a_stream_adds_up() -> None:
    with client.messages.stream(**ASKED) as stream:
        said = "".join(stream.text_stream)
        whole = stream.get_final_message()
    assert said
    assert "".join(block.text for block in whole.content) == said
    assert whole.usage.output_tokens > 0
    assert whole.stop_reason in ("end_turn", "max_tokens")


@case
def a_tool_must_be_called() -> None:
    got = client.messages.create(**ASKED, tools=TOOLS, tool_choice={"type": "any"})
    assert got.stop_reason == "tool_use"
    call = next(block for block in got.content if block.type == "tool_use")
    assert (call.name, call.input) == ("weather", {"city": "Rome"})


@case
def a_prompt_is_counted_as_it_is_billed() -> None:
    asked: Any = {"model": MODEL, "messages": ASKED["messages"], "system": "Be brief.", "tools": TOOLS}
    counted = client.messages.count_tokens(**asked).input_tokens
    billed = client.messages.create(**asked, max_tokens=4).usage
    assert counted == billed.input_tokens + (billed.cache_read_input_tokens or 0)


@case
def a_class_is_filled_in() -> None:
    assert isinstance(client.messages.parse(**ASKED, output_format=City).parsed_output, City)
    with client.messages.stream(**ASKED, output_format=City) as stream:
        assert isinstance(stream.get_final_message().parsed_output, City)


@case
def all_fields_are_taken_and_a_place_is_kept_to() -> None:
    given = ("model", "messages", "max_tokens")
    nulls = {name: None for name in MessageCreateParamsBase.__annotations__ if name not in given}
    assert client.messages.create(**{**ASKED, "max_tokens": 4}, extra_body=nulls).content
    harmless: Any = {
        "metadata": {"user_id": "somebody"},
        "service_tier": "auto",
        "cache_control": {"type": "ephemeral"},
        "temperature": 0.5,
        "top_k": 5,
        "some_vendors_field": {"deep": [1, None]},
    }
    raw = client.messages.with_raw_response
    got = raw.create(**{**ASKED, "max_tokens": 4}, extra_body={**harmless, "inference_geo": "us"})
    assert got.headers["x-hive-jurisdiction"] == "US"
    error: Any = raised(
        anthropic.BadRequestError, client.messages.create, **ASKED, extra_body={"inference_geo": "atlantis"}
    )
    assert error.body["error"]["code"] == "invalid_jurisdiction"


@case
def what_is_wrong_raises_its_own_class() -> None:
    error: Any = raised(anthropic.BadRequestError, client.messages.create, **{**ASKED, "model": "no-such-model"})
    assert error.body["type"] == "error"
    assert error.body["error"]["code"] == "invalid_model"
    nobody = client.with_options(api_key="none")
    raised(anthropic.AuthenticationError, nobody.messages.create, **ASKED)


@staged
def events_come_in_their_order() -> None:
    stage.says("Grüße 🌞 aus Rom", chunk=1)
    events = list(client.messages.create(**ASKED, stream=True))
    kinds = [event.type for event in events]
    deltas = kinds.count("content_block_delta")
    assert deltas > 3
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    pieces = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(pieces) == "Grüße 🌞 aus Rom"
    assert not any("\ufffd" in piece for piece in pieces)
    start, end = events[0].message, events[-2]
    assert (start.content, start.stop_reason, start.usage.input_tokens > 0) == ([], None, True)
    assert (end.delta.stop_reason, end.usage.output_tokens > 0) == ("end_turn", True)


@staged
def calls_in_a_stream_are_blocks_of_their_own() -> None:
    stage.says("I look." + CALL % "Rome" + CALL % "Berlin", chunk=1)
    with client.messages.stream(**ASKED, tools=TOOLS) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        whole = stream.get_final_message()
    assert len(pieces) > 4, "the arguments are streamed"
    assert [block.type for block in whole.content] == ["text", "tool_use", "tool_use"]
    assert whole.content[0].text == "I look."
    assert [block.input for block in whole.content[1:]] == [{"city": "Rome"}, {"city": "Berlin"}]
    assert len({block.id for block in whole.content[1:]}) == 2
    assert whole.stop_reason == "tool_use"


@staged
def a_tool_loop_tells_the_model_what_was_called() -> None:
    stage.says(CALL % "Rome", "It is sunny.")
    first = client.messages.create(**ASKED, tools=TOOLS)
    stage.offered()
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "Sunny."}
    messages = [
        *ASKED["messages"],
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    then = client.messages.create(**{**ASKED, "messages": messages}, tools=TOOLS, system="Be brief.")
    assert (then.content[0].text, then.stop_reason) == ("It is sunny.", "end_turn")
    heard = stage.offered()["messages"]
    assert [one["role"] for one in heard] == ["system", "user", "assistant", "tool"]
    assert heard[-1]["content"] == "Sunny."


@staged
def the_runner_calls_the_tools_itself() -> None:
    stage.says(CALL % "Rome", "It is sunny.")
    asked = []

    def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "Sunny."

    runner = client.beta.messages.tool_runner(**ASKED, tools=[beta_tool(weather)])
    *_, last = runner
    assert (asked, last.content[0].text) == (["Rome"], "It is sunny.")


@staged
def ends_have_their_reasons() -> None:
    stage.says("One, two, three, four.")
    cut = client.messages.create(**{**ASKED, "max_tokens": 3})
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    stopped = client.messages.create(**ASKED, stop_sequences=["three"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "three")
    assert stopped.content[0].text == "One, two, "
    with client.messages.stream(**ASKED, stop_sequences=["three"]) as stream:
        assert stream.get_final_message().stop_sequence == "three"


@staged
def a_format_reaches_the_worker() -> None:
    stage.says('{"city": "Rome"}')
    assert client.messages.parse(**ASKED, output_format=City).parsed_output == City(city="Rome")
    asked = json.loads(stage.offered()["response_format"])
    assert asked["type"] == "json_schema"


@staged
def limits_and_money_raise_their_own_classes() -> None:
    stage.says("Once.")
    limited = client.with_options(api_key=stage.key(grant=10, rpm=1)).messages.create
    assert limited(**ASKED).content[0].text == "Once."
    error: Any = raised(anthropic.RateLimitError, limited, **ASKED)
    assert error.body["error"]["type"] == "rate_limit_error"
    poor = client.with_options(api_key=stage.key()).messages.create
    assert raised(anthropic.PermissionDeniedError, poor, **ASKED).status_code == 403


@staged
def a_failure_midway_raises() -> None:
    stage.says("It is half", then="failed")
    said: list[str] = []

    def read() -> None:
        with client.messages.stream(**ASKED) as stream:
            said.extend(stream.text_stream)

    error: Any = raised(anthropic.APIStatusError, read)
    assert "".join(said) == "It is half"
    assert error.body["error"]["code"] == "job_failed"


@staged
def silence_is_no_event() -> None:
    stage.told_of_silence(0.1)
    stage.says("It is sunny.", late=True)
    with client.messages.stream(**ASKED) as stream:
        stage.goes_on(after_s=0.5)
        assert stream.get_final_message().content[0].text == "It is sunny."
    stage.says("", late=True, then="failed")
    with client.messages.stream(**ASKED) as stream:
        stage.goes_on()
        raised(anthropic.APIStatusError, stream.get_final_message)


@staged
def who_leaves_frees_the_slot() -> None:
    stage.says("Once upon", then="held")
    with client.messages.stream(**ASKED) as stream:
        next(iter(stream.text_stream))
    assert stage.cancelled(stage.offered()["job_id"])["status"] == "cancelled"


@staged
def an_answer_that_was_lost_is_told_again_by_the_same_job() -> None:
    stage.says("Once upon a time.")
    with Anthropic(base_url=stage.losing("cut"), api_key=KEY, timeout=30) as behind:
        got = behind.messages.create(**ASKED)
    assert got.content[0].text == "Once upon a time."
    assert got.id.removeprefix("msg_") == stage.offered()["job_id"].replace("-", "")
    assert stage.none_offered()


@staged
def thinking_is_told_to_who_wants_it() -> None:
    stage.thinks()
    stage.says("<think>Rome is sunny.</think>It is sunny.", chunk=1)
    with client.messages.stream(**ASKED, thinking={"type": "enabled", "budget_tokens": 1024}) as stream:
        whole = stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.content[0].thinking == "Rome is sunny."
    assert whole.content[1].text == "It is sunny."
    again = [*ASKED["messages"], {"role": "assistant", "content": whole.content}, {"role": "user", "content": "Sure?"}]
    plain = client.messages.create(**{**ASKED, "messages": again})
    assert [block.type for block in plain.content] == ["text"]


if __name__ == "__main__":
    run()
