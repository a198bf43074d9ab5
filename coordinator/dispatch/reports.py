"""What workers reported and watching found, waiting for one transaction: a commit is paid for many of them at once."""

import asyncio
from collections import deque
from typing import Final

import msgspec

from coordinator.dispatch.attempts import Attempt
from coordinator.store.rows import Result

MOST: Final = 64
"""How many reports one transaction takes."""

MAX_WAITING: Final = 20_000
"""Beyond this (the database is away) results are left in the workers' outboxes and the leases tell of the rest."""


class Started(msgspec.Struct, frozen=True):
    """The first token of an attempt came."""

    attempt: Attempt


class Finished(msgspec.Struct, frozen=True):
    """A checked result."""

    attempt: Attempt
    result: Result


class Lost(msgspec.Struct, frozen=True):
    """An attempt came to nothing, for a reason that says nothing of prompt or result; another worker may do it."""

    attempt: Attempt
    reason: str


class Declined(msgspec.Struct, frozen=True):
    """The worker did not take the offer."""

    attempt: Attempt
    reason: str


class GaveUp(msgspec.Struct, frozen=True):
    """The attempt failed in a way that another worker cannot mend."""

    attempt: Attempt
    code: str
    message: str


Report = Started | Finished | Lost | Declined | GaveUp


class Reports:
    """The queue in front of the committer."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self._waiting: deque[Report] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, report: Report) -> bool:
        """Queues a report; False if too many wait, which is no harm: each can be lost in a crash as well."""
        if len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(report)
        self.news.set()
        return True

    def take(self) -> list[Report]:
        """The next batch, in the order of arrival."""
        batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        if not self._waiting:
            self.news.clear()
        return batch

    def put_back(self, batch: list[Report]) -> None:
        """The batch could not be written: it goes first the next time."""
        self._waiting.extendleft(reversed(batch))
        self.news.set()
