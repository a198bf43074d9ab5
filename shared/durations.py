"""Lengths of time as people write them: "90s", "30m", "24h", "7d"."""

import re
from datetime import timedelta
from typing import Final

_WRITTEN: Final = re.compile(r"(\d{1,4})\s*([smhd])", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration_of(written: str) -> timedelta | None:
    """Reads a number of up to four digits with its unit (s, m, h or d); None if it is no length of time."""
    match = _WRITTEN.fullmatch(written.strip().lower())
    return None if match is None else timedelta(seconds=int(match[1]) * _UNITS[match[2]])
