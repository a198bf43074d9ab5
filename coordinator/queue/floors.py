"""From where on the ready jobs of each kind are looked for: below are only places that others have left.

While a transaction is open somewhere, PostgreSQL keeps what was ready before; a claim that began at the very front would walk
over all of it, each time. A floor may be too high, for another coordinator writes and lets go what is not known here: the
look, once a second, sets it right.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from coordinator.queue.line import Line, Place
from coordinator.queue.order import LOWEST
from coordinator.store.rows import Ask, Claimed

MOST: Final = 16_384
"""Of so many kinds floors are kept; beyond it all are learned again."""


class Floors:
    """The floors that one coordinator knows, by kind: now, and as the last look found them; and the line of the kinds that
    wait: those first that stand foremost and gave something the last time, then those that were asked in vain, who was asked
    last the last. A job may be put in while a look or a claim is on its way, which does not see it: what was put since one
    `began` counts after it."""

    def __init__(self) -> None:
        self.line = Line(self._place)
        self._now: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._put: dict[int, int] = {}
        self._barren: dict[int, int] = {}
        self._turn = 0

    def began(self) -> None:
        """The database is asked."""
        self._put = {}

    def over(self, asks: Sequence[Ask]) -> list[Ask]:
        """What is asked now, each from its kind's floor on; who asks says afterwards which of the kinds wait yet."""
        self.began()
        self.line.take(ask.kind_id for ask in asks)
        return [msgspec.structs.replace(ask, floor=self._floor(ask.kind_id)) for ask in asks]

    def more(self, models: Collection[str], passed: Collection[int]) -> bool:
        """Whether a kind of these models that was not just passed waits and may give something."""
        others = (kind_id for kind_id in self.line.in_order(models) if kind_id not in passed)
        return next((kind_id not in self._barren for kind_id in others), False)

    def waits(self, kind_id: int, model: str) -> None:
        """Jobs of this kind may wait."""
        self.line.put(kind_id, model)

    def put(self, kind_id: int, tag: int) -> None:
        """A job of this kind was put there."""
        self._put[kind_id] = min(tag, self._put.get(kind_id, tag))
        self._barren.pop(kind_id, None)
        if kind_id in self._now:
            self._now[kind_id] = min(tag, self._now[kind_id])
        self.line.moved(kind_id)

    def again(self, kind_ids: Iterable[int]) -> None:
        """Jobs of these kinds were put somewhere, so they are looked for as far back as the last look saw any."""
        for kind_id in kind_ids:
            self.put(kind_id, self._seen.get(kind_id, LOWEST))

    def seen(self, first: Mapping[int, int]) -> None:
        """The first ready job of each kind stood there, and of other kinds there was none."""
        if len(self._now) > MOST:
            self._now = {}
        self._seen, self._barren = dict(first), {}
        self._rise(first)
        self.line.all_moved()

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
        self.vain(ask.kind_id for ask in asks if ask.kind_id not in fruitful)
        for kind_id in fruitful:
            self._barren.pop(kind_id, None)
            self.line.moved(kind_id)

    def vain(self, kind_ids: Iterable[int]) -> None:
        """Of these nothing could be given away: others go first, until something is heard of them."""
        self._turn += 1
        for kind_id in kind_ids:
            self._barren[kind_id] = self._turn
            self.line.moved(kind_id)

    def _floor(self, kind_id: int) -> int:
        return self._now.get(kind_id, LOWEST)

    def _place(self, kind_id: int) -> Place:
        return self._barren.get(kind_id, 0), self._floor(kind_id)

    def _rise(self, to: Mapping[int, int]) -> None:
        self._now |= {kind_id: min(tag, self._put.get(kind_id, tag)) for kind_id, tag in to.items()}
