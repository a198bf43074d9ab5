"""From where on the ready jobs of each kind are looked for: below are only places that others have left.

While a transaction is open somewhere, PostgreSQL keeps what was ready before; a claim that began at the very front would walk
over all of it, each time. A floor may be too high, for another coordinator writes and lets go what is not known here: the
look, once a second, sets it right.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final
from uuid import UUID

import msgspec

from coordinator.queue.order import LOWEST
from coordinator.store.rows import Ask, Claimed

MOST: Final = 16_384
"""Of so many kinds floors are kept; beyond it all are learned again."""


class Floors:
    """The floors that one coordinator knows, by kind: now, and as the last look found them. A job may be put in while a look
    or a claim is on its way, which does not see it: what was put since one `began` counts after it."""

    def __init__(self) -> None:
        self._now: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._put: dict[int, int] = {}

    def began(self) -> None:
        """The database is asked."""
        self._put = {}

    def over(self, asks: Iterable[Ask]) -> list[Ask]:
        """The asks, each from its kind's floor on."""
        self.began()
        return [msgspec.structs.replace(ask, floor=self._now.get(ask.kind_id, LOWEST)) for ask in asks]

    def put(self, kind_id: int, tag: int) -> None:
        """A job of this kind was put there."""
        self._put[kind_id] = min(tag, self._put.get(kind_id, tag))
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
        self._seen = dict(first)
        self._rise(first)

    def claimed(self, asks: Iterable[Ask], jobs: Iterable[Claimed], given: Collection[UUID]) -> None:
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

    def _rise(self, to: Mapping[int, int]) -> None:
        self._now |= {kind_id: min(tag, self._put.get(kind_id, tag)) for kind_id, tag in to.items()}
