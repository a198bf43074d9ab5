"""Anthropic's messages: what is asked becomes a chat, and the stream tells the same as the whole."""

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from coordinator.answer.said import Answer, Terms
from coordinator.answer.teller import Counts, End, Names, Told
from coordinator.anthropic.messages import MessagesBody, MessageTeller, sampled, submission
from coordinator.submit.request import JobRequest
from shared.chat.events import merged
from shared.chat.formats import Format
from shared.errors import RequestError

NAMES = Names(UUID(int=7), 1, "m", "fp", tokens_in=9)
FORMAT = Format("hermes", reasoning=("<think>", "</think>"))
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
TERMS = Terms(FORMAT, lambda token: bytes([token]), tools=("weather",), seed="job", stops=("END",))
COUNTS = Counts(9, 4, 3)


def asked(**fields: Any) -> JobRequest:
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], **fields}
    made = msgspec.json.decode(msgspec.json.encode(body), type=MessagesBody)
    return submission(made, lambda _: None, **sampled(made)).request


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each of which is named as its data says."""
    found = []
    for part in stream.decode().split("\n\n")[:-1]:
        name, data = part.split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        found.append(value)
    return found


def accumulated(stream: bytes) -> dict[str, Any]:
    """The message that a client puts together, as the official one does."""
    message: dict[str, Any] = {}
    arguments: dict[int, str] = {}
    for event in events_of(stream):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(event["content_block"])
                arguments[event["index"]] = ""
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "input_json_delta":
                        arguments[event["index"]] += delta["partial_json"]
                    case "text_delta" | "thinking_delta":
                        kind = delta["type"].removesuffix("_delta")
                        block[kind] += delta[kind]
            case "content_block_stop":
                block = message["content"][event["index"]]
                if block["type"] == "tool_use":
                    block["input"] = json.loads(arguments[event["index"]] or "{}")
            case "message_delta":
                message |= event["delta"] | {"usage": event["usage"]}
    return message


def both(text: str, cuts: list[int], *, thinking: bool) -> tuple[dict[str, Any], Any]:
    """What the stream of this text, cut at these places, and the whole tell."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    answer, teller = Answer(TERMS), MessageTeller(NAMES, thinking=thinking)
    stream, said = teller.opening(), []
    for start, end in zip(places, [*places[1:], len(text)], strict=True):
        pushed = answer.push(text[start:end])
        stream += teller.more(0, pushed, None)
        said += pushed
    rest = answer.finish()
    ended = End(answer.finish_reason("stop"), COUNTS)
    stream += teller.more(0, rest, None) + teller.ended(0, ended) + teller.closing(COUNTS)
    whole = MessageTeller(NAMES, thinking=thinking).whole([Told(merged([*said, *rest]), text, ended)], COUNTS)
    return accumulated(stream), json.loads(json.dumps(whole))


@pytest.mark.parametrize("text", ["", "Hello.", f"I ask. {CALL}\n{CALL}", "<think>a</think>b" + CALL, "<think>x"])
@given(st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_the_stream_tells_what_the_whole_tells(text: str, cuts: list[int], thinking: bool) -> None:
    streamed, whole = both(text, cuts, thinking=thinking)
    assert streamed == whole


def test_a_call_a_thought_and_the_counts() -> None:
    _, whole = both("<think>hm</think>Well." + CALL, [], thinking=True)
    assert [block["type"] for block in whole["content"]] == ["thinking", "text", "tool_use"]
    assert whole["content"][2]["input"] == {"city": "Rome"}
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("tool_use", None)
    assert whole["usage"] == {
        "input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3, "output_tokens": 4
    }  # fmt: skip


def test_the_stop_sequence_that_ended_it_is_told() -> None:
    answer = Answer(TERMS)
    assert answer.stopped_by("Hi ", list(b"Hi END")) == "END"
    assert answer.stopped_by("Hi ", list(b"Hi ")) is None
    told = MessageTeller(NAMES).whole([Told([], "", End("stop", COUNTS, stopped_by="END"))], COUNTS)
    assert isinstance(told, dict)
    assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", "END")


def test_blocks_become_messages_results_of_tools_their_own() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "sunny"}]}
    request = asked(
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, use]},
            {"role": "user", "content": [result, {"type": "text", "text": "And now?"}]},
        ],
        tools=[{"name": "weather", "input_schema": {"type": "object"}}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
    )
    told = [(message.role, message.content) for message in request.messages or []]
    assert told == [
        ("system", "Be brief."),
        ("user", "Weather?"),
        ("assistant", None),
        ("tool", "sunny"),
        ("user", "And now?"),
    ]
    assert (request.tool_choice, request.parallel_tool_calls, request.stop) == ('"required"', False, ["END"])


def test_a_format_of_the_answer_becomes_a_chats() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    request = asked(output_config={"effort": "low", "format": {"type": "json_schema", "schema": schema}})
    told = json.loads(request.response_format or "")
    assert (told["type"], told["json_schema"]["schema"], told["json_schema"]["strict"]) == ("json_schema", schema, True)
    assert asked(output_config={"effort": "low"}).response_format is None


@pytest.mark.parametrize(("asked_for", "region"), [("us", "US"), ("EU", "EU"), ("global", ""), (None, "")])
def test_where_it_is_computed_is_kept_to(asked_for: str | None, region: str) -> None:
    told = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], "inference_geo": asked_for}
    body = msgspec.convert(told, MessagesBody)
    assert submission(body, lambda _: None, **sampled(body)).placement.region == region


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages[0].content[0].tool_use_id"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0]"),
        ({"tools": [{"name": "w", "type": "web_search_20250305"}]}, "tools.type web_search_20250305"),
        ({"tools": [{"name": "w"}], "tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
    ],
)
def test_what_cannot_be_done_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as refused:
        asked(**fields)
    assert refused.value.param == param
