"""JSON strings as a grammar: any, of a length, of a format, or none of some names."""

from collections.abc import Sequence
from typing import Final

from shared.chat.gbnf import Alt, Many, Part, Ref, alt, literal, plain, seq

_QUOTE: Final = literal('"')
_HEX: Final = "[0-9a-fA-F]"
CHAR: Final = Ref("char")
STRING: Final = Ref("string")
RULES: Final[dict[str, Part]] = {
    "char": alt(
        [
            plain(),
            seq(literal("\\"), r'["\\/bfnrt]'),
            seq(literal("\\u"), alt([seq("[0-9a-cA-CefEF]", _HEX), seq("[dD]", "[0-7]")]), Many(_HEX, 2, 2)),
        ]
    ),
    "string": seq(_QUOTE, Many(CHAR), _QUOTE),
    "plain": Many(plain()),
}
"""Escapes of surrogates are left out: half a pair is no character, and a pair counts as one."""

_DATE: Final = seq(
    *(Many("[0-9]", 3, 3), "[1-9]", literal("-")),
    Alt(
        (
            seq(Alt((seq(literal("0"), "[13578]"), seq(literal("1"), "[02]"))), literal("-"), Ref("day31")),
            seq(Alt((seq(literal("0"), "[469]"), literal("11"))), literal("-"), Ref("day30")),
            seq(literal("02-"), Ref("day28")),
        )
    ),
)
_TIME: Final = seq(
    *(Alt((seq("[01]", "[0-9]"), seq(literal("2"), "[0-3]"))), literal(":"), "[0-5]", "[0-9]", literal(":")),
    *("[0-5]", "[0-9]", Many(seq(literal("."), Many("[0-9]", 1, 6)), 0, 1)),
    Alt(
        (
            literal("Z"),
            seq("[+-]", Alt((seq("[01]", "[0-9]"), seq(literal("2"), "[0-3]"))), literal(":"), "[0-5]", "[0-9]"),
        )
    ),
)
_DAYS: Final[dict[str, Part]] = {
    "day28": Alt((seq(literal("0"), "[1-9]"), seq(literal("1"), "[0-9]"), seq(literal("2"), "[0-8]"))),
    "day30": Alt((Ref("day28"), literal("29"), literal("30"))),
    "day31": Alt((Ref("day30"), literal("31"))),
}
_UUID: Final = seq(*(part for size in (8, 4, 4, 4, 12) for part in (Many(_HEX, size, size), literal("-"))))
_FORMATS: Final[dict[str, Part]] = {
    "date": _DATE,
    "time": _TIME,
    "date-time": seq(_DATE, literal("T"), _TIME),
    "uuid": seq(*_UUID.parts[:-1]),
}
MAX_TRIE: Final = 4000


def of_format(name: str) -> tuple[Part, dict[str, Part]] | None:
    """A string of this format and the rules that it needs; None for formats that are only a remark."""
    part = _FORMATS.get(name)
    return None if part is None else (seq(_QUOTE, part, _QUOTE), _DAYS if "date" in name else {})


def of_length(least: int, most: int | None) -> Part:
    """A string of so many characters."""
    return STRING if (least, most) == (0, None) else seq(_QUOTE, Many(CHAR, least, most), _QUOTE)


def none_of(names: Sequence[str]) -> Part | None:
    """A string without escapes that is none of the names; None if there are too many of them."""
    if sum(map(len, names)) > MAX_TRIE or max(map(len, names), default=0) > 64:
        return None
    return seq(_QUOTE, _other(sorted(set(names))), _QUOTE)


def _other(rests: list[str]) -> Part:
    """What does not go on as one of these does."""
    follow: dict[str, list[str]] = {}
    for rest in rests:
        if rest:
            follow.setdefault(rest[0], []).append(rest[1:])
    parts: list[Part] = [seq(plain(follow), Ref("plain"))]
    parts += [seq(literal(char), _other(tails)) for char, tails in follow.items() if plain_char(char)]
    if "" not in rests:
        parts.append('""')
    return alt(parts)


def plain_char(char: str) -> bool:
    """Whether it stands for itself in a JSON string."""
    return char >= " " and char not in '"\\' and not "\ud800" <= char <= "\udfff"
