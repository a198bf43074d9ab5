"""Bytes of the link today, across restarts of the daemon: HIVE_HOME/usage.json."""

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from shared.files import write_private

FILE: Final = "usage.json"


class Usage(msgspec.Struct, frozen=True):
    """What one day of the wall's calendar has cost, in bytes."""

    day: str = ""
    sent: int = 0
    received: int = 0

    def plus(self, sent: int, received: int, now: datetime) -> "Usage":
        """The same with these bytes more; a new day begins with them alone."""
        day = now.date().isoformat()
        if day != self.day:
            return Usage(day, sent, received)
        return Usage(day, self.sent + sent, self.received + received)


def read_usage(home: Path) -> Usage:
    """What was kept; nothing if it cannot be read."""
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=Usage)
    except (OSError, msgspec.DecodeError):
        return Usage()


def keep_usage(home: Path, usage: Usage) -> None:
    """Keeps it in one step."""
    write_private(home / FILE, msgspec.json.encode(usage))
