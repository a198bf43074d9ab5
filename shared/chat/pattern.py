"""Regular expressions as a grammar: whatever fits the grammar is a JSON string that the expression matches."""

import re
from typing import Final

from shared.chat.gbnf import MAX_COUNT, Many, Part, alt, literal, may_be_empty, ranged, seq

MAX_PATTERN: Final = 2000
_MAX_NESTING: Final = 20
_LAST: Final = 0x10FFFF
_QUANTITY: Final = re.compile(r"\{([0-9]{1,6})(?:(,)([0-9]{1,6})?)?\}")
_CONTROL: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_ESCAPED: Final = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x0C: "\\f"}
"""How characters stand in a JSON string that cannot stand there as they are."""

Ranges = list[tuple[int, int]]
_SETS: Final[dict[str, Ranges]] = {
    "d": [(0x30, 0x39)],
    "w": [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
    "s": [(0x20, 0x20)],
}
"""Beyond ASCII these differ from one engine to the next, so nothing there counts as in or out."""
_WIDE: Final = [(0x09, 0x0D), (0x1C, 0x20)]


class NoPattern(ValueError):
    """The expression has something that a grammar cannot say, or no anchors."""


def pattern_part(pattern: str) -> Part:
    """The string between its quotes; raises NoPattern."""
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN or not (pattern[:1] == "^" and pattern[-1:] == "$"):
        raise NoPattern
    reading = _Reading(pattern[1:-1])
    part = reading.options(0)
    if reading.left:
        raise NoPattern
    return seq(literal('"'), part, literal('"'))


class _Reading:
    """The expression from here on."""

    def __init__(self, text: str) -> None:
        self.left = text
        self._sets = False

    def options(self, depth: int) -> Part:
        if depth > _MAX_NESTING:
            raise NoPattern
        parts = [self._row(depth)]
        while self.left.startswith("|"):
            self._take()
            parts.append(self._row(depth))
        if len(parts) > 1 and depth == 0:
            raise NoPattern  # `^a|b$`: the anchors hold for one option each
        return alt(parts)

    def _row(self, depth: int) -> Part:
        parts: list[Part] = []
        while self.left and self.left[0] not in "|)":
            parts.append(self._counted(self._atom(depth)))
        return seq(*parts)

    def _counted(self, part: Part) -> Part:
        sign = self.left[:1]
        if sign and sign in "?*+":
            self._take()
            counts: tuple[int, int | None] = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
        elif found := _QUANTITY.match(self.left):
            self._take(found.end())
            least = int(found[1])
            counts = least, least if not found[2] else int(found[3]) if found[3] else None
        else:
            return part
        if self.left.startswith("?"):
            self._take()
        least, most = counts
        if self.left[:1] in ("?", "*", "+") or least > MAX_COUNT or (most is not None and most < least):
            raise NoPattern
        if may_be_empty(part, frozenset()) and counts != (0, 1):
            raise NoPattern
        return Many(part, least, most)

    def _atom(self, depth: int) -> Part:
        char = self._take()
        if char == "(":
            if self.left.startswith("?") and self._take(2) != "?:":
                raise NoPattern
            part = self.options(depth + 1)
            if self._take() != ")":
                raise NoPattern
            return part
        if char == "[":
            return _chars(self._class())
        if char == ".":
            return _chars(_complement([(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]))
        if char in "^$*+?{}]":
            raise NoPattern
        return _chars(self._escape() if char == "\\" else [(ord(char), ord(char))])

    def _class(self) -> Ranges:
        negated = self.left.startswith("^")
        if negated:
            self._take()
        ranges: Ranges = []
        self._sets = False
        while not self.left.startswith("]"):
            low = self._one(negated)
            if self.left.startswith("-") and not self.left.startswith("-]"):
                self._take()
                low = _between(low, self._one(negated))
            ranges += low
        self._take()
        if not ranges:
            raise NoPattern
        return ranges if not negated else _ascii(_complement(ranges)) if self._sets else _complement(ranges)

    def _one(self, negated: bool) -> Ranges:
        char = self._take()
        if char == "[":
            raise NoPattern
        return self._escape(negated=negated) if char == "\\" else [(ord(char), ord(char))]

    def _escape(self, *, negated: bool = False) -> Ranges:
        """`negated`: it stands among what is left out, so it must be all that any engine takes for it."""
        char = self._take()
        if char in "dws":
            self._sets = True
            return _WIDE if negated and char == "s" else _SETS[char]
        if char in "DWS" and not negated:
            return _ascii(_complement(_WIDE if char == "S" else _SETS[char.lower()]))
        if char in _CONTROL:
            return [(ord(_CONTROL[char]), ord(_CONTROL[char]))]
        if char.isalnum():
            raise NoPattern
        return [(ord(char), ord(char))]

    def _take(self, count: int = 1) -> str:
        if len(self.left) < count:
            raise NoPattern
        taken, self.left = self.left[:count], self.left[count:]
        return taken


def _between(low: Ranges, high: Ranges) -> Ranges:
    if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] < low[0][0]:
        raise NoPattern
    return [(low[0][0], high[0][0])]


def _ascii(ranges: Ranges) -> Ranges:
    return [(low, min(high, 0x7E)) for low, high in ranges if low <= 0x7E]


def _complement(ranges: Ranges) -> Ranges:
    left: Ranges = []
    start = 0
    for low, high in [*sorted(ranges), (_LAST + 1, _LAST + 1)]:
        if start < low:
            left.append((start, low - 1))
        start = max(start, high + 1)
    return left


def _chars(ranges: Ranges) -> Part:
    """One character of the ranges as it stands in a JSON string."""
    escaped = [literal(text) for point, text in _ESCAPED.items() if any(low <= point <= high for low, high in ranges)]
    found = ranged(ranges)
    parts: list[Part] = [*([found] if found else []), *escaped]
    if not parts:
        raise NoPattern
    return alt(parts)
