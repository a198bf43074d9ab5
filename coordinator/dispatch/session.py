"""One live worker: its end of the protocol, what waits to be sent to it, and how fast it may speak."""

from collections.abc import Sequence
from typing import Final, Protocol

from coordinator.dispatch.channel import WorkerPublic
from coordinator.match.rules import WorkerFacts
from shared.protocol.closing import Closed, closed
from shared.protocol.coordinator_end import CoordinatorEnd
from shared.protocol.messages import Capabilities, CloseCode, Standing, ToWorker

MAX_QUEUED_BYTES: Final = 8 << 20
"""What may wait for a slow reader; more ends its session."""

FRAMES_PER_S: Final = 1000
"""Frames a worker may send in a second, whatever it computes."""

FRAMES_PER_SLOT: Final = 100
"""And as many more for each of its slots: no stream of tokens that people read is faster."""


class Line(Protocol):
    """The way to the worker."""

    def say(self, frames: Sequence[bytes]) -> int:
        """Writes frames; returns how many bytes wait for the worker to take them."""

    def end(self, why: Closed) -> None:
        """Closes the way, after all that was said."""


class Bucket:
    """A token bucket: `rate` a second, at most two seconds' worth at once."""

    __slots__ = ("_at", "_level", "rate")

    def __init__(self, rate: int, now: int) -> None:
        self.rate = rate
        self._level = 2.0 * rate
        self._at = now

    def take(self, now: int) -> bool:
        """Whether one more is within the rate at `now` (ms)."""
        self._level = min(2.0 * self.rate, self._level + (now - self._at) * self.rate / 1000)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


class Session:
    """A welcomed worker. `send` and `close` never wait: what is said goes to the `line`, and waits in `early` until there is
    one. `news` is what it said of itself since the register was last written, `told` the last that it heard of the books,
    which were read for it at `books_at` (ms); it was asked to load a model at `wanted_at`. Every second heartbeat is
    answered, the last one if it `answers`. `number` counts the worker's sessions, here and at other coordinators."""

    __slots__ = (
        "_bucket", "answers", "books_at", "closing", "early", "end", "facts", "heard_at", "last_job_at", "line", "news",
        "number", "public", "record", "rests_until", "told", "wanted_at",
    )  # fmt: skip

    def __init__(
        self, end: CoordinatorEnd, facts: WorkerFacts, public: WorkerPublic, now: int, number: int = 0
    ) -> None:
        self.end = end
        self.facts = facts
        self.public = public
        self.number = number
        self.heard_at = now
        self.last_job_at = 0
        self.record = 0
        self.answers = False
        self.rests_until = 0
        self.news: Capabilities | None = None
        self.told: Standing | None = None
        self.books_at = 0
        self.wanted_at = 0
        self.closing: Closed | None = None
        self.line: Line | None = None
        self.early: list[bytes] = []
        self._bucket = Bucket(FRAMES_PER_S + FRAMES_PER_SLOT * facts.slots, now)

    @property
    def pk(self) -> str:
        """The worker's key, hex."""
        return self.facts.pk

    def open(self, line: Line) -> None:
        """There is a way to the worker now: it takes what was said before."""
        early, self.early, self.line = self.early, [], line
        line.say(early)
        if self.closing is not None:
            line.end(self.closing)

    def send(self, message: ToWorker) -> None:
        """Says something; nothing once the session ends."""
        self.push(self.end.send(message))

    def push(self, frames: list[bytes]) -> None:
        """Says frames that the end has sealed already."""
        if self.line is None:
            self.early += frames
        elif self.line.say(frames) > MAX_QUEUED_BYTES and self.closing is None:
            self.end.refuse(CloseCode.OVERLOAD, "")  # nothing is said after a gap in the numbers
            self.fault(closed(CloseCode.OVERLOAD, "you read too slowly"))

    def close(self, code: CloseCode, reason: str) -> None:
        """Ends the session with this code, once what was said has been sent; the first reason stays."""
        if self.closing is None:
            frames = self.end.refuse(code, reason)
            why = self.end.closed or closed(code, reason)
            self.push(frames)
            self.fault(why)

    def fault(self, why: Closed) -> None:
        """The session is over; the first reason stays."""
        if self.closing is None:
            self.closing = why
            if self.line is not None:
                self.line.end(why)

    def within_rate(self, now: int) -> bool:
        """Whether one more frame is within the worker's rate."""
        return self._bucket.take(now)
