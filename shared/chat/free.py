"""The rules of any JSON, and lists of parts between brackets."""

from typing import Final

from shared.chat.gbnf import Many, Part, Ref, alt, literal, optional, seq
from shared.chat.ranges import DIGITS
from shared.chat.strings import RULES, STRING

FREE_DEPTH: Final = 12
"""How deep values may nest where a schema says nothing of them."""
SPACE: Final = Ref("space")
COMMA: Final = seq(literal(","), SPACE)


def free_rules() -> dict[str, Part]:
    """The rules of any JSON: `value`, `object`, `array`, `string`, `number`, and the `space` between tokens."""
    rules = dict(RULES)
    rules["space"] = alt(['""', literal(" "), seq(literal("\n"), Many(r"[ \t]", 0, 24))])
    rules["number"] = seq(
        optional(literal("-")),
        alt([literal("0"), seq("[1-9]", Many("[0-9]", 0, DIGITS - 1))]),
        optional(seq(literal("."), Many("[0-9]", 1, DIGITS))),
        optional(seq("[eE]", optional("[+-]"), Many("[0-9]", 1, 2))),
    )
    rules["scalar"] = alt([STRING, Ref("number"), *map(literal, ("true", "false", "null"))])
    inner = Ref("scalar")
    for depth in range(FREE_DEPTH, -1, -1):
        end = f"-{depth}" if depth else ""
        rules[f"object{end}"] = listed("{", seq(STRING, literal(":"), SPACE, inner), "}")
        rules[f"array{end}"] = listed("[", inner, "]")
        rules[f"value{end}"] = alt([Ref("scalar"), Ref(f"object{end}"), Ref(f"array{end}")])
        inner = Ref(f"value{end}")
    return rules


def listed(begin: str, part: Part, end: str, least: int = 0, most: int | None = None) -> Part:
    """The part `least` to `most` times between brackets."""
    more = seq(part, Many(seq(COMMA, part), max(least - 1, 0), None if most is None else max(most - 1, 0)))
    return bracketed(begin, seq() if most == 0 else more if least else optional(more), end)


def bracketed(begin: str, inside: Part, end: str) -> Part:
    """Something between brackets, with room around it."""
    return seq(literal(begin), SPACE, inside, SPACE, literal(end))
