"""JSON Schema's types as a grammar: what each type's keywords allow."""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from shared.chat.free import COMMA, SPACE, bracketed, listed
from shared.chat.gbnf import MAX_COUNT, Many, Part, Ref, alt, literal, optional, seq
from shared.chat.ranges import integers, numbers
from shared.chat.strings import none_of, of_format, of_length

Visit = Callable[[Any], Part]
Name = Callable[[Part], Ref]

_TINY: Final = Decimal("0.001")
KEYWORDS: Final[dict[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "integer": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}

_CONTAINERS: Final[dict[type, str]] = {str: "string", list: "array", dict: "object"}


class Impossible(Exception):
    """No value is valid."""


def json_text(value: Any) -> str:
    """The value's JSON, without half characters."""
    text = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if any("\ud800" <= char <= "\udfff" for char in text) else text


def object_part(schema: Mapping[str, Any], visit: Visit, name: Name) -> Part:
    """An object: its properties in the schema's order, then others where the schema speaks of them."""
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
    required = dict.fromkeys(schema.get("required", ()))
    if not properties and not required and extra in (None, True):
        return Ref("object")
    if extra is False and required.keys() - properties.keys():
        raise Impossible
    unnamed = True if extra is None else extra
    pairs: list[tuple[Ref, bool]] = []
    for key, inner in {**properties, **{key: unnamed for key in required if key not in properties}}.items():
        try:
            pairs.append((name(seq(literal(f"{json_text(key)}:"), SPACE, visit(inner))), key in required))
        except Impossible:
            if key in required:
                raise
    other = _other_pair([*properties, *required], extra, visit)
    return bracketed("{", _chain(pairs, other if other is None else name(other), name), "}")


def _other_pair(names: Sequence[str], extra: Any, visit: Visit) -> Part | None:
    key = none_of(names)
    if extra is None or extra is False or key is None:
        return None
    try:
        return seq(key, literal(":"), SPACE, visit(extra))
    except Impossible:
        return None


def _chain(pairs: Sequence[tuple[Ref, bool]], other: Part | None, name: Name) -> Part:
    """The pairs in their order, commas between those that are there: a rule for what may follow each, so that the
    grammar grows with their number only."""
    after: Part = seq() if other is None else Many(seq(COMMA, other))
    first: Part = seq() if other is None else optional(seq(other, after))
    for pair, required in reversed(pairs):
        begun = seq(pair, after)
        first = begun if required else name(alt([begun, first]))
        after = name(seq(COMMA, pair, after) if required else seq(optional(seq(COMMA, pair)), after))
    return first


def array_part(schema: Mapping[str, Any], visit: Visit, name: Name) -> Part:
    """An array of so many items."""
    items, front = schema.get("items", True), list(schema.get("prefixItems", ()))
    if isinstance(items, list):
        items, front = schema.get("additionalItems", True), items
    least, most = _counts(schema, "minItems", "maxItems")
    front = front[:most]
    if items is False:
        most = len(front) if most is None else min(most, len(front))
    if most is not None and least > most:
        raise Impossible
    if not front:
        if most == 0:
            return bracketed("[", seq(), "]")
        try:
            return listed("[", name(visit(items)), "]", least, most)
        except Impossible:
            if least:
                raise
            return bracketed("[", seq(), "]")
    return bracketed(
        "[", _front([visit(each) for each in front], _rest(len(front), least, items, visit), least, name), "]"
    )


def _rest(front: int, least: int, items: Any, visit: Visit) -> Part:
    """After the first items only as many more as there must be."""
    more = max(least - front, 0)
    return Many(seq(COMMA, visit(items)), more, more) if more else seq()


def _front(parts: Sequence[Part], rest: Part, least: int, name: Name) -> Part:
    after = rest
    for place in range(len(parts) - 1, 0, -1):
        more = seq(COMMA, parts[place], after)
        after = name(more if place < least else optional(more))
    whole = seq(parts[0], after)
    return whole if least else optional(whole)


def string_part(schema: Mapping[str, Any], rules: dict[str, Part]) -> Part:
    """A string of a length or a format."""
    least, most = _counts(schema, "minLength", "maxLength")
    if most is not None and least > most:
        raise Impossible
    known = of_format(str(schema.get("format"))) if (least, most) == (0, None) else None
    if known is None:
        return of_length(least, most)
    rules |= known[1]
    return known[0]


def number_part(schema: Mapping[str, Any], whole: bool) -> Part:
    """A number within bounds."""
    low, high = bounds(schema)
    if not whole and low is None and high is None:
        return Ref("number")
    part = (integers if whole else numbers)(low, high)
    if part is None:
        raise Impossible
    return part


def bounds(schema: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    """The least and the greatest number; where a bound is excluded, a little within it."""
    low, high = _decimal(schema.get("minimum")), _decimal(schema.get("maximum"))
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is True and low is not None:
        low += _TINY
    elif (limit := _decimal(above)) is not None:
        low = limit + _TINY if low is None else max(low, limit + _TINY)
    if below is True and high is not None:
        high -= _TINY
    elif (limit := _decimal(below)) is not None:
        high = limit - _TINY if high is None else min(high, limit - _TINY)
    return low, high


def _decimal(value: Any) -> Decimal | None:
    return None if value is None or isinstance(value, bool) else Decimal(str(value))


def _counts(schema: Mapping[str, Any], least: str, most: str) -> tuple[int, int | None]:
    low, high = schema.get(least), schema.get(most)
    if (low or 0) > MAX_COUNT:
        raise Impossible
    return max(int(low or 0), 0), None if high is None else int(high)


def is_type(value: Any, name: Any) -> bool:
    """Whether a JSON value is of this type."""
    if isinstance(name, list):
        return any(is_type(value, each) for each in name)
    if isinstance(value, bool) or value is None:
        return bool(name == ("null" if value is None else "boolean"))
    if isinstance(value, int | float):
        return bool(name == "number" or (name == "integer" and float(value).is_integer()))
    return bool(name == _CONTAINERS.get(type(value)))


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a listed value is valid by the type, bounds and lengths that stand beside the list."""
    if "type" in schema and not is_type(value, schema["type"]):
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = bounds(schema)
        number = Decimal(str(value))
        return (low is None or low <= number) and (high is None or number <= high)
    if isinstance(value, str | list):
        words = ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
        least, most = _counts(schema, *words)
        return least <= len(value) and (most is None or len(value) <= most)
    return True
