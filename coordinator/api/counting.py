"""Who could do a kind of job, counted for whoever asks why one waits."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

import msgspec

from coordinator.api.hive import Hive
from coordinator.dispatch.offer import in_ms
from coordinator.match.counts import Counts
from coordinator.store.rows import Kind

FRESH_S: Final = 1.0
MOST_KINDS: Final = 256


class Candidates(msgspec.Struct, frozen=True):
    """Who could do a kind of job: the counts by rule, and of the workers here how long a job must have waited for each (ms) and
    whether it has a free slot."""

    counts: Counts
    here: Mapping[str, tuple[int, bool]]


class Counting:
    """Counts workers by kind for all who ask, each kind at most once a second: it is work for every worker online."""

    def __init__(self, hive: Hive, now: Callable[[], float] = monotonic) -> None:
        self._hive, self._now = hive, now
        self._known: dict[int, tuple[float, Candidates]] = {}

    def of(self, kind: Kind) -> Candidates:
        """The candidates, at most a second old."""
        known = self._known.get(kind.id)
        if known is None or self._now() - known[0] >= FRESH_S:
            if len(self._known) >= MOST_KINDS:
                self._known.clear()
            known = self._known[kind.id] = self._now(), self._count(kind)
        return known[1]

    def _count(self, kind: Kind) -> Candidates:
        hub, now = self._hive.hub, in_ms(self._hive.clock())
        hub.anyone(kind)  # from now on the kind is known there
        fits = hub.fits(kind.id).workers
        here = {pk: (fit.after_ms, hub.free_slots(pk, now) > 0) for pk, fit in fits.items()}
        return Candidates(hub.counts(kind, now), here)
