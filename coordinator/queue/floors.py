"""From where on the ready jobs of each kind are looked for: below are only places that others have left.

While a transaction is open somewhere, PostgreSQL keeps what was ready before; a claim that began at the very front would walk
over all of it, each time. A floor may be too high, for another coordinator writes and lets go what is not known here: the
look, once a second, sets it right.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from coordinator.queue.order import LOWEST
from coordinator.store.rows import Ask, Claimed

MOST: Final = 16_384
"""Of so many kinds floors are kept; beyond it all are learned again."""

ASKED: Final = 64
"""So many kinds are claimed from at once at most: those whose first job stands foremost."""

MORE: Final = 3
"""So many kinds more than there are slots, for some may have nothing."""


class Floors:
    """The floors that one coordinator knows, by kind: now, and as the last look found them. A job may be put in while a look
    or a claim is on its way, which does not see it: what was put since one `began` counts after it."""

    def __init__(self) -> None:
        self._now: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._put: dict[int, int] = {}
        self._barren: set[int] = set()

    def began(self) -> None:
        """The database is asked."""
        self._put = {}

    def over(self, asks: Sequence[Ask], free: int, spare: Mapping[int, int]) -> list[Ask]:
        """Of all that may be asked what is asked now for so many `free` slots, each from its kind's floor on: those kinds
        first that stand foremost and gave something the last time, and hardly more jobs than there are slots, for each is
        locked; but for those to `spare`."""
        self.began()
        many = min(ASKED, free + MORE)
        asked = heapq.nsmallest(many, asks, key=lambda ask: (ask.kind_id in self._barren, self._floor(ask.kind_id)))
        each = -(-free // max(1, len(asked)))
        return [
            msgspec.structs.replace(
                ask, floor=self._floor(ask.kind_id), limit=min(ask.limit, each + spare.get(ask.kind_id, 0))
            )
            for ask in asked
        ]

    def more(self, asks: Iterable[Ask], asked: Iterable[Ask]) -> bool:
        """Whether something is left to ask for that may give something."""
        done = {ask.kind_id for ask in asked} | self._barren
        return any(ask.kind_id not in done for ask in asks)

    def _floor(self, kind_id: int) -> int:
        return self._now.get(kind_id, LOWEST)

    def put(self, kind_id: int, tag: int) -> None:
        """A job of this kind was put there."""
        self._put[kind_id] = min(tag, self._put.get(kind_id, tag))
        self._barren.discard(kind_id)
        if kind_id in self._now:
            self._now[kind_id] = min(tag, self._now[kind_id])

    def again(self, kind_ids: Iterable[int]) -> None:
        """Jobs of these kinds were put somewhere, so they are looked for as far back as the last look saw any."""
        for kind_id in kind_ids:
            self.put(kind_id, self._seen.get(kind_id, LOWEST))

    def seen(self, first: Mapping[int, int]) -> None:
        """The first ready job of each kind stood there, and of other kinds there was none."""
        if len(self._now) > MOST:
            self._now = {}
        self._seen, self._barren = dict(first), set()
        self._rise(first)

    def claimed(self, asks: Sequence[Ask], jobs: Sequence[Claimed], given: Collection[UUID]) -> None:
        """These were found, in the order of their places, and so many of them were given away. What was passed over as too
        young stays in reach."""
        stuck = {ask.kind_id for ask in asks if ask.min_age_ms}
        risen: dict[int, int] = {}
        for job in jobs:
            if job.kind_id not in stuck:
                risen[job.kind_id] = job.tag
                if job.id not in given:
                    stuck.add(job.kind_id)
        self._rise(risen)
        fruitful = {job.kind_id for job in jobs if job.id in given}
        self._barren = (self._barren | {ask.kind_id for ask in asks}) - fruitful

    def _rise(self, to: Mapping[int, int]) -> None:
        self._now |= {kind_id: min(tag, self._put.get(kind_id, tag)) for kind_id, tag in to.items()}
