"""To whom the end of a job owes what: a payable for each attempt that made tokens of it. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from coordinator.queue.lifecycle import Event
from coordinator.settle.split import Leg, Lost, Split, divide
from coordinator.store.changes import End
from coordinator.store.rows import Payable

SIGN: Final = timedelta(hours=24)
"""For so long after the end of a job a lost worker's share of it waits for its signature."""


class Due(msgspec.Struct, frozen=True):
    """What one job owes: its last attempt's payable, with the pools' legs, comes first. Those of the attempts `unsigned` wait
    for their workers' signatures."""

    payables: list[Payable]
    unsigned: frozenset[int] = frozenset()

    @property
    def earned(self) -> int:
        """What the last attempt's worker has earned for sure, in stroops."""
        last = self.payables[0]
        return 0 if last.attempt in self.unsigned else last.worker

    def until(self, payable: Payable, now: datetime) -> datetime | None:
        """When a payable's time to be signed is over, None for one that needs no signature."""
        return now + SIGN if payable.attempt in self.unsigned else None


def due(end: End, lost: Sequence[Lost]) -> Due:
    """What a job that ends so owes, with its `lost` attempts in their order. Of a job that ends by the loss of its worker
    that one's part waits as well; what it made may not be known."""
    own, total = end.share
    legs, shares = divide(end.cost, 0 if end.event is Event.LOSE else own, total, lost)
    last = _of_last(end, legs, [share for share in shares if share.attempt == end.attempt])
    others = [
        Payable(
            id=end.id, attempt=s.attempt, worker_pk=s.worker_pk, worker=s.amount, platform=0, resilience=0, quorum=0
        )
        for s in shares
        if s.attempt != end.attempt
    ]
    return Due([last, *others], frozenset(share.attempt for share in shares))


def _of_last(end: End, legs: Split, own: Sequence[Leg]) -> Payable:
    """The last attempt's payable; if that one was lost, its share is there, and the pools' legs wait with it."""
    worker_pk = own[0].worker_pk if own else end.worker_pk
    worker = legs.worker + sum(share.amount for share in own)
    return Payable(
        id=end.id, attempt=end.attempt, worker_pk=worker_pk, worker=worker, platform=legs.platform,
        resilience=legs.resilience, quorum=legs.quorum,
    )  # fmt: skip
