"""An answer as OpenAI tells it: the same whole or in pieces, calls and reasoning apart, logprobs once for each token."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from coordinator.answer.said import Answer, Terms
from coordinator.openai.chat import message_of
from coordinator.openai.common import likelihoods
from shared.chat.events import Content
from shared.chat.formats import GENERIC, Format
from shared.protocol.messages import Logprob

THINKS = Format("hermes", reasoning=("<think>", "</think>"))
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'


def terms(format_: Format = GENERIC, **more: Any) -> Terms:
    return Terms(format_, lambda token: bytes([token]), **more)


def told(text: str, asked: Terms, cuts: list[int] | None = None) -> tuple[dict[str, Any], str]:
    """The message and the finish reason, the text cut at these places."""
    answer, events = Answer(asked), []
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts or [])})
    for start, end in pairwise(places):
        events += answer.push(text[start:end])
    events += answer.finish()
    return message_of(events), answer.finish_reason("stop")


def test_plain_text_is_told_as_it_is() -> None:
    text = " \n<think>{" + CALL
    assert told(text, terms()) == ({"role": "assistant", "content": text, "refusal": None}, "stop")
    assert told("", terms())[0]["content"] == ""


def test_a_call_is_told_apart_and_ends_the_answer() -> None:
    message, reason = told(CALL, terms(tools=("weather",), seed="job"))
    (call,) = message["tool_calls"]
    assert (message["content"], reason, call["type"], call["function"]["name"]) == (
        None, "tool_calls", "function", "weather"
    )  # fmt: skip
    assert json.loads(call["function"]["arguments"]) == {"city": "Rome"}
    assert told(CALL, terms(tools=("other",)))[0]["content"] == CALL


def test_an_answer_that_was_cut_says_so_though_it_calls() -> None:
    answer = Answer(terms(tools=("weather",)))
    answer.push(CALL)
    answer.finish()
    assert answer.finish_reason("length") == "length"


def test_reasoning_is_kept_apart() -> None:
    message, reason = told("<think>Rome?</think>Yes.", terms(THINKS))
    assert (message["reasoning_content"], message["content"], reason) == ("Rome?", "Yes.", "stop")


@pytest.mark.parametrize("text", [CALL, f"I ask. {CALL}\n{CALL}", "<think>a</think>" + CALL, "no call {at all}"])
@given(st.lists(st.integers(0, 200), max_size=12))
def test_it_does_not_matter_how_it_was_cut(text: str, cuts: list[int]) -> None:
    asked = terms(THINKS, tools=("weather",))
    assert told(text, asked, cuts) == told(text, asked)


def test_of_every_token_it_is_told_once_how_likely_it_was() -> None:
    answer = Answer(terms(logprobs=True))
    assert answer.push("", [226], [Logprob(-5)]) == []
    assert answer.push("a", [97], [Logprob(-1_500_000, [(97, -1_500_000), (98, -2_000_000)])]) == [Content("a")]
    torn = {"token": "�", "logprob": -5e-06, "bytes": [226], "top_logprobs": []}
    tops = [{"token": "a", "logprob": -1.5, "bytes": [97]}, {"token": "b", "logprob": -2.0, "bytes": [98]}]
    whole = {"token": "a", "logprob": -1.5, "bytes": [97], "top_logprobs": tops}
    assert likelihoods(answer.likely()) == {"content": [torn, whole], "refusal": None}
    assert likelihoods(answer.likely()) == {"content": [], "refusal": None}
    silent = Answer(terms())
    silent.push("a", [97], [Logprob(-5)])
    assert likelihoods(silent.likely()) is None
