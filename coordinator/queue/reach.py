"""How far back a sweep looks for jobs that are due: a moment, most often, and all the way once a minute.

While a transaction is open somewhere, PostgreSQL keeps when each job was due before: a sweep that began at the very front would
walk over all of it, each second.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before all that is due."""

RECENT: Final = timedelta(seconds=10)
"""Twice as long as the sweep leaves a job to its own coordinator; clocks differ by less."""

FULL: Final = timedelta(minutes=1)
SHARE: Final = 20
"""A sweep all the way takes a twentieth of the time at most."""


class Reach:
    """From when on one coordinator sweeps; the first time from ever on."""

    def __init__(self) -> None:
        self._full_at = self._last = EVER

    def since(self, now: datetime) -> datetime:
        """What was due before that was found by an earlier sweep."""
        return EVER if now >= self._full_at else self._last - RECENT

    def swept(self, since: datetime, began: datetime, ended: datetime) -> None:
        """A sweep from `since` on, which left nothing for the next, is over."""
        self._last = began
        if since == EVER:
            self._full_at = ended + max(FULL, SHARE * (ended - began))
