"""The Responses API by the official `openai` package: kept and not, continued, streamed, with tools, in the background."""

import json
from typing import Any, Final, Literal

import openai
from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run, stage, staged

ASKED: Final[Any] = {"model": MODEL, "input": "How is the weather in Rome?"}
CALL: Final = '<tool_call>\n{"name": "weather", "arguments": {"city": "%s"}}\n</tool_call>'
SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Final[Any] = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}

client: Final = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)
responses: Final[Any] = client.responses


class City(BaseModel):
    """A structured answer."""

    city: Literal["Rome", "Berlin"]


@case
def a_response_is_kept_and_continued() -> None:
    first = responses.create(**ASKED, instructions="Be brief.", max_output_tokens=20, metadata={"for": "a test"})
    assert (first.object, first.model, first.metadata) == ("response", MODEL, {"for": "a test"})
    assert first.output_text
    assert first.status in ("completed", "incomplete")
    assert first.usage.total_tokens == first.usage.input_tokens + first.usage.output_tokens
    again = responses.retrieve(first.id)
    assert (again.output_text, again.created_at) == (first.output_text, first.created_at)
    given = responses.input_items.list(first.id)
    assert [(item.role, item.content[0].text) for item in given.data] == [("user", ASKED["input"])]
    then = responses.create(model=MODEL, input="And in Berlin?", previous_response_id=first.id, max_output_tokens=8)
    assert then.previous_response_id == first.id
    assert then.usage.input_tokens > first.usage.input_tokens
    responses.delete(first.id)
    raised(openai.NotFoundError, responses.retrieve, first.id)


@case
def a_response_that_is_not_stored_is_gone() -> None:
    got = responses.create(**ASKED, store=False, max_output_tokens=8)
    assert got.output_text
    raised(openai.NotFoundError, responses.retrieve, got.id)


@case
def the_helper_adds_a_stream_up() -> None:
    with responses.stream(**ASKED) as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        whole = stream.get_final_response()
    assert said
    assert (whole.output_text, whole.status) == (said, "completed")


@case
def a_class_is_filled_in() -> None:
    assert isinstance(responses.parse(**ASKED, text_format=City).output_parsed, City)
    with responses.stream(**ASKED, text_format=City) as stream:
        assert isinstance(stream.get_final_response().output_parsed, City)


@case
def a_function_is_called_and_hears_back() -> None:
    first = responses.create(**ASKED, tools=[TOOL], tool_choice="required")
    call = next(item for item in first.output if item.type == "function_call")
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Rome"})
    back = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    then = responses.create(
        model=MODEL, input=[back], previous_response_id=first.id, tools=[TOOL], tool_choice="none", max_output_tokens=8
    )
    assert then.output_text


@case
def a_prompt_is_counted_and_a_conversation_made_short() -> None:
    counted = responses.input_tokens.count(**ASKED, instructions="Be brief.").input_tokens
    used = responses.create(**ASKED, instructions="Be brief.", max_output_tokens=4).usage
    assert counted == used.input_tokens
    short = responses.compact(**ASKED)
    assert short.object == "response.compaction"
    items = [item.model_dump(exclude_none=True) for item in short.output]
    assert "compaction" in [item["type"] for item in items]
    more = {"type": "message", "role": "user", "content": "And then?"}
    assert responses.create(model=MODEL, input=[*items, more], max_output_tokens=8).output_text


@staged
def events_come_in_their_order() -> None:
    stage.says("Grüße 🌞 aus Rom", chunk=1)
    events = list(responses.create(**ASKED, stream=True))
    kinds = [event.type for event in events]
    deltas = kinds.count("response.output_text.delta")
    assert deltas > 3
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == events[-1].response.output_text == "Grüße 🌞 aus Rom"
    assert not any("\ufffd" in piece for piece in pieces)
    followed = list(responses.retrieve(events[0].response.id, stream=True, starting_after=3))
    assert "".join(event.delta for event in followed if event.type == "response.output_text.delta") == "".join(pieces)
    assert followed[-1].response == events[-1].response


