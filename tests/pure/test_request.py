"""From bodies to the one request: what is read, what is refused, and by which name."""

import contextlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from coordinator.api import job_body
from coordinator.api.job_body import JobBody
from coordinator.api.jobs import cursor_of, read_cursor
from coordinator.openai import chat as chat_face
from coordinator.openai.chat import ChatBody
from coordinator.submit.placement import Placement, asked_by_headers, placement
from coordinator.submit.request import Submission, sampling, seed_text, stops
from shared.canonical import canonical
from shared.errors import RequestError
from shared.protocol.messages import Sampling

HELLO = [{"role": "user", "content": "hello"}]


def chat(**fields: Any) -> Submission:
    raw = msgspec.json.encode({"model": "m", "messages": HELLO, **fields})
    return chat_face.submission(msgspec.json.decode(raw, type=ChatBody), lambda _: None)


def job(**fields: Any) -> Submission:
    raw = msgspec.json.encode({"model_id": "m", **fields})
    return job_body.submission(msgspec.json.decode(raw, type=JobBody), lambda _: None)


def refused(**fields: Any) -> tuple[str, str | None]:
    with pytest.raises(RequestError) as caught:
        chat(**fields)
    return caught.value.code, caught.value.param


def test_of_a_tool_call_only_what_can_be_signed_goes_on() -> None:
    call = {"id": "1", "index": 0.5, "é": 1, "function": {"name": "f", "arguments": '{"x": 1.5}', "more": {"y": 2.5}}}
    made = chat(messages=[{"role": "assistant", "content": None, "tool_calls": [call]}, *HELLO])
    assert canonical(msgspec.to_builtins(made.request))
    assert made.request.messages is not None
    function = {"name": "f", "arguments": '{"x": 1.5}'}
    assert made.request.messages[0].tool_calls == [{"id": "1", "type": "function", "function": function}]
    for wrong in ({"a": 1.5}, {"function": {"name": "f", "arguments": {"x": 1.5}}}):
        with pytest.raises(msgspec.ValidationError):
            chat(messages=[{"role": "assistant", "tool_calls": [wrong]}])


def test_defaults_are_the_contracts() -> None:
    made = chat()
    assert made.request.sampling == Sampling(
        temperature=1_000_000, top_p=1_000_000, top_k=0, min_p=0, repetition_penalty=1_000_000
    )
    assert (made.max_tokens, made.seed, made.attached, made.source) == (None, None, True, "v1")


@given(st.floats(0, 2), st.floats(0, 1), st.floats(-2, 2))
def test_sampling_is_in_millionths(temperature: float, top_p: float, penalty: float) -> None:
    made = sampling(temperature=temperature, top_p=top_p, presence_penalty=penalty)
    assert abs(made.temperature - temperature * 1e6) <= 0.5
    assert abs(made.top_p - top_p * 1e6) <= 0.5
    assert abs(made.presence_penalty - penalty * 1e6) <= 0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("top_p", 1.5),
        ("min_p", -1),
        ("top_k", -2),
        ("presence_penalty", 3),
        ("frequency_penalty", -3),
        ("repetition_penalty", 0),
        ("max_tokens", 0),
        ("max_completion_tokens", -1),
        ("n", 0),
        ("seed", "s" * 201),
        ("seed", "\0"),
        ("stop", ["x"] * 65),
    ],
)
def test_out_of_range_is_named(field: str, value: Any) -> None:
    assert refused(**{field: value}) == ("invalid_request", field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("functions", [{}]),
        ("modalities", ["text", "audio"]),
        ("callback_url", "https://x"),
        ("redundancy", 2),
        ("verify", "before_delivery"),
        ("privacy", "sealed"),
    ],
)
def test_what_would_change_the_meaning_is_refused(field: str, value: Any) -> None:
    assert refused(**{field: value}) == ("unsupported_parameter", field)


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "logit_bias": {}, "tools": [], "response_format": {"type": "text"}},
        {"tools": [{}], "tool_choice": "none", "modalities": ["text"], "redundancy": 1, "privacy": "standard"},
        {"user": 1, "metadata": {}, "store": True, "reasoning_effort": "high", "models": ["a"], "provider": {}},
    ],
)
def test_what_changes_nothing_is_accepted(fields: dict[str, Any]) -> None:
    assert chat(**fields).request == chat().request


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def test_the_form_of_an_answer_is_kept_as_json_text() -> None:
    made = chat(tools=[WEATHER], tool_choice="required", parallel_tool_calls=False).request
    assert (msgspec.json.decode(made.tools or ""), made.tool_choice) == ([WEATHER], '"required"')
    assert not made.parallel_tool_calls
    named = {"type": "function", "function": {"name": "weather"}}
    assert msgspec.json.decode(chat(tools=[WEATHER], tool_choice=named).request.tool_choice or "") == named
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True}}
    for wanted in (schema, {"type": "json_object"}):
        for request in (chat(response_format=wanted).request, job(prompt="x", response_format=wanted).request):
            assert msgspec.json.decode(request.response_format or "") == wanted
            assert canonical(msgspec.to_builtins(request))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
    ],
)
def test_a_form_that_is_none_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields) == ("invalid_request", param)


