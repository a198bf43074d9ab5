"""The parts of a grammar as data, and their text in llama.cpp's GBNF."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from graphlib import CycleError, TopologicalSorter
from math import isqrt
from typing import Final, NamedTuple, TypeAlias

MAX_COUNT: Final = 100_000
"""More repetitions than this are as good as any number: no context holds them."""
_BLOCKS_FROM: Final = 64
_LAST: Final = 0x10FFFF
_HOLES: Final = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0xD800, 0xDFFF))
"""What cannot stand in a JSON string as it is."""


class Ref(NamedTuple):
    """A rule by its name."""

    name: str


class Seq(NamedTuple):
    """One after the other."""

    parts: tuple["Part", ...]


class Alt(NamedTuple):
    """One of them."""

    parts: tuple["Part", ...]


class Many(NamedTuple):
    """A part `least` to `most` times; None is any number."""

    part: "Part"
    least: int = 0
    most: int | None = None


Part: TypeAlias = str | Ref | Seq | Alt | Many
"""A string is GBNF for characters: a literal or a class."""

NOTHING: Final = Seq(())


def literal(text: str) -> str:
    """GBNF for exactly this text."""
    return '"' + "".join(map(_escaped, text)) + '"' if text else '""'


def seq(*parts: Part) -> Seq:
    """The parts one after the other."""
    return Seq(parts)


def alt(parts: Iterable[Part]) -> Part:
    """One of the parts, each named once."""
    unique = tuple(dict.fromkeys(parts))
    return unique[0] if len(unique) == 1 else Alt(unique)


def optional(part: Part) -> Many:
    """The part or nothing."""
    return Many(part, 0, 1)


def plain(but: Iterable[str] = ()) -> str:
    """The class of characters that stand for themselves in a JSON string, without some."""
    return _class_without([(0, _LAST)], [*_HOLES, *((ord(char), ord(char)) for char in but)])


def ranged(ranges: Iterable[tuple[int, int]]) -> str:
    """The class of these characters, as far as they stand for themselves in a JSON string; empty if none does."""
    return _class_without(ranges, _HOLES)


def _class_without(ranges: Iterable[tuple[int, int]], holes: Iterable[tuple[int, int]]) -> str:
    holes = sorted(holes)
    parts = []
    for first, last in sorted(ranges):
        start = first
        for low, high in [*holes, (last + 1, last + 1)]:
            if start < min(low, last + 1):
                parts.append((start, min(low, last + 1) - 1))
            start = max(start, high + 1)
    return "[" + "".join(_code(a) if a == b else f"{_code(a)}-{_code(b)}" for a, b in parts) + "]" if parts else ""


def joined(rules: Mapping[str, Part]) -> str:
    """The grammar's text."""
    return "".join(f"{name} ::= {_text(part, top=True)}\n" for name, part in rules.items())


def endless(rules: Mapping[str, Part]) -> set[str]:
    """The rules that no finite text fits."""
    return set(rules) - _grown(rules, _ends)


def one_of(texts: Iterable[str]) -> Part:
    """One of the texts; what they begin with in common is said once, so that few alternatives are open at a time."""
    follow: dict[str, list[str]] = {}
    unique = dict.fromkeys(texts)
    for text in unique:
        follow.setdefault(text[:1], []).append(text)
    parts: list[Part] = []
    for group in follow.values():
        common = _shared(min(group), max(group))
        rests = [text[len(common) :] for text in group]
        parts.append(literal(group[0]) if len(group) == 1 else seq(literal(common), one_of(rests)))
    return alt(parts)


def _shared(one: str, other: str) -> str:
    """What both begin with."""
    size = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:size]


def width(rules: Mapping[str, Part]) -> int:
    """How many alternatives are open at once at most, where any of the rules begins. None may begin with itself."""
    known: dict[str, int] = {}
    empty = _grown(rules, may_be_empty)

    def of(part: Part) -> int:
        match part:
            case Ref(name):
                if name not in known:
                    known[name] = of(rules[name])
                return known[name]
            case Alt(parts):
                return sum(map(of, parts))
            case Many(inner):
                return of(inner)
            case Seq(parts):
                filled = next((i for i, each in enumerate(parts) if not may_be_empty(each, empty)), len(parts))
                return sum(map(of, parts[: filled + 1]))
            case _:
                return 1

    return max(of(Ref(name)) for name in rules)


