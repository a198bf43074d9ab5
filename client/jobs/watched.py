"""What is known of a job that is being watched: from the list, and from its events. Pure: the clock's seconds come in."""

from collections import deque
from typing import Final

from client.events import Done, Event, Failed, Moved, ServingWorker, Token
from client.printed import place, printable
from client.shapes.jobs import ENDED, Job

TICK_S: Final = 0.25
WINDOW_S: Final = 5.0


class Watched:
    """One job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.status: str = job.status
        self.tokens = job.tokens_generated
        self.attempt = job.attempts
        self._worker: ServingWorker | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._rate = 0.0

    def take(self, event: Event, now: float) -> None:
        """Something has happened to it."""
        match event:
            case Moved(status, attempt, worker):
                self.status, self.attempt = status, attempt
                self._worker = worker or self._worker
            case Token(index, _, _):
                self._count(index + 1, now)
            case Done(job) | Failed(job, _):
                self.job, self.status, self.tokens = job, job.status, job.tokens_generated
                self._rate = job.tokens_per_second or 0.0

    def listed(self, job: Job) -> None:
        """What a list says of it, for a job whose events are not followed."""
        self.job, self.status = job, job.status

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    @property
    def worker(self) -> str:
        """Who computes it: the handle, else the beginning of the key; empty for nobody."""
        if self._worker is not None:
            return printable(self._worker.handle or self._worker.pk[:8])
        return printable(self.job.worker_handle or (self.job.worker_pk or "")[:8])

    @property
    def where(self) -> str:
        """In which countries and cell."""
        if self._worker is not None:
            return place(self._worker.countries, self._worker.cell)
        return place((), self.job.worker_cell)

    @property
    def speed(self) -> str:
        """Its tokens a second so far; empty while that cannot be said."""
        return f"{self._rate:.0f}" if self._rate else ""

    def sentence(self) -> str:
        """The job in a line."""
        by = f" by {self.worker}" if self.worker else ""
        parts = [
            self.status.replace("_", " ") + by,
            self.where,
            f"attempt {self.attempt}" if self.attempt > 1 else "",
            f"{self.tokens:,} of {self.job.max_tokens:,} tokens" if self.tokens else "",
            f"{self.speed} tokens/s" if self.speed else "",
        ]
        return " · ".join(part for part in parts if part)

    def _count(self, tokens: int, now: float) -> None:
        """What was there before comes at once, so it is what came since that tells the speed."""
        self.tokens = tokens
        if self._samples and now - self._samples[-1][0] < TICK_S:
            now, _ = self._samples.pop()
        self._samples.append((now, tokens))
        while now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()
        since, before = self._samples[0]
        self._rate = (tokens - before) / (now - since) if now > since else 0.0
