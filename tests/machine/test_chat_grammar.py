"""What the grammar of a request allows is what was asked for: JSON that is valid, calls that are parsed as calls."""

import json
import subprocess
import sys
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from shared.chat.constraint import constraint_of
from shared.chat.events import CallArguments, CallEnded, CallStarted, Content, Reasoning
from shared.chat.formats import Format, Style
from shared.chat.parser import Parser
from tests.machine.grammar_walks import VOCABULARY, walk
from worker.engine.grammar import Following, GrammarError, grammar_text

NAMES = st.sampled_from(["a", "b", "ab", "a b", 'q"', "\\", "é😀", "a\nb", "", "x" * 60])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-200, 200), st.sampled_from([0.5, 1e20, "x", 'q"\\', "é"]))
BOUND = st.one_of(st.integers(-1200, 1200), st.decimals(-50, 50, places=2).map(float))
PATTERNS = [
    r"^\d{3}-\d{4}$",
    r"^(?:a|bc)+$",
    r"^[A-Z][a-z_]{0,70}$",
    r"^\w+@\w+\.(com|org)$",
    r'^[^"\s]{2,5}"\\?$',
    r"^.{3}$",
    r"^#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})$",
    r"^\S\W\D?$",
    r"^[\w.-]*[^\d-]$",
]


def bounded(kind: str, bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    words = st.sampled_from(["minimum", "exclusiveMinimum"]), st.sampled_from(["maximum", "exclusiveMaximum"])
    return st.builds(
        lambda low, high, at, span: {"type": kind, low: at, high: at + 2 + abs(span)},
        words[0],
        words[1],
        bounds,
        bounds,
    )


def sized(kind: str, least: str, most: str, **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    sizes = st.tuples(st.integers(0, 6), st.integers(0, 90)).map(lambda pair: {least: pair[0], most: sum(pair)})
    return sizes.map(lambda size: {"type": kind, **size, **more})


LEAVES = st.one_of(
    st.sampled_from(["string", "number", "integer", "boolean", "null", "object", "array"]).map(
        lambda kind: {"type": kind}
    ),
    st.sampled_from(["date", "time", "date-time", "uuid", "email"]).map(lambda f: {"type": "string", "format": f}),
    bounded("integer", st.integers(-1200, 1200)),
    bounded("number", BOUND),
    sized("string", "minLength", "maxLength"),
    st.lists(SCALARS, min_size=1, max_size=4, unique_by=repr).map(lambda values: {"enum": values}),
    SCALARS.map(lambda value: {"const": value}),
    st.just({"type": ["string", "null"], "maxLength": 3}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.just({"$ref": "#/$defs/tree"}),
    st.just({}),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(NAMES, inner, max_size=4)
    return st.builds(
        lambda props, required, extra: {"type": "object", "properties": props, "required": required} | extra,
        properties,
        st.lists(NAMES, max_size=3, unique=True),
        st.one_of(st.just({}), inner.map(lambda schema: {"additionalProperties": schema})),
    )


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        objects(inner),
        st.builds(lambda size, items: size | {"items": items}, sized("array", "minItems", "maxItems"), inner),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda parts: {"type": "array", "prefixItems": parts, "minItems": 1}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        st.lists(objects(inner), min_size=1, max_size=2).map(lambda parts: {"allOf": parts}),
        st.builds(
            lambda one, parts: {**one, "anyOf": parts}, objects(inner), st.lists(objects(inner), min_size=1, max_size=2)
        ),
    )


SCHEMAS = st.recursive(LEAVES, larger, max_leaves=8)
TREE = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}, "v": {"type": "integer"}}, "required": ["v"]}


def formatted(schema: Any, strict: bool = True) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": strict}}


def following(format_: Format | None = None, **asked: Any) -> Following:
    constraint = constraint_of(
        asked.get("tools"), asked.get("tool_choice"), asked.get("parallel", True), asked.get("response_format")
    )
    assert constraint is not None
    return Following(VOCABULARY, constraint, format_)


@pytest.mark.timeout(240)
@settings(max_examples=40, deadline=None)
@given(SCHEMAS, st.integers(0, 2**32))
def test_what_a_schemas_grammar_allows_is_valid(schema: dict[str, Any], seed: int) -> None:
    schema = {**schema, "$defs": {"tree": TREE}}
    refused = ("cannot be made one schema", "no value is valid", "cannot be kept to")
    try:
        follows = following(response_format=formatted(schema))
    except GrammarError as error:
        if not any(reason in str(error) for reason in refused):
            raise
        return
    for turn in range(2):
        value = json.loads(walk(follows if turn == 0 else following(response_format=formatted(schema)), seed + turn))
        jsonschema.Draft202012Validator(schema).validate(value)


@pytest.mark.parametrize("seed", range(10))
def test_any_json_object_parses(seed: int) -> None:
    assert isinstance(json.loads(walk(following(response_format={"type": "json_object"}), seed)), dict)


TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "add", "parameters": TREE | {"$defs": {"tree": TREE}}}},
    {"type": "function", "function": {"name": "now"}},
    {"type": "function", "function": {"name": "say", "parameters": {"properties": {"text": {"type": "string"}}}}},
]
SCHEMA_OF = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in TOOLS}
THINK = ("<think>", "</think>")
STYLES: tuple[Style, ...] = (
    *("hermes", "llama", "mistral", "mistral-args"),
    *("function-tags", "function-lines", "generic"),
)
FORMATS = [
    *map(Format, STYLES),
    Format("function-lines", opened=">>>"),
    Format("hermes", reasoning=THINK),
    Format("llama", reasoning=THINK, opened="<think>"),
]