def test_logprobs_are_how_many_alternatives_to_tell() -> None:
    asked: list[dict[str, Any]] = [{}, {"logprobs": False}, {"logprobs": True}, {"logprobs": True, "top_logprobs": 20}]
    assert [chat(**fields).request.logprobs for fields in asked] == [None, None, 0, 20]


def test_tools_go_through_the_template() -> None:
    assert job(prompt="x", tools=[WEATHER], tool_choice="required").request.tool_choice == '"required"'
    with pytest.raises(RequestError) as caught:
        job(prompt="x", raw=True, tools=[WEATHER])
    assert caught.value.param == "tools"


def test_biases_are_in_millionths_and_name_tokens() -> None:
    assert chat(logit_bias={"05": 1.5, "7": -100, "9": 0}).request.logit_bias == {"5": 1_500_000, "7": -100_000_000}
    assert job(prompt="x", logit_bias={"5": 1}).request.logit_bias == {"5": 1_000_000}
    for wrong in ({"x": 1}, {"-1": 1}, {"5": 101}, {"1" * 10: 1}, {str(n): 1 for n in range(1025)}):
        assert refused(logit_bias=wrong) == ("invalid_request", "logit_bias")


def test_whose_workers_and_how_they_can_be_checked_are_part_of_the_place() -> None:
    assert (chat().placement.own, chat().placement.seeded) == (False, False)
    assert chat(owner="me", verifiability="seeded").placement == Placement(own=True, seeded=True)
    assert chat(verifiability="weak").placement == Placement()
    headers = {"x-hive-owner": "me", "x-hive-verifiability": "Seeded"}
    assert placement([asked_by_headers(headers.get)]) == Placement(own=True, seeded=True)
    assert refused(owner="you") == ("invalid_request", "owner")
    assert refused(verifiability="strong") == ("invalid_request", "verifiability")


def test_roles_and_parts() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    made = chat(messages=[{"role": "developer", "content": "be kind"}, {"role": "user", "content": parts}])
    assert made.request.messages is not None
    assert [(m.role, m.content) for m in made.request.messages] == [("system", "be kind"), ("user", "one\ntwo")]
    assert refused(messages=[{"role": "robot", "content": "x"}]) == ("invalid_request", "messages[0].role")
    assert refused(messages=[{"role": "user"}]) == ("invalid_request", "messages[0].content")
    assert refused(messages=[]) == ("invalid_request", "messages")


def test_max_completion_tokens_goes_first() -> None:
    assert chat(max_tokens=5, max_completion_tokens=7).max_tokens == 7
    assert chat(max_tokens=5, max_completion_tokens=None).max_tokens == 5


def test_stops_and_seeds() -> None:
    assert (stops("x"), stops(["a", "", "b"]), stops(None)) == (["x"], ["a", "b"], [])
    assert (seed_text(7), seed_text("7"), seed_text(None)) == ("7", "7", None)


def test_a_job_takes_a_prompt_or_messages() -> None:
    assert job(prompt="hi").request == job(messages=[{"role": "user", "content": "hi"}]).request
    raw = job(prompt="hi", raw=True).request
    assert (raw.prompt, raw.messages) == ("hi", None)
    for fields in ({}, {"prompt": "a", "messages": HELLO}, {"messages": HELLO, "raw": True}):
        with pytest.raises(RequestError):
            job(**fields)


@pytest.mark.parametrize(("gns", "stroops"), [(0, 0), (0.01, 100_000), ("1.0000001", 10_000_001), (None, None)])
def test_a_reward_is_exact(gns: Any, stroops: int | None) -> None:
    assert job(prompt="x", gns_reward=gns).reward == stroops


@pytest.mark.parametrize("gns", ["-1", "0.00000001", "1e999999999", "1e-999999999", "NaN", "1e20"])
def test_a_reward_that_is_no_amount_is_refused(gns: str) -> None:
    with pytest.raises(RequestError) as caught:
        job(prompt="x", gns_reward=Decimal(gns))
    assert caught.value.param == "gns_reward"


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with contextlib.suppress(RequestError):
        at, _ = read_cursor(text)
        assert at.tzinfo is not None


def test_a_cursor_goes_there_and_back() -> None:
    at, job_id = datetime(2026, 11, 21, 1, 2, 3, 45, tzinfo=UTC), UUID(int=9)
    assert read_cursor(cursor_of(at, job_id)) == (at, job_id)
