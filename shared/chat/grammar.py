"""From a constraint to GBNF in a model's own format, so that whatever fits is parsed as what was asked for."""

from typing import Any, Final

import msgspec

from shared.chat.asked import Tool
from shared.chat.constraint import Constraint
from shared.chat.formats import Format, Style
from shared.chat.free import SPACE, free_rules
from shared.chat.gbnf import Many, Part, Ref, alt, joined, literal, optional, reached, seq
from shared.chat.schema import Converter, SchemaError

MAX_TEXT: Final = 1 << 19
"""Bytes of a grammar's text."""
MAX_IN_A_ROW: Final = 16
"""Calls in one answer that a grammar allows."""


class GrammarError(ValueError):
    """This constraint makes no grammar; the message is a sentence that names the field."""


class Grammar(msgspec.Struct, frozen=True):
    """GBNF with the rule `root`. A lazy one begins with the first of the `triggers` in the answer, texts as they are; what
    stands before is free."""

    gbnf: str
    lazy: bool = False
    triggers: tuple[str, ...] = ()


def grammar_of(constraint: Constraint, format_: Format) -> Grammar:
    """The grammar that holds an answer of this format to the constraint; raises GrammarError."""
    rules = free_rules()
    options: list[Part] = []
    if constraint.root == "json":
        options.append(Ref("object"))
    elif constraint.root == "schema":
        options.append(_converted(constraint.schema, rules, constraint.strict, "response_format"))
    if constraint.calls:
        arguments = {
            tool.name: _arguments(tool, rules, f"tools: the parameters of {tool.name}") for tool in constraint.calls
        }
        options.append(_calls(format_, arguments, constraint.many, rules))
    root = alt(options)
    rules["root"] = root if constraint.lazy else _after_reasoning(root, format_, rules)
    text = joined(reached(rules, "root"))
    if len(text) > MAX_TEXT:
        raise GrammarError("tools or response_format: the schemas make a grammar that is too large.")
    triggers = tuple(dict.fromkeys(_triggers(format_, list(constraint.calls)))) if constraint.lazy else ()
    return Grammar(text, constraint.lazy, triggers)


def _arguments(tool: Tool, rules: dict[str, Part], where: str) -> Part:
    """By the tool's schema; a tool that is not strict and whose schema makes no grammar takes any object."""
    known = dict(rules)
    try:
        part = _converted(tool.parameters, rules, tool.strict, where)
    except GrammarError:
        if tool.strict:
            raise
        rules.clear()
        rules |= known
        part = Ref("object")
    name = f"r{len(rules)}"
    rules[name] = part
    return Ref(name)


def _converted(text: str, rules: dict[str, Part], strict: bool, where: str) -> Part:
    schema: Any = msgspec.json.decode(text)
    if where.startswith("tools") and isinstance(schema, dict):
        schema = {"type": "object", "properties": {}, **schema}
    try:
        return Converter(schema, rules, strict=strict).convert()
    except SchemaError as error:
        raise GrammarError(f"{where}: {error}.") from error


def _calls(format_: Format, arguments: dict[str, Part], many: bool, rules: dict[str, Part]) -> Part:
    """One call, or up to MAX_IN_A_ROW, as the format writes them."""
    most = MAX_IN_A_ROW - 1 if many else 0
    one = Ref(f"r{len(rules)}")
    rules[one.name] = alt(_call(format_.style, name, part) for name, part in arguments.items())
    match format_.style:
        case "mistral":
            return seq(literal("[TOOL_CALLS]["), one, Many(seq(literal(","), SPACE, one), 0, most), literal("]"))
        case "llama":
            return seq(optional(literal("<|python_tag|>")), one, Many(seq(literal("; "), one), 0, most))
        case "function-lines":
            begin: Part = seq() if format_.opened == ">>>" else literal(">>>")
            return seq(begin, one, Many(seq(literal(">>>"), one), 0, most))
        case _:
            return seq(one, Many(seq(SPACE, one), 0, most))


def _call(style: Style, name: str, arguments: Part) -> Part:
    match style:
        case "function-tags":
            return seq(literal(f"<function={name}>"), arguments, literal("</function>"))
        case "function-lines":
            return seq(literal(f"{name}\n"), arguments)
        case "mistral-args":
            return seq(literal(f"[TOOL_CALLS]{name}[ARGS]"), arguments)
        case "llama":
            return _object(name, "parameters", arguments)
        case "mistral":
            id_ = seq(
                literal(","), SPACE, literal('"id":'), SPACE, literal('"'), Many("[a-zA-Z0-9]", 9, 9), literal('"')
            )
            return _object(name, "arguments", arguments, optional(id_))
        case _:
            return seq(
                literal("<tool_call>"), SPACE, _object(name, "arguments", arguments), SPACE, literal("</tool_call>")
            )


def _object(name: str, key: str, arguments: Part, *more: Part) -> Part:
    head = seq(
        literal("{"), SPACE, literal('"name":'), SPACE, literal(f'"{name}",'), SPACE, literal(f'"{key}":'), SPACE
    )
    return seq(head, arguments, *more, SPACE, literal("}"))


def _triggers(format_: Format, tools: list[Tool]) -> list[str]:
    """The texts with which a call begins for certain."""
    if format_.style == "function-tags":
        return [f"<function={tool.name}>" for tool in tools]
    if format_.style == "function-lines":
        return [f">>>{tool.name}\n" for tool in tools]
    if format_.style == "llama":
        return [f'{{"name": "{tool.name}", "parameters": ' for tool in tools]
    return list(format_.openers)


def _after_reasoning(root: Part, format_: Format, rules: dict[str, Part]) -> Part:
    """A model that reasons may do so first."""
    if format_.reasoning is None:
        return root
    begin, end = format_.reasoning
    for place in range(len(end)):
        rules[f"think-{place}"] = _until(end, place)
    thinking = seq(Ref("think-0"), Many(r"[ \t\n]", 0, 2), root)
    return thinking if format_.opened == begin else alt([root, seq(literal(begin), thinking)])


def _until(end: str, place: int) -> Part:
    """Any text up to and with `end`, of which `place` characters are there."""
    goes: dict[str, int] = {}
    for char in dict.fromkeys(end):
        text = end[:place] + char
        goes[char] = next(size for size in range(len(text), -1, -1) if end.startswith(text[len(text) - size :]))
    parts: list[Part] = [
        literal(char) if to == len(end) else seq(literal(char), Ref(f"think-{to}")) for char, to in goes.items()
    ]
    others = "[^" + "".join(f"\\x{ord(char):02X}" for char in goes) + "]"
    return alt([*parts, seq(others, Ref("think-0"))])