@staged
def calls_in_a_stream_are_items_of_their_own() -> None:
    stage.says("I look." + CALL % "Rome" + CALL % "Berlin", chunk=1)
    with responses.stream(**ASKED, tools=[pydantic_function_tool(City, name="weather")]) as stream:
        events = list(stream)
        whole = stream.get_final_response()
    assert [item.type for item in whole.output] == ["message", "function_call", "function_call"]
    assert whole.output_text == "I look."
    calls = [item for item in whole.output if item.type == "function_call"]
    assert [call.parsed_arguments for call in calls] == [City(city="Rome"), City(city="Berlin")]
    assert len({call.call_id for call in calls}) == len({item.id for item in whole.output}) - 1 == 2
    pieces = [event for event in events if event.type == "response.function_call_arguments.delta"]
    assert {event.output_index for event in pieces} == {1, 2}
    assert len(pieces) > 4, "the arguments are streamed"
    done = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
    assert done == ['{"city": "Rome"}', '{"city": "Berlin"}']


@staged
def a_conversation_is_told_to_the_model() -> None:
    stage.says(CALL % "Rome", "It is sunny.")
    first = responses.create(**ASKED, instructions="Be brief.", tools=[TOOL])
    stage.offered()
    back = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "Sunny."}
    then = responses.create(model=MODEL, input=[back], previous_response_id=first.id, tools=[TOOL])
    assert then.output_text == "It is sunny."
    heard = stage.offered()["messages"]
    assert [one["role"] for one in heard] == ["user", "assistant", "tool"], "instructions are not carried over"
    assert heard[2]["content"] == "Sunny."


@staged
def an_answer_that_was_cut_is_incomplete() -> None:
    stage.says("One, two, three.")
    got = responses.create(**ASKED, max_output_tokens=3)
    assert (got.status, got.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    last = list(responses.create(**ASKED, max_output_tokens=3, stream=True))[-1]
    assert (last.type, last.response.incomplete_details.reason) == ("response.incomplete", "max_output_tokens")


@staged
def a_failure_never_looks_like_an_end() -> None:
    stage.says("", then="failed")
    error = raised(openai.InternalServerError, responses.create, **ASKED)
    assert (error.status_code, error.code) == (502, "job_failed")
    stage.says("It is half", then="failed")
    events: list[Any] = []
    try:
        events.extend(responses.create(**ASKED, stream=True))
    except openai.APIError as caught:
        events.append(caught)
    kinds = [getattr(event, "type", "") for event in events]
    assert "response.completed" not in kinds
    assert kinds[-1] == "response.failed" or isinstance(events[-1], openai.APIError)


@staged
def silence_is_no_event() -> None:
    stage.told_of_silence(0.1)
    stage.says("It is sunny.", late=True)
    with responses.stream(**ASKED) as stream:
        stage.goes_on(after_s=0.5)
        assert stream.get_final_response().output_text == "It is sunny."


@staged
def who_leaves_frees_the_slot() -> None:
    stage.says("Once upon", then="held")
    stream = responses.create(**ASKED, stream=True)
    for event in stream:
        if event.type == "response.output_text.delta":
            break
    stream.close()
    assert stage.cancelled(stage.offered()["job_id"])["status"] == "cancelled"


@staged
def one_in_the_background_goes_on_without_a_reader() -> None:
    stage.says("Once upon a time.", then="held")
    made = responses.create(**ASKED, background=True)
    assert made.status in ("queued", "in_progress")
    job_id = stage.offered()["job_id"]
    assert responses.retrieve(made.id).status == "in_progress"
    stage.goes_on()
    assert stage.job(job_id)["status"] == "completed"
    got = responses.retrieve(made.id)
    assert (got.status, got.output_text) == ("completed", "Once upon a time.")
    stage.says("Once upon", then="held")
    made = responses.create(**ASKED, background=True)
    job_id = stage.offered()["job_id"]
    assert responses.cancel(made.id).status == "cancelled"
    assert stage.job(job_id)["status"] == "cancelled"


@staged
def reasoning_is_an_item_of_its_own() -> None:
    stage.thinks()
    stage.says("<think>Rome is sunny.</think>It is sunny.", chunk=1)
    got = responses.create(**ASKED)
    assert [item.type for item in got.output] == ["reasoning", "message"]
    assert got.output_text == "It is sunny."
    with responses.stream(**ASKED) as stream:
        assert stream.get_final_response().output_text == "It is sunny."


if __name__ == "__main__":
    run()
