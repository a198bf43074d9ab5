"""Answers of each style taken apart, however they are cut, torn or hostile."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from shared.chat.events import CallArguments, CallEnded, CallStarted, Content, Event, Reasoning, call_id, merged
from shared.chat.formats import Format, Style
from shared.chat.parser import Parser
from shared.chat.reader import MAX_CALL

TOOLS = ("get_weather", "add")
PARIS = '{"city": "Par\\"is", "days": [1, 2.5e3, null]}'
THINKS = ("<think>", "</think>")
HERMES = Format("hermes", reasoning=THINKS)
STYLES: tuple[Style, ...] = (
    "hermes",
    "llama",
    "mistral",
    "mistral-args",
    "function-tags",
    "function-lines",
    "generic",
)


def parsed(format_: Format, pieces: Sequence[str], **options: Any) -> list[Event]:
    parser = Parser(format_, TOOLS, seed="job", **options)
    events = [event for piece in pieces for event in parser.push(piece)]
    return merged([*events, *parser.finish()])


def told(format_: Format, text: str, **options: Any) -> tuple[str, str, list[tuple[str, str]]]:
    """Content, reasoning, and the calls as (name, arguments)."""
    events = parsed(format_, [text], **options)
    names = [event.name for event in events if isinstance(event, CallStarted)]
    arguments = {event.index: event.text for event in events if isinstance(event, CallArguments)}
    content = "".join(event.text for event in events if isinstance(event, Content))
    reasoning = "".join(event.text for event in events if isinstance(event, Reasoning))
    return content, reasoning, [(name, arguments[i]) for i, name in enumerate(names)]


ADD = '{"name": "add", "arguments": {"a":1}}'
ADD_HERMES = '<tool_call>{"id": "x", "name": "add", "arguments": {"a":1}}</tool_call>'
ONE = ("get_weather", PARIS)
TWO = [ONE, ("add", '{"a":1}')]
CALLS: list[tuple[Style, str, list[tuple[str, str]]]] = [
    ("hermes", f'<tool_call>\n{{"name": "get_weather", "arguments": {PARIS}}}\n</tool_call>', [ONE]),
    ("hermes", f'<tool_call>{{"arguments": {PARIS}, "name": "get_weather"}}', [ONE]),
    (
        "hermes",
        f'<tool_call>{{"name": "get_weather", "arguments": {PARIS}}}</tool_call>\n{ADD_HERMES}\n',
        TWO,
    ),
    ("hermes", '<tool_call>{"name": "add", "arguments": "{\\"a\\":1}"}</tool_call>', [TWO[1]]),
    ("hermes", '<tool_call>{"name": "add", "arguments": null}</tool_call>', [("add", "{}")]),
    ("llama", f'<|python_tag|>{{"name": "get_weather", "parameters": {PARIS}}}', [ONE]),
    ("llama", f'\n{{"type": "function", "name": "get_weather", "parameters": {PARIS}}}', [ONE]),
    ("llama", f'{{"name":"get_weather","parameters":{PARIS}}}; {{"name":"add","parameters":{{"a":1}}}}', TWO),
    (
        "mistral",
        f'[TOOL_CALLS][{{"name": "get_weather", "arguments": {PARIS}, "id": "abcdefghi"}}, {ADD}]',
        TWO,
    ),
    ("mistral", f'[TOOL_CALLS] {{"name": "get_weather", "arguments": {PARIS}}}', [ONE]),
    ("mistral-args", f'[TOOL_CALLS]get_weather[ARGS]{PARIS}[TOOL_CALLS]add[CALL_ID]q1[ARGS]{{"a":1}}', TWO),
    ("function-tags", f'<function=get_weather>{PARIS}</function>\n<function=add>{{"a":1}}</function>', TWO),
    ("function-lines", f'>>>get_weather\n{PARIS}\n>>>add\n{{"a":1}}', TWO),
    ("generic", f'<tool_call>{{"name": "get_weather", "arguments": {PARIS}}}</tool_call>', [ONE]),
    ("generic", f'{{"name": "get_weather", "parameters": {PARIS}}}', [ONE]),
]


@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize(("style", "text", "calls"), CALLS)
def test_calls_of_each_style(style: Style, text: str, calls: list[tuple[str, str]], hold: bool) -> None:
    assert told(Format(style), text, hold=hold) == ("", "", calls)


@pytest.mark.parametrize(("style", "text", "calls"), CALLS)
def test_cut_at_every_character_it_is_the_same(style: Style, text: str, calls: list[tuple[str, str]]) -> None:
    for hold in (True, False):
        assert parsed(Format(style), list(text), hold=hold) == parsed(Format(style), [text], hold=hold)


@pytest.mark.parametrize(("style", "text", "calls"), CALLS)
def test_torn_anywhere_every_call_is_whole_or_content(style: Style, text: str, calls: list[tuple[str, str]]) -> None:
    for end in range(len(text)):
        content, _, found = told(Format(style), text[:end])
        assert found == calls[: len(found)]
        assert found or content.strip() == text[:end].strip()


@pytest.mark.parametrize(("style", "text", "calls"), CALLS)
def test_words_around_calls_stay(style: Style, text: str, calls: list[tuple[str, str]]) -> None:
    if not text.lstrip().startswith("{"):
        after = ">>>all\n" if style == "function-lines" else ""
        content, _, found = told(Format(style), f"I look. {text} {after}Done.")
        assert (content.split(), found) == (["I", "look.", "Done."], calls)


def test_arguments_come_while_they_are_written() -> None:
    parser = Parser(HERMES, TOOLS, seed="job", hold=False)
    assert parser.push('<tool_call>{"name": "add", "arguments": {"a": ') == [
        CallStarted(0, call_id("job", 0), "add"),
        CallArguments(0, '{"a": '),
    ]
    assert parser.push('"long te') == [CallArguments(0, '"long te')]
    assert parser.push('xt"}') == [CallArguments(0, 'xt"}')]
    assert parser.push("}") == [CallEnded(0)]
    assert parser.push("</tool_call>") == []
    assert parser.finish() == []


def test_a_call_torn_while_it_is_told_lacks_its_end_and_what_follows_is_content() -> None:
    text = '<tool_call>{"name": "add", "arguments": {"a": @}} and on'
    assert parsed(HERMES, [text], hold=False) == [
        CallStarted(0, call_id("job", 0), "add"),
        CallArguments(0, '{"a": '),
        Content("@}} and on"),
    ]


NO_CALLS: list[tuple[Style, str]] = [
    ("hermes", '<tool_call>{"name": "rm", "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add"}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": [1]}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": {"a": 01}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": {"a": NaN}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": {"a": "\n"}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": {"a": "\\u12g4"}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": {"a": 1,}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "name": "add", "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": "no object"}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": {}, "and": 1}</tool_call>'),
    ("hermes", '<tool_call>{"name": "add", "arguments": {' + '"a":[' * 200),
    ("hermes", "a < b and <tool_ and </tool_call>"),
    ("llama", '{"name": "Bob", "parameters": {}}'),
    ("llama", 'Here: {"name": "add", "parameters": {}}'),
    ("llama", '<|python_tag|>brave_search.call(query="x")'),
    ("mistral", "[TOOL_CALLS] are what I write"),
    ("mistral-args", "[TOOL_CALLS]add[CALL_ID]x{}"),
    ("function-tags", "<function=add>{}x"),
    ("function-lines", ">>>rm\n{}"),
    ("generic", '{"answer": 42}'),
    ("generic", " \n "),
]


@pytest.mark.parametrize(("style", "text"), NO_CALLS)
def test_what_is_no_well_formed_call_is_content(style: Style, text: str) -> None:
    content, _, calls = told(Format(style), text)
    if text == "<function=add>{}x":
        assert (content, calls) == ("x", [("add", "{}")])
    else:
        assert (content, calls) == (text, [])


def test_a_bad_call_does_not_hide_the_good_one_in_it() -> None:
    text = '<tool_call>oops <tool_call>{"name": "add", "arguments": {}}</tool_call>'
    assert told(HERMES, text) == ("<tool_call>oops ", "", [("add", "{}")])
    text = '[TOOL_CALLS][{"name": "add", "arguments": {}}, {"name": "rm", "arguments": {}}]'
    assert told(Format("mistral"), text) == (', {"name": "rm", "arguments": {}}]', "", [("add", "{}")])


def test_without_tools_calls_are_text() -> None:
    for style, text, _ in CALLS:
        parser = Parser(Format(style))
        content = "".join(event.text for event in [*parser.push(text), *parser.finish()] if isinstance(event, Content))
        assert content == text


@pytest.mark.parametrize("text", ["<think>\nHm.</think>\n\nHi", "\n<think>Hm.</think>Hi"])
def test_reasoning_is_kept_apart(text: str) -> None:
    assert told(HERMES, text) == ("Hi", "Hm.", [])


def test_reasoning_that_the_prompt_opened() -> None:
    opened = Format("hermes", reasoning=THINKS, opened="<think>")
    assert told(opened, "Hm.\n</think>\nHi <think>") == ("Hi <think>", "Hm.\n", [])
    assert told(opened, "Hm. </thi") == ("", "Hm. </thi", [])
    assert told(HERMES, "Hm.</think>Hi", opened="<think>") == ("Hi", "Hm.", [])
    assert told(opened, "<think>Hm.</think>Hi", opened="") == ("Hi", "Hm.", [])


def test_marks_of_reasoning_elsewhere_are_text() -> None:
    assert told(HERMES, "Write <think>x</think>.") == ("Write <think>x</think>.", "", [])
    assert told(Format("hermes"), "<think>x</think>") == ("<think>x</think>", "", [])
    assert told(Format("mistral", reasoning=("[THINK]", "[/THINK]")), "[THINK]a[/THINK]b") == ("b", "a", [])


def test_a_call_after_reasoning() -> None:
    text = '<think>So.</think>\n<tool_call>{"name": "add", "arguments": {}}</tool_call>'
    assert told(HERMES, text) == ("", "So.", [("add", "{}")])
    bare = Format("llama", reasoning=THINKS)
    assert told(bare, '<think>So.</think>\n{"name": "add", "parameters": {}}') == ("", "So.", [("add", "{}")])


def test_lines_that_the_prompt_opened() -> None:
    lines = Format("function-lines", opened=">>>")
    assert told(lines, "all\nHello") == ("Hello", "", [])
    assert told(lines, 'add\n{"a":1}') == ("", "", [TWO[1]])
    assert told(lines, 'all\nLet me see.>>>add\n{"a":1}') == ("Let me see.", "", [TWO[1]])
    assert told(lines, "nothing known\n") == ("nothing known\n", "", [])
    assert [*Parser(lines).push("all\nHi")] == [Content("Hi")]


def test_ids_are_of_the_answer_and_differ() -> None:
    ids = [event.id for event in parsed(HERMES, [CALLS[2][1]]) if isinstance(event, CallStarted)]
    assert ids == [call_id("job", 0), call_id("job", 1)]
    assert len({*ids, call_id("other", 0)}) == 3


MARKS = (
    *("<tool_call>", "</tool_call>", "<think>", "</think>", "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"),
    *("<function=", ">", "</function>", ">>>", "all\n", "\n", "{", "}", "[", "]", '"', "\\", ":", ",", ";", " "),
    *("get_weather", "add", '"name"', '"arguments"', '"parameters"', "null", "-1.5e3", "text", "é😀", "{}"),
    *(text for _, text, _ in CALLS),
)
FORMATS = st.builds(
    Format,
    st.sampled_from(STYLES),
    reasoning=st.sampled_from([None, THINKS]),
    opened=st.sampled_from(["", "<think>", ">>>"]),
)


@settings(max_examples=400, deadline=None)
@given(FORMATS, st.lists(st.sampled_from(MARKS), max_size=25).map("".join), st.booleans(), st.data())
def test_the_cuts_do_not_matter_and_nothing_is_lost(
    format_: Format, text: str, hold: bool, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = parsed(format_, [text], hold=hold)
    assert whole == parsed(format_, pieces, hold=hold) == parsed(format_, list(text), hold=hold)
    for event in whole:
        if isinstance(event, CallArguments) and (hold or CallEnded(event.index) in whole):
            assert isinstance(json.loads(event.text), dict)
    if not any(isinstance(event, CallStarted) for event in whole):
        left = "".join(event.text for event in whole if isinstance(event, Content | Reasoning))
        marks = (*(format_.reasoning or ()), ">>>all\n", "all\n")
        assert _without(text, marks) == _without(left, marks)


def _without(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        text = text.replace(mark, "")
    return "".join(text.split())


HOSTILE = [
    "<tool_call>" * 20_000,
    '<tool_call>{"name": "add", "arguments": {"a": "' + "x" * (MAX_CALL + 99),
    '<tool_call>{"name": "add", "arguments": {"a": ' + "[" * 200_000,
    '<tool_call>{"name": "add", "arguments": {"a": ' + "9" * 200_000,
    '<tool_call>{"name": "add", "arguments": {}}' * 5_000,
    "<tool_call>" + " " * 400_000,
    " " * 400_000,
    '<tool_call>{"name": "add", "arguments": {"' * 4_000,
    "<tool_call" * 20_000,
    '<tool_call>{"name": "<tool_call>{\\"name' * 8_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12])
def test_hostile_megabytes_take_linear_time(text: str) -> None:
    for size in (len(text), 11):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        content = "".join(event.text for event in parsed(HERMES, pieces) if isinstance(event, Content))
        assert len(content) >= len(text) - 43 * 128
