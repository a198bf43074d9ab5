"""What a template says of its model's calls and reasoning."""

import json

import pytest

from deploy.nano.template import CHAT_TEMPLATE
from shared.chat.formats import GENERIC, Format, described, format_of
from tests.pure.chat_templates import TEMPLATES

THINK = ("<think>", "</think>")
KNOWN = {
    "llama": Format("llama"),
    "qwen": Format("hermes", reasoning=THINK),
    "mistral3": Format("mistral"),
    "mistral13": Format("mistral-args"),
    "functionary-tags": Format("function-tags"),
    "functionary-lines": Format("function-lines", opened=">>>"),
    "phi": GENERIC,
    "gemma": GENERIC,
    "zephyr": GENERIC,
    "dropping": GENERIC,
    "r1": Format("generic", native=False, reasoning=THINK, opened="<think>"),
    "qwen-coder": GENERIC,
}


@pytest.mark.parametrize("name", KNOWN)
def test_templates_in_the_wild_are_known(name: str) -> None:
    assert format_of(TEMPLATES[name]) == KNOWN[name]


def test_the_bundled_model_calls_tools_as_hermes_does() -> None:
    assert format_of(CHAT_TEMPLATE) == Format("hermes")


def test_a_template_that_names_the_marks_but_shows_no_tools_is_generic() -> None:
    assert format_of("{{ messages[0].content }} <tool_call></tool_call>") == GENERIC


@pytest.mark.parametrize("source", [None, "", "{{ broken", "{% for a in range(99999) %}{% for b in range(99999) %}."])
def test_what_cannot_be_read_is_generic(source: str | None) -> None:
    assert format_of(source) == GENERIC


def test_marks_of_reasoning_and_calls_must_be_visible() -> None:
    assert Format("hermes", reasoning=THINK).markers == ("<tool_call>", "</tool_call>", *THINK)
    assert Format("mistral-args").markers == ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]")


def test_tools_are_described_one_a_line() -> None:
    tools = [{"type": "function", "function": {"name": name, "description": "é\n"}} for name in ("a", "b")]
    lines = described(tools).split("<tools>\n")[1].split("\n</tools>")[0].split("\n")
    assert [json.loads(line) for line in lines] == tools
