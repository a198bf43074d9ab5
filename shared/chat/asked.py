"""What a request asks of the answer's shape: OpenAI's `tools`, `tool_choice` and `response_format`, checked."""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

MAX_TOOLS: Final = 128
MAX_SCHEMA: Final = 1 << 16
MAX_ALL: Final = 1 << 19
"""Bytes of one schema, and of all tools together."""
MAX_DESCRIPTION: Final = 1 << 14
MAX_NESTING: Final = 100
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NO_PARAMETERS: Final = '{"type":"object","properties":{}}'


class AskedError(ValueError):
    """A field of the request is wrong: `param` names it, the message is a sentence."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call; `parameters` is its JSON schema as text."""

    name: str
    description: str | None = None
    parameters: str = _NO_PARAMETERS
    strict: bool = False

    def as_json(self) -> dict[str, Any]:
        """The tool as templates read it."""
        function: dict[str, Any] = {"name": self.name, "description": self.description or ""}
        function["parameters"] = {"type": "object", "properties": {}} | msgspec.json.decode(self.parameters)
        return {"type": "function", "function": function}


class Choice(msgspec.Struct, frozen=True):
    """Whether calls are allowed or required; with a `name` exactly that tool."""

    mode: Literal["none", "auto", "required"]
    name: str | None = None


class Shape(msgspec.Struct, frozen=True):
    """The form of a plain answer; `schema` is JSON as text."""

    kind: Literal["text", "json", "schema"] = "text"
    schema: str = ""
    strict: bool = False


def tools_of(asked: Any) -> tuple[Tool, ...]:
    """The tools of a request, or of their JSON as text; raises AskedError."""
    listed = _decoded(asked, "tools")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise AskedError("tools", "tools must be a list.")
    if len(listed) > MAX_TOOLS:
        raise AskedError("tools", f"tools must hold at most {MAX_TOOLS} tools.")
    tools = tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(listed))
    names = [tool.name for tool in tools]
    if twice := next((i for i, name in enumerate(names) if name in names[:i]), None):
        raise AskedError(f"tools[{twice}].function.name", f"tools[{twice}].function.name is the name of another tool.")
    if sum(len(tool.parameters) + len(tool.description or "") for tool in tools) > MAX_ALL:
        raise AskedError("tools", f"tools must take at most {MAX_ALL} bytes together.")
    return tools


def choice_of(asked: Any, tools: Sequence[Tool]) -> Choice:
    """The `tool_choice` of a request, or of its JSON as text; without one it is auto, or none if there are no tools."""
    choice = _decoded(asked, "tool_choice", words=("none", "auto", "required"))
    if choice is None:
        return Choice("auto" if tools else "none")
    if choice in ("none", "auto", "required"):
        if choice == "required" and not tools:
            raise AskedError("tool_choice", "tool_choice is required, but there are no tools.")
        return Choice(choice if tools else "none")
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise AskedError("tool_choice", "tool_choice must be none, auto, required, or name a function.")
    if name not in [tool.name for tool in tools]:
        raise AskedError("tool_choice", f"tool_choice names {name[:64]!r}, which is none of the tools.")
    return Choice("required", name)


def shape_of(asked: Any) -> Shape:
    """The `response_format` of a request, or of its JSON as text; raises AskedError."""
    param = "response_format"
    wanted = _decoded(asked, param)
    if wanted is None:
        return Shape()
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind in ("text", "json_object"):
        return Shape("text" if kind == "text" else "json")
    if kind != "json_schema":
        raise AskedError(f"{param}.type", "response_format.type must be text, json_object or json_schema.")
    inner = wanted.get("json_schema")
    param += ".json_schema"
    if not isinstance(inner, dict) or not isinstance(inner.get("schema"), dict):
        raise AskedError(f"{param}.schema", f"{param}.schema must be a JSON schema.")
    return Shape("schema", _text(inner["schema"], f"{param}.schema"), _flag(inner.get("strict"), f"{param}.strict"))


def _tool(tool: Any, where: str) -> Tool:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise AskedError(f"{where}.type", f"{where}.type must be function.")
    function = tool.get("function")
    where += ".function"
    if not isinstance(function, dict):
        raise AskedError(where, f"{where} must describe the function.")
    name, description = function.get("name"), function.get("description")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise AskedError(f"{where}.name", f"{where}.name must be 1 to 64 letters, digits, underscores or dashes.")
    if description is not None and not (isinstance(description, str) and len(description) <= MAX_DESCRIPTION):
        message = f"{where}.description must be text of at most {MAX_DESCRIPTION} characters."
        raise AskedError(f"{where}.description", message)
    parameters = _parameters(function.get("parameters"), f"{where}.parameters")
    return Tool(name, description, parameters, _flag(function.get("strict"), f"{where}.strict"))


def _parameters(schema: Any, where: str) -> str:
    if schema is None:
        return _NO_PARAMETERS
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise AskedError(where, f"{where} must be a JSON schema of type object.")
    return _text(schema, where)


def _flag(value: Any, where: str) -> bool:
    if value not in (None, True, False):
        raise AskedError(where, f"{where} must be true or false.")
    return bool(value)


def _text(schema: Any, where: str) -> str:
    """The schema's JSON, within bounds."""
    try:
        text = msgspec.json.encode(schema).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise AskedError(where, f"{where} is no JSON, or nests too deep.") from error
    if len(text) > MAX_SCHEMA or _nesting(schema) > MAX_NESTING:
        raise AskedError(where, f"{where} must take at most {MAX_SCHEMA} bytes and nest at most {MAX_NESTING} deep.")
    return text


def _nesting(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        below = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [each for inner in below for each in inner]
    return depth


def _decoded(asked: Any, param: str, words: Sequence[str] = ()) -> Any:
    if not isinstance(asked, str) or asked in words:
        return asked
    try:
        return msgspec.json.decode(asked)
    except (msgspec.DecodeError, RecursionError) as error:
        raise AskedError(param, f"{param} is no JSON.") from error
