"""What a request holds the answer to, as data: a form of JSON, calls of its tools, or either."""

from typing import Any, Literal

import msgspec

from shared.chat.asked import Tool, choice_of, shape_of, tools_of


class Constraint(msgspec.Struct, frozen=True):
    """What the grammar must allow.

    `root` is any JSON object, a value of `schema`, or calls; where `calls` stand beside JSON, the answer is either. `many`:
    more than one call. `lazy`: free text, and once a call begins, calls.
    """

    root: Literal["json", "schema", "calls"]
    schema: str = ""
    strict: bool = False
    calls: tuple[Tool, ...] = ()
    many: bool = True
    lazy: bool = False


def constraint_of(
    tools: Any, tool_choice: Any = None, parallel_tool_calls: bool = True, response_format: Any = None
) -> Constraint | None:
    """From OpenAI's fields, decoded or as JSON text; None where any text will do. Raises AskedError."""
    offered = tools_of(tools)
    choice = choice_of(tool_choice, offered)
    shape = shape_of(response_format)
    calls = () if choice.mode == "none" else tuple(t for t in offered if choice.name in (None, t.name))
    many = parallel_tool_calls and choice.name is None
    if choice.mode == "required" or (calls and shape.kind == "text"):
        return Constraint("calls", calls=calls, many=many, lazy=choice.mode == "auto")
    if shape.kind == "text":
        return None
    return Constraint(shape.kind, shape.schema, shape.strict, calls, many)


def offered_tools(tools: Any, tool_choice: Any = None) -> tuple[Tool, ...]:
    """The tools that the model is told of and whose calls are calls: none if the choice is none. Raises AskedError."""
    offered = tools_of(tools)
    return () if choice_of(tool_choice, offered).mode == "none" else offered
