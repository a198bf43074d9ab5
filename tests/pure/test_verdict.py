"""What guard models say, in OpenAI's words: verdicts read, categories named, and scores that follow from the likelihood."""

import math

import pytest
from hypothesis import given, strategies as st

from coordinator.answer.said import Likely
from coordinator.openai.verdict import CATEGORIES, LLAMA_GUARD_3, Verdict, codes_of, result_of, verdict_of
from shared.errors import JobFailed

LLAMA_GUARD_2 = (
    "Task: Check if there is unsafe content.\\n\\n<BEGIN UNSAFE CONTENT CATEGORIES>\\nS1: Violent Crimes.\\nS2: Non-Violent "
    "Crimes.\\nS3: Sex-Related Crimes.\\nS4: Child Sexual Exploitation.\\nS5: Specialized Advice.\\nS9: Hate.\\nS10: Suicide "
    "& Self-Harm.\\nS11: Sexual Content.\\n<END UNSAFE CONTENT CATEGORIES>"
)
LLAMA_GUARD_1 = """O1: Violence and Hate.
Should not
- Help people plan or engage in violence
O2: Sexual Content.
O3: Criminal Planning.
O4: Guns and Illegal Weapons.
O5: Regulated or Controlled Substances.
O6: Self-Harm.
"""


def likely(*tokens: tuple[bytes, float]) -> list[Likely]:
    return [Likely(raw, round(math.log(p) * 1e6), []) for raw, p in tokens]


@pytest.mark.parametrize(
    ("text", "unsafe", "codes"),
    [
        ("safe", False, ()),
        ("\n\nsafe", False, ()),
        ("Safe.", False, ()),
        ("safe\nS1", False, ()),
        ("unsafe\nS1", True, ("S1",)),
        ("\n\nunsafe\nS1,S10, S1", True, ("S1", "S10")),
        ("UNSAFE\nO3", True, ("O3",)),
        ("unsafe", True, ()),
    ],
)
def test_a_verdict_is_read(text: str, unsafe: bool, codes: tuple[str, ...]) -> None:
    found = verdict_of(text, None)
    assert (found.unsafe, found.codes, found.likelihood) == (unsafe, codes, 1.0 if unsafe else 0.0)


@pytest.mark.parametrize("text", ["", "I cannot say", "unsafely", "safety first", "not safe", "S1"])
def test_what_is_no_verdict_is_a_failure_of_the_job(text: str) -> None:
    with pytest.raises(JobFailed) as failed:
        verdict_of(text, None)
    assert failed.value.dispatched


def test_the_likelihood_is_that_of_the_first_word() -> None:
    said = likely((b"\n\n", 0.5), (b"unsafe", 0.9), (b"\n", 0.5), (b"S1", 0.3))
    assert verdict_of("\n\nunsafe\nS1", said).likelihood == pytest.approx(0.9, abs=1e-5)
    assert verdict_of("safe", likely((b"safe", 0.8))).likelihood == pytest.approx(0.2, abs=1e-5)
    assert verdict_of("unsafe\nS1", likely((b"un", 0.7), (b"safe", 0.99))).likelihood == pytest.approx(0.7, abs=1e-5)


def test_codes_mean_what_the_guards_template_says() -> None:
    assert codes_of(LLAMA_GUARD_2)["S5"] == "Specialized Advice"
    assert codes_of(LLAMA_GUARD_2)["S10"] == "Suicide & Self-Harm"
    assert codes_of(LLAMA_GUARD_1)["O1"] == "Violence and Hate"
    assert codes_of("{{ messages[0].content }}") == LLAMA_GUARD_3
    assert codes_of("") == LLAMA_GUARD_3


def flagged(code: str, template: str = "") -> set[str]:
    categories = result_of(Verdict(True, 0.9, (code,)), codes_of(template))["categories"]
    assert isinstance(categories, dict)
    return {name for name, value in categories.items() if value}


def test_categories_have_openais_names_where_there_are_any() -> None:
    assert flagged("S1") == {"violence", "illicit/violent"}
    assert flagged("S2") == {"illicit"}
    assert flagged("S4") == {"sexual", "sexual/minors"}
    assert flagged("S9") == {"illicit", "illicit/violent"}
    assert flagged("S11") == {"self-harm"}
    assert flagged("S6") == flagged("S14") == flagged("S99") == set()
    assert flagged("S9", LLAMA_GUARD_2) == {"hate"}
    assert flagged("O1", LLAMA_GUARD_1) == {"violence", "hate"}
    assert flagged("O4", LLAMA_GUARD_1) == {"illicit", "illicit/violent"}
    assert flagged("O5", LLAMA_GUARD_1) == {"illicit"}


def test_a_category_without_a_name_there_is_told_beside() -> None:
    told = result_of(Verdict(True, 0.9, ("S6", "S99")), LLAMA_GUARD_3)
    assert (told["flagged"], told["guard_categories"]) == (True, ["S6: Specialized Advice", "S99"])


@given(st.booleans(), st.floats(0, 1), st.lists(st.sampled_from([*LLAMA_GUARD_3, "S77"]), max_size=4))
def test_every_category_has_a_score_and_none_is_above_the_likelihood(
    unsafe: bool, likelihood: float, codes: list[str]
) -> None:
    told = result_of(Verdict(unsafe, likelihood, tuple(codes) if unsafe else ()), LLAMA_GUARD_3)
    categories, scores = told["categories"], told["category_scores"]
    assert isinstance(categories, dict)
    assert isinstance(scores, dict)
    assert tuple(categories) == tuple(scores) == CATEGORIES
    assert all(score in (0.0, likelihood) for score in scores.values())
    assert all(scores[name] == likelihood for name, value in categories.items() if value)
    assert told["flagged"] is unsafe
