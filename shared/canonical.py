"""Canonical JSON for signed bodies: the part of RFC 8785 without floats."""

import json
from typing import Any, Final

MAX_INT: Final = 2**53 - 1


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value; raises ValueError on a float, an integer beyond 2^53-1 or a non-ASCII key.

    Keys are kept to ASCII, where sorting by code point equals RFC 8785's sorting by UTF-16 unit.
    """
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _check(value: Any) -> None:
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_INT:
            raise ValueError(f"{value} is beyond 2^53-1")
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError(f"{key!r} cannot be the key of a signed body")
            _check(item)
    else:
        raise ValueError(f"{type(value).__name__} cannot be signed")
