"""What a request may ask of an answer's shape, and what it becomes."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from shared.chat.asked import AskedError, Choice, Shape, Tool, choice_of, shape_of, tools_of
from shared.chat.constraint import Constraint, constraint_of, offered_tools
from shared.chat.formats import Format
from shared.chat.grammar import GrammarError, grammar_of
from shared.chat.trigger import Watch


def tool(name: str = "add", **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **function}}


def test_tools_are_read_from_json_or_its_text() -> None:
    listed = [tool(description="Adds", parameters={"type": "object", "properties": {}}, strict=True), tool("now")]
    tools = tools_of(listed)
    assert tools == tools_of(json.dumps(listed))
    assert tools[0] == Tool("add", "Adds", '{"type":"object","properties":{}}', True)
    assert tools[1].as_json()["function"] == {
        "name": "now",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    }
    assert tools_of(None) == tools_of("null") == tools_of([]) == ()


deep: Any = {}
for _ in range(200):
    deep = {"properties": {"a": deep}}
BAD_TOOLS: list[tuple[Any, str]] = [
    ("[", "tools"),
    ({}, "tools"),
    ([tool()] * 129, "tools"),
    ([1], "tools[0].type"),
    ([tool(), {"type": "retrieval"}], "tools[1].type"),
    ([{"type": "function"}], "tools[0].function"),
    ([tool("a b")], "tools[0].function.name"),
    ([tool("")], "tools[0].function.name"),
    ([tool("a\n")], "tools[0].function.name"),
    ([tool("x" * 65)], "tools[0].function.name"),
    ([tool(), tool()], "tools[1].function.name"),
    ([tool(description=5)], "tools[0].function.description"),
    ([tool(description="x" * 20_000)], "tools[0].function.description"),
    ([tool(parameters=[])], "tools[0].function.parameters"),
    ([tool(parameters={"type": "string"})], "tools[0].function.parameters"),
    ([tool(parameters=deep)], "tools[0].function.parameters"),
    ([tool(parameters={"description": "x" * 70_000})], "tools[0].function.parameters"),
    ([tool(f"t{i}", parameters={"description": "x" * 60_000}) for i in range(20)], "tools"),
    ([tool(strict="yes")], "tools[0].function.strict"),
]


@pytest.mark.parametrize(("asked", "param"), BAD_TOOLS, ids=range(len(BAD_TOOLS)))
def test_a_bad_tool_is_named(asked: Any, param: str) -> None:
    with pytest.raises(AskedError) as caught:
        tools_of(asked)
    assert caught.value.param == param
    assert str(caught.value).startswith(param)
    assert str(caught.value).endswith(".")


def test_choices() -> None:
    tools = tools_of([tool(), tool("now")])
    named = {"type": "function", "function": {"name": "now"}}
    assert choice_of(None, tools) == choice_of("auto", tools) == choice_of('"auto"', tools) == Choice("auto")
    assert choice_of("none", tools) == choice_of(None, ()) == choice_of("auto", ()) == Choice("none")
    assert choice_of("required", tools) == Choice("required")
    assert choice_of(named, tools) == choice_of(json.dumps(named), tools) == Choice("required", "now")
    bad: list[Any] = ["any", "required", {"type": "function"}, {"function": {"name": "now"}}, 5, named]
    for asked in bad:
        with pytest.raises(AskedError, match="tool_choice"):
            choice_of(asked, ())
    with pytest.raises(AskedError, match="'rm', which is none of the tools"):
        choice_of({"type": "function", "function": {"name": "rm"}}, tools)


def test_forms() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string"}, "strict": True}}
    assert shape_of(None) == shape_of({"type": "text"}) == Shape()
    assert shape_of({"type": "json_object"}) == Shape("json")
    assert shape_of(schema) == shape_of(json.dumps(schema)) == Shape("schema", '{"type":"string"}', True)
    for bad in (
        {"type": "xml"},
        "text",
        5,
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"schema": 1}},
    ):
        with pytest.raises(AskedError, match="response_format"):
            shape_of(bad)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
        lambda i: (
            st.lists(i)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "function", "name", "parameters", "json_schema", "schema", "strict", "description"]
                ),
                i,
            )
        ),
    )
)
def test_anything_is_read_or_named(asked: Any) -> None:
    for read in (tools_of, shape_of, lambda value: choice_of(value, (Tool("a"),))):
        try:
            read(asked)
        except AskedError as error:
            assert error.param.split(".")[0].split("[")[0] in str(error)  # noqa: PT017 -- most inputs are refused


TOOLS = [tool(), tool("now")]
JSON = {"type": "json_object"}


def test_what_a_request_holds_its_answer_to() -> None:
    both = tools_of(TOOLS)
    assert constraint_of(None) is None
    assert constraint_of(TOOLS, "none") is None
    assert constraint_of(None, None, True, JSON) == constraint_of(TOOLS, "none", True, JSON) == Constraint("json")
    assert constraint_of(TOOLS) == Constraint("calls", calls=both, lazy=True)
    assert constraint_of(TOOLS, "required", False) == Constraint("calls", calls=both, many=False)
    named = constraint_of(TOOLS, {"type": "function", "function": {"name": "now"}}, True, JSON)
    assert named == Constraint("calls", calls=both[1:], many=False)
    assert constraint_of(TOOLS, "auto", True, JSON) == Constraint("json", calls=both)
    assert offered_tools(TOOLS, "none") == ()
    assert offered_tools(TOOLS, None) == both


def test_a_lazy_grammar_begins_where_a_call_does_for_certain() -> None:
    constraint = constraint_of(TOOLS)
    assert constraint is not None
    assert grammar_of(constraint, Format("hermes")).triggers == ("<tool_call>",)
    assert grammar_of(constraint, Format("function-lines")).triggers == (">>>add\n", ">>>now\n")
    llama = grammar_of(constraint, Format("llama"))
    assert llama.lazy
    assert llama.triggers == ('{"name": "add", "parameters": ', '{"name": "now", "parameters": ')


def test_a_strict_tool_that_cannot_be_kept_to_is_named_and_a_loose_one_takes_any_object() -> None:
    parameters = {"properties": {"a": {"$ref": "https://example.org/a"}}}
    strict, loose = (constraint_of([tool(parameters=parameters, strict=strict)]) for strict in (True, False))
    assert strict is not None
    assert loose is not None
    with pytest.raises(GrammarError, match=r"^tools: the parameters of add: \$ref can only point .*\.$"):
        grammar_of(strict, Format("hermes"))
    assert grammar_of(loose, Format("hermes")).gbnf


THINK = ("<think>", "</think>")


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("format_", "text", "found"),
    [
        (Format("hermes"), "a <tool_call>b", "<tool_call>b"),
        (Format("hermes"), "a <tool_call", None),
        (Format("hermes", reasoning=THINK), " <think> <tool_call> </think> <tool_call>b", "<tool_call>b"),
        (Format("hermes", reasoning=THINK), "so <think> <tool_call>b", "<tool_call>b"),
        (Format("hermes", reasoning=THINK, opened="<think>"), "<tool_call> </think>", None),
        (Format("hermes", reasoning=THINK, opened="<think>"), "<tool_call></think><tool_call>", "<tool_call>"),
    ],
)
def test_the_trigger_is_found_after_the_reasoning(format_: Format, text: str, found: str | None, size: int) -> None:
    watch = Watch(("<tool_call>",), format_)
    for start in range(0, len(text), size):
        if (begun := watch.push(text[start : start + size])) is not None:
            assert begun + text[start + size :] == found
            return
    assert found is None
