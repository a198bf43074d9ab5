"""How reliable a worker was of late: what it ended and what it lost, as one coordinator saw it. It says nothing of honesty."""

from collections import OrderedDict
from typing import Final

import msgspec

HALF_MS: Final = 3_600_000
"""After so long what was counted counts half."""

MOST: Final = 16_384
"""Of so many workers a record is kept at most."""

ONE: Final = 1 << 10
"""One attempt, so that its half and the half of that still count."""

NEW: Final = 16
"""As many attempts a worker is taken to have ended well before its first, so that one loss is no record."""

STEPS: Final = (24, 8, 3)
"""Of so many attempts one is lost: each step makes a class."""


class _Counts(msgspec.Struct):
    at: int
    ended: int = 0
    lost: int = 0


class Records:
    """The workers' records, by key; times in ms."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, _Counts] = OrderedDict()

    def ended(self, pk: str, now: int) -> int:
        """A worker has brought a result; its class by now."""
        self._of(pk, now).ended += ONE
        return self.rank(pk, now)

    def lost(self, pk: str, now: int) -> int:
        """A worker has lost an attempt; its class by now."""
        self._of(pk, now).lost += ONE
        return self.rank(pk, now)

    def rank(self, pk: str, now: int) -> int:
        """The class of a worker at `now`: 0 for one that loses next to nothing or is not known, up to 3."""
        counts = self._counts.get(pk)
        if counts is None:
            return 0
        halvings = max(0, now - counts.at) // HALF_MS
        lost, ended = counts.lost >> halvings, counts.ended >> halvings
        return sum(lost * step >= lost + ended + NEW * ONE for step in STEPS)

    def _of(self, pk: str, now: int) -> _Counts:
        counts = self._counts.setdefault(pk, _Counts(now))
        self._counts.move_to_end(pk)
        halvings = max(0, now - counts.at) // HALF_MS
        counts.at += halvings * HALF_MS
        counts.ended, counts.lost = counts.ended >> halvings, counts.lost >> halvings
        while len(self._counts) > MOST:
            self._counts.popitem(last=False)
        return counts