def leads_back(rules: Mapping[str, Part]) -> bool:
    """Whether some rule begins with itself."""
    empty = _grown(rules, may_be_empty)
    begins = {name: set(first_refs(part, empty)) for name, part in rules.items()}
    try:
        TopologicalSorter(begins).prepare()
    except CycleError:
        return True
    return False


def reached(rules: Mapping[str, Part], root: str) -> dict[str, Part]:
    """The rules that the root needs, itself first."""
    found: dict[str, Part] = {}
    left = [root]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = rules[name]
            left += names([rules[name]])
    return found


def first_refs(part: Part, empty: Set[str]) -> Iterator[str]:
    """The rules that a text of this part may begin with; `empty` are the rules that fit no text at all."""
    match part:
        case Ref(name):
            yield name
        case Alt(parts):
            for each in parts:
                yield from first_refs(each, empty)
        case Many(inner):
            yield from first_refs(inner, empty)
        case Seq(parts):
            for each in parts:
                yield from first_refs(each, empty)
                if not may_be_empty(each, empty):
                    break


def _grown(rules: Mapping[str, Part], holds: Callable[[Part, Set[str]], bool]) -> set[str]:
    """The rules of which something holds because it holds for the rules that they name."""
    found: set[str] = set()
    before = -1
    while len(found) > before:
        before = len(found)
        for name, part in rules.items():
            if name not in found and holds(part, found):
                found.add(name)
    return found


def may_be_empty(part: Part, empty: Set[str]) -> bool:
    """Whether the part fits no text at all; `empty` are the rules that do."""
    return _holds(part, empty, lambda text: text == '""')


def _ends(part: Part, fine: Set[str]) -> bool:
    """Whether the part fits some text that ends; `fine` are the rules that do."""
    return _holds(part, fine, lambda _: True)


def _holds(part: Part, rules: Set[str], of_text: Callable[[str], bool]) -> bool:
    """Whether something holds of a part because it does of one way through it, given where it holds of rules and texts."""
    match part:
        case Ref(name):
            return name in rules
        case Alt(parts):
            return any(_holds(each, rules, of_text) for each in parts)
        case Seq(parts):
            return all(_holds(each, rules, of_text) for each in parts)
        case Many(inner, least):
            return least == 0 or _holds(inner, rules, of_text)
        case _:
            return of_text(part)


def _text(part: Part, *, top: bool = False) -> str:
    match part:
        case Ref(name):
            return name
        case Seq(parts):
            text = " ".join(_text(each) for each in parts) or '""'
            return text if top or len(parts) == 1 else f"({text})"
        case Alt(parts):
            text = " | ".join(_text(each, top=isinstance(each, Seq)) for each in parts)
            return text if top else f"({text})"
        case Many(inner, least, most):
            return _times(inner, least, None if most is None or most >= MAX_COUNT else most)
        case _:
            return part


def _times(part: Part, least: int, most: int | None) -> str:
    """Long repetitions in blocks: llama.cpp makes rules by the number, so that 10 000 are to cost some 200."""
    if least > _BLOCKS_FROM:
        size = isqrt(least)
        blocks = [Many(Many(part, size, size), least // size, least // size), Many(part, least % size, least % size)]
        more = Many(part, 0, None if most is None else most - least)
        return _text(seq(*blocks, more))
    if most is not None and most - least > _BLOCKS_FROM:
        over = most - least
        size = isqrt(over)
        count = (over - size + 1) // size
        blocks = [Many(Many(part, size, size), 0, count), Many(part, 0, over - count * size)]
        return _text(seq(Many(part, least, least), *blocks))
    return _counted(_text(part), least, most)


def _counted(text: str, least: int, most: int | None) -> str:
    if text.endswith(("*", "+", "?", "}")):
        text = f"({text})"
    if most is None:
        return text + {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    if most == 0:
        return '""'
    return text + ("?" if (least, most) == (0, 1) else f"{{{least},{most}}}" if least != most else f"{{{least}}}")


def _escaped(char: str) -> str:
    return f"\\{char}" if char in '"\\' else char if " " <= char <= "~" else _code(ord(char))


def _code(point: int) -> str:
    if 0x20 <= point < 0x7F and chr(point) not in '[]"\\^-':
        return chr(point)
    return f"\\x{point:02X}" if point < 0x80 else f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"


def names(parts: Sequence[Part]) -> Iterator[str]:
    """The rules that the parts name."""
    for part in parts:
        match part:
            case Ref(name):
                yield name
            case Seq(inner) | Alt(inner):
                yield from names(inner)
            case Many(inside):
                yield from names([inside])
            case _:
                pass
