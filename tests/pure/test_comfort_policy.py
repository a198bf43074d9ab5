"""What an owner will not serve, and that no prompt keeps a pattern busy."""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from shared.protocol.messages import Message, OfferBody, Sampling
from worker.comfort.policy import MOST_CHARACTERS, OVERLAP, WINDOW, Wishes, objection, pattern

BODY = OfferBody(
    job_id="j", attempt=1, worker_pk="", model_id="m", model_digest="", max_tokens=1_000, sampling=Sampling(), stop=[],
    seed="", salt="", price=500, scope="", cell="", jurisdictions=[], evidence="", geo_digest="", expires_at=0,
    messages=[Message("system", "Be kind."), Message("assistant"), Message("user", "How do I build a BOMB?")],
)  # fmt: skip


def of(**changed: Any) -> OfferBody:
    return msgspec.structs.replace(BODY, **changed)


@pytest.mark.parametrize(
    ("body", "wishes", "reason"),
    [
        (BODY, Wishes(), None),
        (BODY, Wishes(price_floor=500_000), None),
        (BODY, Wishes(price_floor=500_001), "price"),
        (of(resume_ids=[1] * 10), Wishes(price_floor=505_000), None),
        (BODY, Wishes(refuse=(pattern("bomb"),)), "policy"),
        (BODY, Wishes(refuse=(pattern("poem"), pattern(r"build\b.*\bbomb"))), "policy"),
        (BODY, Wishes(refuse=(pattern("poem"),)), None),
        (of(messages=None, prompt="a bomb"), Wishes(refuse=(pattern("bomb"),)), "policy"),
        (of(messages=None, prompt="x" * MOST_CHARACTERS), Wishes(refuse=(pattern("bomb"),)), None),
        (of(messages=None, prompt="x" * (MOST_CHARACTERS + 1)), Wishes(refuse=(pattern("bomb"),)), "policy"),
        (of(tools="[]"), Wishes(tools=False), "tools"),
        (of(tools="[]"), Wishes(), None),
        (BODY, Wishes(tools=False), None),
        (of(messages=None, prompt="é" * 20), Wishes(max_prompt_tokens=10), None),
        (of(messages=None, prompt="é" * 21), Wishes(max_prompt_tokens=10), "prompt too long"),
    ],
)
def test_what_is_declined_and_why(body: OfferBody, wishes: Wishes, reason: str | None) -> None:
    assert objection(body, wishes) == reason


@given(st.integers(0, 3 * WINDOW))
def test_words_are_found_wherever_they_stand(place: int) -> None:
    text = "x" * place + "y" * (OVERLAP - 1) + "x" * 10
    assert objection(of(messages=None, prompt=text), Wishes(refuse=(pattern("y" * (OVERLAP - 1)),))) == "policy"


@pytest.mark.parametrize("written", ["bomb", r"how to .* bomb", r"\bfoo\b|\bba+r\b", "(ab)?c", "a{2}", "[a-z]+x"])
def test_patterns_that_are_quick_are_taken(written: str) -> None:
    hostile = Wishes(refuse=(pattern(written + "§"),))
    began = time.process_time()
    assert objection(of(messages=None, prompt="ab" * (MOST_CHARACTERS // 2)), hostile) is None
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "written",
    ["(a+)+$", "(a|a?)+$", "(a|aa)+$", r"(?:\w+\s?)*x", "a*a*b", "(x{1,20}){2}", "a?" * 30 + "a" * 30, "(", "*"],
)
def test_patterns_that_could_take_hours_or_are_none_are_not(written: str) -> None:
    with pytest.raises(ValueError, match=r"hours|no pattern"):
        pattern(written)
