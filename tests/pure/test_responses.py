"""A response as the SDK reads it: valid by its own types, and the same whole, streamed and cut in any way, and told again."""

import json
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from coordinator.answer.said import Answer, Terms
from coordinator.answer.teller import Counts, End, Names, Told
from coordinator.dispatch.relay import GoingAway
from coordinator.openai.responses_body import ResponseBody, echo
from coordinator.openai.responses_output import item_id, job_of_item
from coordinator.openai.responses_teller import ResponseTeller, job_of, response_id
from shared.chat.events import CallArguments, CallStarted, Content, merged
from shared.chat.formats import GENERIC, Format
from shared.errors import JobFailed
from shared.protocol.messages import Logprob

JOB = UUID("12345678-0000-8000-8000-0000000000ff")
NAMES = Names(JOB, 1_790_000_000, "hive-nano", "fp", 5)
THINKS = Format("hermes", reasoning=("<think>", "</think>"))
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
EVENT: Any = TypeAdapter(ResponseStreamEvent)
TEXTS = [
    "Hello.",
    "",
    "<think>Rome?</think>Yes.",
    CALL,
    f"I ask. {CALL}\n{CALL}",
    f"<think>a</think>{CALL}",
    "<think>never ends",
    '<tool_call>\n{"name": "weather", "arguments": {"ci',
]
Json = dict[str, Any]


def body(**fields: Any) -> ResponseBody:
    return ResponseBody(model="hive-nano", input="Hi", **fields)


def teller(after: int = -1, **fields: Any) -> ResponseTeller:
    return ResponseTeller(NAMES, echo=json_of(echo(body(**fields))), count=len, after=after)


