"""Whether schemas exclude each other, so that no value fits two."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from shared.chat.shapes import is_type

_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")


def distinct(schemas: Sequence[Any]) -> bool:
    """Whether every two have other types, or are objects told apart by a required property's listed values."""
    return all(_apart(one, other) for one, other in combinations(schemas, 2))


def _apart(one: Any, other: Any) -> bool:
    if one is False or other is False:
        return True
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    mine, theirs = _values(one), _values(other)
    if mine is not None and theirs is not None:
        return not any(repr(value) in map(repr, theirs) for value in mine)
    return not (_types(one) & _types(other)) or _told_apart(one, other)


def _told_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    shared = {*one.get("required", ())} & {*other.get("required", ())}
    for name in shared:
        mine, theirs = (_values(schema.get("properties", {}).get(name)) for schema in (one, other))
        if mine is not None and theirs is not None and not any(repr(value) in map(repr, theirs) for value in mine):
            return True
    return False


def _values(schema: Any) -> list[Any] | None:
    if not isinstance(schema, dict) or not ("const" in schema or "enum" in schema):
        return None
    return [schema["const"]] if "const" in schema else list(schema["enum"])


def _types(schema: Mapping[str, Any]) -> set[str]:
    values = _values(schema)
    if values is not None:
        return {name for name in _TYPES for value in values if is_type(value, name)}
    named = schema.get("type", list(_TYPES))
    types = {named} if isinstance(named, str) else set(named)
    return types | ({"integer"} if "number" in types else set())
