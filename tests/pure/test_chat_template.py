"""Templates of the families in the wild, with what each insists on; and templates by strangers, within bounds."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from shared.chat import budget
from shared.chat.formats import described, format_of
from shared.chat.template import ChatTemplate, TemplateError
from shared.chat.turns import told_in_words
from tests.pure.chat_templates import TEMPLATES

SYSTEM = {"role": "system", "content": "Be kind."}
USER = {"role": "user", "content": "What's the weather?"}
CALL = {
    "id": "call_0123456789abcdef",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Pâris"}'},
}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": '"rain"', "tool_call_id": CALL["id"], "name": "weather"}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tells the weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def rendered(name: str, messages: list[Any], tools: list[dict[str, Any]] | None = None, **options: Any) -> str:
    """As the vocabulary does it."""
    template = ChatTemplate(TEMPLATES[name], "<s>", "</s>")
    if not format_of(TEMPLATES[name]).native:
        messages, tools = told_in_words(messages, tools or ()), None
    return template.render(messages, tools=tools, **options)


@pytest.mark.parametrize("name", TEMPLATES)
def test_system_and_user_are_shown_in_their_order(name: str) -> None:
    text = rendered(name, [SYSTEM, USER])
    assert text.index("Be kind.") < text.index("What's the weather?")
    assert rendered(name, [{"role": "developer", "content": "Be kind."}, USER]) == text


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_conversation_with_tools_shows_tools_calls_and_results(name: str) -> None:
    text = rendered(name, [SYSTEM, USER, CALLING, RESULT], TOOLS)
    shown = ["Tells the weather", "Pâris", "rain"]
    if name != "mistral3":  # which tells the system's words only when a user speaks last
        shown.append("Be kind.")
    assert [word for word in shown if word not in text] == []
    assert '{"city": "Pâris"}' in text
    assert text.index("Pâris") < text.index("rain")


@pytest.mark.parametrize("name", TEMPLATES)
def test_two_users_in_a_row_and_a_system_in_the_middle(name: str) -> None:
    text = rendered(name, [USER, {"role": "user", "content": "Well?"}, {"role": "system", "content": "Hurry."}])
    assert "What's the weather?" in text
    assert "Well?" in text
    assert "Hurry." in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_prompt_goes_where_the_answer_begins(name: str) -> None:
    assert rendered(name, [USER]).startswith(rendered(name, [USER], add_generation_prompt=False).removesuffix("</s>"))


def test_a_system_message_that_is_refused_goes_into_the_first_user_message() -> None:
    text = rendered("gemma", [SYSTEM, USER])
    assert text == "<s><start_of_turn>user\nBe kind.\n\nWhat's the weather?<end_of_turn>\n<start_of_turn>model\n"
    assert rendered("dropping", [SYSTEM, USER]) == "[INST] Be kind.\n\nWhat's the weather? [/INST]"


def test_a_system_message_that_is_taken_stays_one() -> None:
    assert rendered("zephyr", [SYSTEM, USER]).startswith("<|system|>\nBe kind.</s>\n")
    assert rendered("qwen", [SYSTEM, USER]).startswith("<|im_start|>system\nBe kind.<|im_end|>")


def test_what_no_way_fits_is_refused_with_the_templates_words() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        rendered("gemma", [{"role": "assistant", "content": "I begin."}])
    with pytest.raises(TemplateError, match="only supports single tool-calls"):
        rendered("llama", [USER, CALLING | {"tool_calls": [CALL, CALL]}], TOOLS)


def test_ids_of_mistrals_calls_have_nine_letters_and_fit_their_results() -> None:
    text = rendered("mistral3", [USER, CALLING, RESULT], TOOLS)
    id_ = text.split('"id": "')[1].split('"')[0]
    assert len(id_) == 9
    assert f'"call_id": "{id_}"' in text
    nine = CALLING | {"tool_calls": [CALL | {"id": "abcDEF123"}]}
    assert '"id": "abcDEF123"' in rendered("mistral3", [USER, nine, RESULT | {"tool_call_id": "abcDEF123"}], TOOLS)


def test_today_is_told_only_by_who_knows_it() -> None:
    assert "Today Date: 26 Jul 2024" in rendered("llama", [USER])
    assert "Today Date: 05 Mar 2031" in rendered("llama", [USER], now=datetime(2031, 3, 5, tzinfo=UTC))
    assert ChatTemplate("{{ strftime_now('%Y') }}").render([USER]) == "2024"


def test_tools_in_words_for_templates_that_know_none() -> None:
    text = rendered("phi", [SYSTEM, USER, CALLING, RESULT], TOOLS)
    assert text.startswith(f"<|system|>\nBe kind.\n\n{described(TOOLS)}<|end|>")
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Pâris"}}\n</tool_call>' in text
    assert '<|user|>\n<tool_response>\n"rain"\n</tool_response>' in text
    assert described(TOOLS) in rendered("gemma", [USER], TOOLS)


def test_json_as_transformers_writes_it() -> None:
    source = "{{ messages[0].content | tojson }}|{{ {'b': ['<é'], 'a': 1} | tojson(indent=2, separators=(',', ':')) }}"
    text = ChatTemplate(source).render([{"role": "user", "content": "'<é\n"}])
    assert text == '"\'<é\\n"|{\n  "b":[\n    "<é"\n  ],\n  "a":1\n}'
    assert ChatTemplate("{{ {'b': 'é', 'a': 1} | tojson(ensure_ascii=True, sort_keys=true) }}").render([]) == (
        '{"a": 1, "b": "\\u00e9"}'
    )


def test_generation_marks_are_only_their_inside() -> None:
    source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert ChatTemplate(source).render([USER]) == USER["content"]


@pytest.mark.parametrize(
    "source", ["{{", "{% for %}", "{{ x | nofilter }}", "{% include 'x' %}", "x" * (1 << 19), "(" * 9]
)
def test_a_template_that_cannot_be_read_is_an_error_at_once_or_when_used(source: str) -> None:
    if source == "(" * 9:
        assert ChatTemplate(source).render([USER]) == source
        return
    with pytest.raises(TemplateError):
        ChatTemplate(source).render([USER])


NS = "{% set ns = namespace(s='aa', l=[], n=2) %}"
HOSTILE = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(10**9) %}{% endfor %}",
    "{% for a in range(99999) if false %}{% for b in range(9) %}{% endfor %}{% else %}{{ 'a' * 10**10 }}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ ('a' * 10**6) * 10**6 }}",
    "{{ [0] * 10**9 }}",
    "{{ 10 ** (10 ** 10) }}",
    NS + "{% for i in range(40) %}{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
    NS + "{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    NS + "{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    NS + "{% for i in range(60) %}{% set ns.s = ns.s.replace('a', 'aa') %}{% endfor %}",
    NS + "{% for i in range(60) %}{% set ns.s = ns.s|replace('a', 'aa') %}{% endfor %}",
    NS + "{% for i in range(60) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}",
    NS + "{% for i in range(60) %}{% set ns.s = ns.s.join(['a', 'a', 'a']) %}{% endfor %}",
    "{% set x = 'a' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 60,
    NS + "{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
    NS + "{% for i in range(60) %}{% set ns.l = {'a': ns.l, 'b': ns.l} %}{% endfor %}{{ ns.l | tojson }}",
    NS + "{% for i in range(60) %}{% set ns.l = ns.l + [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l }}",
    NS + "{% for i in range(60) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ ns.l | string }}",
    NS + "{% for i in range(60) %}{% set ns.l = dict(a=ns.l, b=ns.l) %}{% endfor %}{{ ns.l | length }}",
    NS + "{% for i in range(9) %}{% set ns.s = ns.s | indent(10**9, true) %}{% endfor %}",
    "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% macro f(n) %}{{ n }}{{ n }}{% endmacro %}" + "{{ " + "f(" * 60 + "'a'" + ")" * 60 + " }}",
    "{% set x %}{% for i in range(99999) %}" + "a" * 9999 + "{% endfor %}{% endset %}",
    "{% for i in range(99999) %}" + "a" * 9999 + "{% endfor %}",
    "{% for i in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "{{ 'a'.ljust(10**9) }}",
    "{{ 'a' | center(10**9) }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '{:999999999d}'.format(1) }}",
    "{{ (1).to_bytes(10**9, 'big') }}",
    "{{ lipsum(10**6) }}",
    "{{ messages.__class__.__mro__ }}",
    "{{ namespace }}",
    "{{ messages.append(1) }}",
    "{{ environment.tick }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{% if 1 %}" * 3000,
    "{% for a in [1] %}" * 60 + "{% endfor %}" * 60,
    "{{ " + "-" * 20000 + "1 }}",
    "{{ a" + ".b" * 20000 + " }}",
    "{{ 1" + " + 1" * 20000 + " }}",
]


@pytest.fixture(autouse=True)
def _a_short_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_SECONDS", 0.5)


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_template_is_stopped(source: str) -> None:
    before = time.thread_time()
    with pytest.raises(TemplateError):
        ChatTemplate(source).render([USER])
    assert time.thread_time() - before < 5


@pytest.mark.parametrize(
    "name", ["''.__class__", "raise_exception.__globals__", "self._TemplateReference__context", "nothing"]
)
def test_what_is_no_data_is_not_there(name: str) -> None:
    assert ChatTemplate(f"{{{{ {name} }}}}").render([USER]) == ""


WORDS = st.sampled_from(
    [
        *(
            "{{ ",
            " }}",
            "{% ",
            " %}",
            "{%- ",
            "for m in messages",
            "endfor",
            "if ",
            "else",
            "endif",
            "set x = ",
            "endset",
        ),
        *(
            "namespace(a=1)",
            "m",
            "x",
            "messages",
            ".content",
            "['role']",
            "[0]",
            "[1:]",
            "|trim",
            "|tojson",
            "|join",
            "~",
        ),
        *(
            "range(99999)",
            "'text'",
            "10**9",
            " * ",
            " + ",
            " == ",
            " is defined",
            "loop.index0",
            "macro f(x)",
            "endmacro",
        ),
        *(
            "f(",
            ")",
            "(",
            "raise_exception('no')",
            ".split('a')",
            "tools",
            "\n",
            "text",
            "{#",
            "#}",
            "generation",
            "break",
        ),
    ]
)
ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
MESSAGES = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant", "tool", "x"]), "content": st.text()}
        ),
        st.just(CALLING),
        st.dictionaries(st.sampled_from(["role", "content", "name", "tool_calls", "tool_call_id"]), ANY),
    ),
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(WORDS, max_size=15).map("".join), st.sampled_from([*TEMPLATES.values()])), MESSAGES)
def test_any_template_with_any_messages_is_text_or_an_error(source: str, messages: list[Any]) -> None:
    try:
        text = ChatTemplate(source).render(messages, tools=TOOLS)
    except TemplateError:
        return
    assert isinstance(text, str)
    assert told_in_words(messages, TOOLS)


@pytest.mark.parametrize("calls", [7, [None], [{"function": {}}], [{"name": "x"}]])
def test_calls_of_another_shape_are_refused(calls: Any) -> None:
    with pytest.raises(TemplateError, match="tool_calls"):
        rendered("qwen", [{"role": "assistant", "tool_calls": calls}])
