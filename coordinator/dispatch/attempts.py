"""The attempts that workers of this coordinator hold now, in memory: what was offered, and the last sign of life."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from coordinator.store.rows import Claimed
from shared.protocol.messages import IMAGE_TOKENS, Offer, OfferBody, images_in


class Stage(StrEnum):
    """How far an attempt has come, as far as this process has heard."""

    OFFERED = "offered"
    RUNNING = "running"
    OVER = "over"


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt; times in ms. `dropped_at` is when its worker's socket went away, None while it is there.

    `reach` is how far it came, at `reached_at`: (1, prompt tokens read), then (2, output tokens), the first at `started_at`.
    An attempt that is OVER waits only for the transaction that says so: it takes no slot and no frame. `weak`: the worker said,
    when it got the offer, that another program makes its tokens; `hushed`: it was told to stop, on the connection that it has.
    """

    job: Claimed
    offer: Offer
    offered_at: int
    progress_at: int
    lease_until: int
    _stage: Stage = field(default=Stage.OFFERED, init=False)
    _moved: set[str] = field(default_factory=set, init=False)
    reach: tuple[int, int] = (0, 0)
    reached_at: int = 0
    started: bool = False
    started_at: int = 0
    dropped_at: int | None = None
    weak: bool = False
    hushed: bool = False

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        return self._stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        if (self._stage is Stage.OVER) != (stage is Stage.OVER):
            self._moved.add(self.body.worker_pk)
        self._stage = stage

    def kept_in(self, moved: set[str]) -> None:
        """From now on its worker is put in there when it takes a slot no more."""
        self._moved = moved

    def advance(self, reach: tuple[int, int], now: int) -> None:
        """Notes progress at `now` (ms) if this is further than before: saying the same again is none."""
        if reach > self.reach:
            self.reach, self.progress_at, self.reached_at = reach, now, now

    @property
    def body(self) -> OfferBody:
        """What was offered."""
        return self.offer.body

    @property
    def image_tokens(self) -> int:
        """How many tokens of the prompt its images are held for."""
        return IMAGE_TOKENS * images_in(self.body.messages)

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        return self.job.id

    @property
    def key(self) -> tuple[UUID, int, str]:
        """The fencing token: job, attempt, worker."""
        return self.job.id, self.offer.body.attempt, self.offer.body.worker_pk


@dataclass(slots=True)
class Attempts:
    """At most one attempt of a job; found by job or by worker. `moved` are the workers whose attempts have changed since it was
    last emptied."""

    moved: set[str] = field(default_factory=set)
    _by_job: dict[UUID, Attempt] = field(default_factory=dict)
    _by_worker: dict[str, dict[UUID, Attempt]] = field(default_factory=dict)

    def add(self, attempt: Attempt) -> None:
        """Takes a new attempt; an older one of the same job is fenced by it and goes."""
        older = self._by_job.get(attempt.job_id)
        if older is not None:
            self.remove(older)
        self._by_job[attempt.job_id] = attempt
        attempt.kept_in(self.moved)
        self.moved.add(attempt.body.worker_pk)
        self._by_worker.setdefault(attempt.body.worker_pk, {})[attempt.job_id] = attempt

    def remove(self, attempt: Attempt) -> None:
        """Lets go of this very attempt; a newer one of the same job stays."""
        if self._by_job.get(attempt.job_id) is attempt:
            del self._by_job[attempt.job_id]
            self.moved.add(attempt.body.worker_pk)
            held = self._by_worker[attempt.body.worker_pk]
            del held[attempt.job_id]
            if not held:
                del self._by_worker[attempt.body.worker_pk]

    def of_job(self, job_id: UUID) -> Attempt | None:
        """The job's attempt, whoever holds it."""
        return self._by_job.get(job_id)

    def of_worker(self, pk: str) -> list[Attempt]:
        """The attempts that a worker holds."""
        return list(self._by_worker.get(pk, {}).values())

    def taken(self, pk: str) -> int:
        """How many slots of a worker are taken."""
        return sum(attempt.stage is not Stage.OVER for attempt in self._by_worker.get(pk, {}).values())

    def find(self, job_id: UUID, attempt: int, pk: str) -> Attempt | None:
        """The attempt that a worker's message names, None if it is not (or no longer) its own."""
        found = self._by_job.get(job_id)
        return found if found is not None and found.key == (job_id, attempt, pk) else None

    def everything(self) -> list[Attempt]:
        """All attempts."""
        return list(self._by_job.values())
