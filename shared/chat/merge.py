"""Two JSON schemas as one that holds for what holds for both."""

from collections.abc import Callable
from typing import Any, Final

Schema = dict[str, Any]

ANNOTATIONS: Final = frozenset(
    (
        *("title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "nullable"),
        *("$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "strict", "contentEncoding"),
        *("contentMediaType", "format"),
    )
)
"""Keywords that do not change which values are valid."""


class NotMerged(ValueError):
    """No one schema says what the two say."""


def merged(one: Any, other: Any) -> Any:
    """The schema of both; raises NotMerged. References must be resolved."""
    if one is True or other is True:
        return other if one is True else one
    if one is False or other is False:
        return False
    if not isinstance(one, dict) or not isinstance(other, dict):
        raise NotMerged
    both = {**other, **one}
    for key in one.keys() & other.keys() - ANNOTATIONS:
        if one[key] != other[key]:
            both[key] = _word(key)(one[key], other[key])
    if "properties" in both:
        both["properties"] = _properties(one, other)
    return both


def _properties(one: Schema, other: Schema) -> Schema:
    mine, theirs = one.get("properties", {}), other.get("properties", {})
    return {
        name: merged(
            mine.get(name, one.get("additionalProperties", True)),
            theirs.get(name, other.get("additionalProperties", True)),
        )
        for name in [*mine, *(name for name in theirs if name not in mine)]
    }


def _word(key: str) -> Callable[[Any, Any], Any]:
    return _WORDS.get(key, _refuse)


def _refuse(_one: Any, _other: Any) -> Any:
    raise NotMerged


def _types(one: Any, other: Any) -> Any:
    mine, theirs = (set(value) if isinstance(value, list) else {value} for value in (one, other))
    whole = {"integer"} if "number" in mine | theirs and "integer" in mine | theirs else set()
    found = sorted((mine & theirs) | whole)
    if not found:
        raise NotMerged
    return found[0] if len(found) == 1 else found


def _common(one: Any, other: Any) -> Any:
    return [value for value in one if value in other]


_WORDS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "type": _types,
    "enum": _common,
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "properties": lambda one, _other: one,
    "additionalProperties": merged,
    "items": merged,
    "minimum": max,
    "exclusiveMinimum": max,
    "minLength": max,
    "minItems": max,
    "maximum": min,
    "exclusiveMaximum": min,
    "maxLength": min,
    "maxItems": min,
}