def json_of(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def answer(format_: Format = THINKS, *, logprobs: bool = False, tools: tuple[str, ...] = ("weather",)) -> Answer:
    return Answer(Terms(format_, lambda token: bytes([token]), tools, logprobs, str(JOB)))


def end(reading: Answer, reason: str = "stop") -> End:
    return End(reading.finish_reason(reason), Counts(5, 9, 2), reading.likely(), at=1_790_000_009)


def streamed(text: str, cuts: list[int], reason: str = "stop", after: int = -1) -> list[Json]:
    """The events of an answer whose text came in these pieces."""
    told, reading = teller(after), answer()
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    said = told.opening()
    for start, stop in pairwise(places):
        said += told.more(0, reading.push(text[start:stop]), reading.likely())
    said += told.more(0, reading.finish(), reading.likely())
    return events_of(said + told.ended(0, end(reading, reason)) + told.closing(Counts(5, 9, 2)))


def whole(text: str, reason: str = "stop") -> Json:
    reading = answer()
    said = merged([*reading.push(text), *reading.finish()])
    return teller().whole([Told(said, text, end(reading, reason))], Counts(5, 9, 2))


def events_of(said: bytes) -> list[Json]:
    """The events on a wire, each valid by the SDK's types and named twice alike."""
    events = []
    for part in said.decode().split("\n\n")[:-1]:
        name, data = part.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        EVENT.validate_python(event)
        events.append(event)
    return events


@pytest.mark.parametrize("reason", ["stop", "length"])
@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_events_build_the_same_response_however_the_text_was_cut(text: str, reason: str, cuts: list[int]) -> None:
    events = streamed(text, cuts, reason)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"] == whole(text, reason)
    built: dict[int, Json] = {}
    for event in events:
        place = event.get("output_index", -1)
        match event["type"].removeprefix("response."):
            case "output_item.added":
                assert place == len(built)
                built[place] = event["item"]
            case "content_part.added":
                built[place]["content"] = [event["part"]]
            case "output_text.delta" | "reasoning_text.delta":
                built[place]["content"][0]["text"] += event["delta"]
            case "function_call_arguments.delta":
                built[place]["arguments"] += event["delta"]
            case "output_item.done":
                assert event["item"] == {**built[place], "status": event["item"]["status"]}
                built[place] = event["item"]
    assert list(built.values()) == events[-1]["response"]["output"]


@pytest.mark.parametrize("text", TEXTS)
def test_the_sdk_accumulates_the_events_to_the_response(text: str) -> None:
    state: Any = ResponseStreamState(input_tools=[], text_format=omit)
    for event in streamed(text, [1, 3, 8, 20]):
        state.handle_event(construct_type(type_=ResponseStreamEvent, value=event))
    got = state._completed_response
    assert got is not None
    assert got.to_dict()["output"] == [
        {**item, "content": [{**part, "parsed": None} for part in item["content"]]}
        if item["type"] == "message"
        else {**item, **({"parsed_arguments": None} if item["type"] == "function_call" else {})}
        for item in whole(text)["output"]
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_a_response_holds_by_the_sdks_types(text: str) -> None:
    got = Response.model_validate(whole(text))
    assert got.usage is not None
    assert (got.usage.input_tokens, got.usage.total_tokens, got.usage.input_tokens_details.cached_tokens) == (5, 14, 2)
    assert (got.id, got.created_at, got.completed_at) == (response_id(JOB), 1_790_000_000, 1_790_000_009)
    assert all((item.id or "").endswith(f"_{place}") for place, item in enumerate(got.output))


def test_reasoning_text_and_calls_are_items_of_their_own() -> None:
    got = whole(f"<think>Rome?</think>I ask. {CALL}")
    assert [(item["type"], item["status"]) for item in got["output"]] == [
        ("reasoning", "completed"), ("message", "completed"), ("function_call", "completed")
    ]  # fmt: skip
    assert got["output"][0]["content"] == [{"type": "reasoning_text", "text": "Rome?"}]
    assert (got["output"][0]["summary"], got["usage"]["output_tokens_details"]) == ([], {"reasoning_tokens": 5})
    call = got["output"][2]
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Rome"})
    assert (call["id"].startswith("fc_"), call["call_id"].startswith("call_")) == (True, True)


def test_an_answer_that_was_cut_is_incomplete_and_so_is_its_last_item() -> None:
    got = whole("The capital", "length")
    assert (got["status"], got["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert got["output"][0]["status"] == "incomplete"
    assert streamed("The capital", [3], "length")[-1]["type"] == "response.incomplete"


def test_a_call_that_nothing_ended_is_not_whole() -> None:
    told = teller()
    told.more(0, [CallStarted(0, "call_1", "weather"), CallArguments(0, "{"), Content("No.")], None)
    told.ended(0, End("stop", Counts()))
    events = events_of(told.closing(Counts()))
    assert [item["status"] for item in events[-1]["response"]["output"]] == ["incomplete", "completed"]


def test_a_failure_midway_is_told_twice_and_never_looks_like_an_end() -> None:
    told = teller()
    opened = events_of(told.opening() + told.more(0, [Content("The ca")], None))
    failed, error = events_of(told.broken(JobFailed("Three workers were lost.")))
    assert [failed["sequence_number"], error["sequence_number"]] == [len(opened), len(opened) + 1]
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "server_error", "message": "Three workers were lost."}
    assert failed["response"]["output"][0]["content"][0]["text"] == "The ca"
    assert (error["type"], error["code"], error["error"]["code"]) == ("error", "job_failed", "job_failed")
    assert error["error"]["message"] == error["message"]


def test_a_coordinator_that_stops_says_nothing_of_how_the_response_ended() -> None:
    told = teller()
    told.opening()
    (error,) = events_of(told.broken(GoingAway("The coordinator restarts.")))
    assert (error["type"], error["error"]["code"]) == ("error", "restarting")


@given(st.integers(-1, 60), st.lists(st.integers(0, 200), max_size=8))
def test_who_comes_back_gets_what_comes_after_and_always_the_last(after: int, cuts: list[int]) -> None:
    text = f"<think>Rome?</think>I ask. {CALL}"
    events, rest = streamed(text, cuts), streamed(text, cuts, after=after)
    later = [event for event in events if event["sequence_number"] > after]
    assert rest == (later or [{**events[-1], "sequence_number": after + 1}])


def test_a_response_in_the_background_is_queued_first() -> None:
    told = teller(background=True)
    assert [event["type"] for event in events_of(told.opening())] == [
        "response.created", "response.queued", "response.in_progress"
    ]  # fmt: skip


@pytest.mark.parametrize("frame", [1, 2, 5, 40, 400])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hé!", "Hé!"),
        ("<think>Rome?</think>Yes.", "Yes."),
        (f"<think>a</think>So.{CALL}", "So."),
        (f"<think>R.</think>R{CALL}", "R"),
    ],
)
def test_how_likely_tokens_were_is_told_of_the_text_for_the_reader(text: str, shown: str, frame: int) -> None:
    raw = text.encode()
    told, reading = teller(include=["message.output_text.logprobs"]), answer(logprobs=True)
    said, sent = told.opening(), 0
    for start in range(0, len(raw), frame):
        ids = list(raw[start : start + frame])
        ready = len(raw[: start + frame].decode(errors="ignore"))
        heard = reading.push(text[sent:ready], ids, [Logprob(-one, [(one, -one)]) for one in ids])
        sent = ready
        said += told.more(0, heard, reading.likely() if heard else None)
    said += told.more(0, reading.finish(), None) + told.ended(0, end(reading)) + told.closing(Counts())
    events = events_of(said)
    (done,) = [event for event in events if event["type"] == "response.output_text.done"]
    assert bytes(byte for one in done["logprobs"] for byte in one["bytes"]).decode() == shown
    assert all(one["logprob"] == -one["bytes"][0] / 1e6 for one in done["logprobs"])
    assert all([top["token"] for top in one["top_logprobs"]] == [one["token"]] for one in done["logprobs"])
    deltas = [one for event in events if event["type"] == "response.output_text.delta" for one in event["logprobs"]]
    assert deltas == done["logprobs"][: len(deltas)]


def test_ids_lead_back_to_the_job_and_nothing_else_does() -> None:
    assert job_of(response_id(JOB)) == JOB
    assert job_of_item(item_id("msg", JOB, 3)) == job_of_item(item_id("msg", JOB, 3, given=True)) == JOB
    for wrong in ("", "resp_", "resp_xyz", f"msg_{JOB.hex}", f"resp_{JOB}", "resp_" + "g" * 32, f"{JOB.hex}"):
        assert job_of(wrong) is None
    for wrong in ("", "msg_1", f"resp_{JOB.hex}", f"msg_{JOB.hex}_", f"msg_{JOB.hex}_x1", f"MSG_{JOB.hex}_1"):
        assert job_of_item(wrong) is None


def test_generic_text_is_told_as_it_is() -> None:
    reading = answer(GENERIC, tools=())
    events = reading.push(CALL)
    got = teller().whole([Told([*events, *reading.finish()], CALL, end(reading))], Counts())
    assert got["output"][0]["content"][0]["text"] == CALL
