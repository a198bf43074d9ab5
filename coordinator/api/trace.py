"""What the headers of an inference answer tell of its way: which job, who served it, where, and how long it waited."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal
from uuid import UUID

from coordinator.dispatch.relay import Ended, JobEvent, Status, WorkerPublic


class Trace:
    """Follows one job's events. `received` and `accepted` are readings of the clock `now` (seconds): when the request
    came, and when its job was committed. `cache` says whether an earlier answer is given again, where one could be, and
    `served_in` in which countries jobs were done that had ended before."""

    def __init__(self, job_id: UUID, *, received: float, accepted: float, now: Callable[[], float]) -> None:
        self._job_id = job_id
        self._received = received
        self._accepted = accepted
        self._now = now
        self._assigned: float | None = None
        self._worker: WorkerPublic | None = None
        self._served: tuple[str, str, Sequence[str]] | None = None
        self.served_in: Mapping[UUID, Sequence[str]] = {}
        self.cache: Literal["hit", "miss"] | None = None

    def note(self, event: JobEvent) -> None:
        """Take in an event: the first worker is the one that the headers name."""
        if isinstance(event, Status) and event.worker is not None and self._worker is None:
            self._assigned = self._now()
            self._worker = event.worker
        elif isinstance(event, Ended) and self._assigned is None:
            self._assigned = self._now()
            if event.view.worker_pk is not None and event.view.worker_cell is not None:
                countries = self.served_in.get(event.view.id, ())
                self._served = event.view.worker_pk, event.view.worker_cell, countries

    @property
    def dispatched(self) -> bool:
        """Whether a worker has got the job, as far as its events tell."""
        return self._worker is not None or self._served is not None

    def headers(self) -> dict[str, str]:
        """The headers as far as they are known now: waiting time is from commit to the first worker (of all answers to the
        request; nothing where it joined a job that had one), overhead from the request's arrival to the commit, without the
        time in which the client sent its body."""
        headers = {
            "x-hive-job-id": str(self._job_id),
            "x-hive-overhead-ms": _ms(self._accepted - self._received),
        }
        if self._worker is not None:
            headers["x-hive-worker"] = self._worker.pk
            headers["x-hive-cell"] = self._worker.cell
            headers["x-hive-jurisdiction"] = ",".join(sorted(self._worker.countries))
        elif self._served is not None:
            headers["x-hive-worker"], headers["x-hive-cell"], countries = self._served
            headers["x-hive-jurisdiction"] = ",".join(sorted(countries))
        if self.cache is not None:
            headers["x-hive-cache"] = self.cache
        if self._assigned is not None:
            headers["x-hive-queue-ms"] = _ms(self._assigned - self._accepted)
        return headers


def _ms(seconds: float) -> str:
    return f"{max(0.0, seconds) * 1000:.1f}"
