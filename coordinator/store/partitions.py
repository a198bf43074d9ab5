"""The daily partitions of the tables that grow: made ahead, so that midnight is like any other moment."""

from datetime import date, timedelta
from typing import Final

from coordinator.store.engine import Connection, statement

DAYS_BEHIND: Final = 1
DAYS_AHEAD: Final = 7
_MAKE: Final = "SELECT hive_make_partitions(:first, :last)"


async def make_partitions(conn: Connection, today: date) -> int:
    """Makes the daily partitions around `today` (UTC) that are missing; returns how many."""
    span = {"first": today - timedelta(days=DAYS_BEHIND), "last": today + timedelta(days=DAYS_AHEAD)}
    return int(await conn.scalar(statement(_MAKE), span) or 0)
