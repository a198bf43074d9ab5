"""Which other coordinators read what, and how much of it they were told. Pure."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from msgspec import Struct

LAPSE_MS: Final = 5_000
"""A coordinator that did not say for so long that it reads a job does not."""


class Follower(Struct):
    """One coordinator that reads a job: how many events it was told, and when (ms) it last asked."""

    asked_at: int
    told: int = 0


class Followers:
    """By job, then by the coordinator's name."""

    def __init__(self) -> None:
        self._of: dict[UUID, dict[str, Follower]] = {}

    def __contains__(self, job_id: UUID) -> bool:
        return job_id in self._of

    def ask(self, job_id: UUID, by: str, now: int) -> Follower:
        """The coordinator reads this job at `now` (ms)."""
        follower = self._of.setdefault(job_id, {}).setdefault(by, Follower(now))
        follower.asked_at = now
        return follower

    def of(self, job_id: UUID) -> Iterable[tuple[str, Follower]]:
        """Who reads this job."""
        return list(self._of.get(job_id, {}).items())

    def drop(self, job_id: UUID) -> None:
        """Nobody needs to be told of this job any more."""
        self._of.pop(job_id, None)

    def lapse(self, now: int) -> None:
        """Forgets whoever did not ask again."""
        for job_id, names in list(self._of.items()):
            left = {name: one for name, one in names.items() if one.asked_at + LAPSE_MS > now}
            if left:
                self._of[job_id] = left
            else:
                del self._of[job_id]
