"""Canonical JSON for signed bodies: the part of RFC 8785 without floats."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

MAX_INT: Final = 2**53 - 1
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value; raises ValueError on a float, an integer beyond 2^53-1 or a non-ASCII key.

    Keys are kept to ASCII, where sorting by code point equals RFC 8785's sorting by UTF-16 unit.
    """
    _check(value)
    return _ENCODER.encode(value)


def _check(value: Any) -> None:
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) is not str or not key.isascii():
                raise ValueError(f"{key!r} cannot be the key of a signed body")
        _check_all(value.values())
    elif kind is list or kind is tuple:
        _check_all(value)
    elif kind is int:
        if abs(value) > MAX_INT:
            raise ValueError(f"{value} is beyond 2^53-1")
    elif not (value is None or isinstance(value, bool | str)):
        raise ValueError(f"{kind.__name__} cannot be signed")


def _check_all(values: Iterable[Any]) -> None:
    """Token ids are many: what is plainly right is not asked one by one."""
    for value in values:
        kind = type(value)
        if not (kind is str or (kind is int and -MAX_INT <= value <= MAX_INT)):
            _check(value)