def called(format_: Format, text: str) -> list[tuple[str, Any]]:
    """The calls of an answer that is nothing but calls (after reasoning)."""
    parser = Parser(format_, SCHEMA_OF)
    events = [*parser.push(text), *parser.finish()]
    assert not [event for event in events if isinstance(event, Content)], text
    names = [event.name for event in events if isinstance(event, CallStarted)]
    arguments = [json.loads(event.text) for event in events if isinstance(event, CallArguments)]
    assert len([event for event in events if isinstance(event, CallEnded)]) == len(names) == len(arguments)
    for name, value in zip(names, arguments, strict=True):
        jsonschema.validate(value, SCHEMA_OF[name])
    return list(zip(names, arguments, strict=True))


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f"{f.style}{f.opened}{bool(f.reasoning)}")
@pytest.mark.parametrize("seed", range(4))
def test_required_calls_are_parsed_as_calls(format_: Format, seed: int) -> None:
    begin = (
        "So.</think>" if format_.opened == "<think>" else "<think>Hm</think>" if format_.reasoning and seed % 2 else ""
    )
    assert called(format_, walk(following(format_, tools=TOOLS, tool_choice="required"), seed, begin))


@pytest.mark.parametrize("format_", FORMATS[:7], ids=lambda f: f.style)
def test_a_named_tool_is_called_once(format_: Format) -> None:
    choice = {"type": "function", "function": {"name": "say"}}
    text = walk(following(format_, tools=TOOLS, tool_choice=choice), 1)
    assert [name for name, _ in called(format_, text)] == ["say"]


def test_without_parallel_calls_there_is_one() -> None:
    for seed in range(8):
        text = walk(following(Format("hermes"), tools=TOOLS, tool_choice="required", parallel=False), seed)
        assert len(called(Format("hermes"), text)) == 1


BEGUN: list[tuple[Style, str]] = [
    ("hermes", "Well, <tool_call>"),
    ("llama", '{"name": "say", "parameters": '),
    ("mistral", "[TOOL_CALLS]"),
    ("mistral-args", "[TOOL_CALLS]"),
    ("function-tags", "I will.\n<function=say>"),
    ("function-lines", ">>>say\n"),
]


@pytest.mark.parametrize(("style", "begin"), BEGUN)
def test_a_call_that_the_model_begins_of_itself_ends_well(style: Style, begin: str) -> None:
    follows = following(Format(style), tools=TOOLS)
    assert all(follows.allows(token) for token in VOCABULARY.tokenise("Anything ]}", special=True))
    text = walk(follows, 3, begin)
    parser = Parser(Format(style), SCHEMA_OF)
    events = [*parser.push(text), *parser.finish()]
    assert any(isinstance(event, CallEnded) for event in events)


def test_reasoning_may_speak_of_calls() -> None:
    follows = following(Format("hermes", reasoning=THINK), tools=TOOLS)
    for token in VOCABULARY.tokenise("<think>I could <tool_call> or", special=True):
        follows.accept(token)
    assert all(follows.allows(token) for token in VOCABULARY.tokenise("anything", special=True))
    parser = Parser(Format("hermes", reasoning=THINK), SCHEMA_OF)
    assert parser.push("<think>I could <tool_call> or") == [Reasoning("I could <tool_call> or")]


def test_a_form_and_tools_allow_either() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    asked = {"tools": TOOLS, "response_format": formatted(schema)}
    assert json.loads(walk(following(Format("hermes"), **asked), 1, '{"ok"')).keys() == {"ok"}
    assert called(Format("hermes"), walk(following(Format("hermes"), **asked), 1, "<tool_call>"))


def test_a_resumed_answer_that_breaks_the_grammar_is_followed_no_more() -> None:
    follows = following(response_format={"type": "json_object"})
    for token in VOCABULARY.tokenise("no JSON at all {", special=True):
        follows.accept(token)
    assert follows.allows(next(iter(VOCABULARY.end_ids)))


def test_torn_characters_and_tokens_without_text_are_not_allowed() -> None:
    follows = following(response_format={"type": "json_object"})
    for token in VOCABULARY.tokenise('{"', special=True):
        follows.accept(token)
    start = next(token for token in VOCABULARY.tokenise("<|im_start|>", special=True))
    assert not follows.allows(start)
    torn = VOCABULARY.tokenise("ⴀ", special=False)
    assert len(torn) > 1
    follows.accept(torn[0])
    assert not follows.allows(VOCABULARY.tokenise('"', special=False)[0])
    assert follows.allows(torn[1])


def test_a_schema_whose_alternatives_multiply_stops_its_own_answer_alone() -> None:
    options = [
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}, f"b{i}": {}}, "required": ["a"]}
        for i in range(10)
    ]
    follows = following(
        response_format=formatted({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [*options, {"type": "null"}]}}}, False)
    )
    tokens = VOCABULARY.tokenise('{"a":' * 9, special=False)
    for token in tokens:
        if not follows.allows(token):
            break
        follows.accept(token)
    else:
        raise AssertionError("it was followed to the end")
    logits = np.zeros(VOCABULARY.size, np.float32)
    follows.mask(logits)
    assert not np.isfinite(logits).any()
    follows.close()


def test_a_bad_request_names_its_field() -> None:
    constraint = constraint_of(None, None, True, formatted({"$ref": "https://example.org/x.json"}))
    assert constraint is not None
    with pytest.raises(GrammarError, match=r"response_format: \$ref can only point into the schema itself"):
        grammar_text(constraint, Format("hermes"))


def test_parsing_needs_no_jinja() -> None:
    code = "import sys; import shared.chat.parser, shared.chat.formats; sys.exit('jinja2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
