"""A job's place in the queue of its kind: the lowest tag goes first.

Start-time fair queueing. A flow is what one account asks for in one lane. Its jobs start one after the other in virtual time,
each as much later as the one before costs (in tokens, over the flow's weight), and the first of them now: at the highest
start of a job that was given to a worker. Who asks for little goes at once, who asks for much goes between the others. No
account is told what another one has asked for, and no row is written by all.

Virtual time is in microseconds since 1970 UTC and never behind the clock, so that tags of different kinds, coordinators and
days compare, and a flow that waits while others come goes before them at last.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, assert_never
from uuid import UUID

import msgspec

Lane = Literal["interactive", "batch"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
TOKEN: Final = 100_000
"""How far a token takes a flow of weight 1 through virtual time, in microseconds."""

LOWEST: Final = -(2**63)
"""Before every place that there is."""

BATCH_YIELDS: Final = timedelta(hours=1)
"""How much later in virtual time a job of the batch lane goes: by so much older it goes before an interactive one."""


SLOWEST: Final = 4
"""A pool that falls behind the clock still moves at a quarter of its pace: there too batch has its turn within four hours,
however many callers come anew."""


class Flow(msgspec.Struct, frozen=True):
    """What one account asks for in one lane."""

    account: UUID
    lane: Lane


class Pool(msgspec.Struct, frozen=True):
    """What shares workers, as far as a job says: the model and the place."""

    model: str
    region: str
    cell: int | None


def moment(at: datetime) -> int:
    """Where the clock is in virtual time."""
    return (at - EPOCH) // MICROSECOND


def tag(start: int, lane: Lane) -> int:
    """The place of a job that starts then."""
    return start + _yields(lane)


def start_of(tag: int, lane: Lane) -> int:
    """When in virtual time the job at this place starts."""
    return tag - _yields(lane)


class _Course(msgspec.Struct):
    """How far a flow has come, in all or in a pool: when its last job ends and when that starts, and its weight."""

    finish: int
    weight: int
    begun: int

    def back(self, tokens: int) -> None:
        """So many tokens fewer were taken than were asked for; nothing goes before what came last."""
        self.finish = min(self.finish, max(self.begun, self.finish - tokens * TOKEN // self.weight))


class Order:
    """The places that one coordinator gives out. What other coordinators gave is told to it: a second late, a flow is ahead by
    what it asked for there in that second."""

    def __init__(self) -> None:
        self.virtual = 0
        self._moved = False
        self._told_at = 0
        self._courses: dict[Flow, _Course] = {}
        self._newest: set[Flow] = set()
        self._heads: dict[Pool, int] = {}
        self._ends: dict[tuple[Flow, Pool], _Course] = {}

    def start(self, flow: Flow, pool: Pool, tokens: int, weight: int, now: datetime) -> int:
        """When a job of so many tokens starts that came just now: behind those of its flow that wait. Where a pool has
        fallen behind, because its workers are slower than others, a flow that comes anew starts with the first that wait
        there."""
        virtual, length = max(self.virtual, moment(now)), tokens * TOKEN // weight
        course = self._courses.get(flow)
        ahead = 0 if course is None else max(0, course.finish - virtual)
        self._courses[flow] = _Course(virtual + ahead + length, weight, virtual + ahead)
        self._newest.add(flow)
        head = min(virtual, self._heads.get(pool, virtual))
        here = self._ends.get((flow, pool))
        start = max(head + ahead, head if here is None else here.finish)
        if start == head < virtual:
            # Of all that come anew each is a token later: those who came first would wait for all who ever come.
            self._heads[pool] = head + TOKEN
        self._ends[flow, pool] = _Course(start + length, weight, start)
        return start

    def withdraw(self, flow: Flow, pool: Pool, tokens: int) -> None:
        """A job that was given a place was not made."""
        for course in self._of(flow, pool):
            course.finish -= tokens * TOKEN // course.weight

    def unused(self, flow: Flow, pool: Pool, tokens: int) -> None:
        """A job has ended that took so many tokens fewer than it was given a place for: what its flow asks for next goes so
        much earlier, or who leaves max_tokens out would wait as if all of it had been made."""
        for course in self._of(flow, pool):
            course.back(tokens)

    def given(self, start: int) -> None:
        """A job that starts then was given to a worker."""
        if start > self.virtual:
            self.virtual, self._moved = start, True

    def told(self, virtual: int, heads: Iterable[tuple[Pool, int]], now: datetime) -> None:
        """How far others have come, and when the first that waits of each kind starts. Flows that are not ahead of it are
        forgotten: they are as good as new."""
        self.virtual = max(self.virtual, virtual)
        passed = max(self.virtual, moment(now))
        first: dict[Pool, int] = {}
        for pool, start in heads:
            first[pool] = min(start, first.get(pool, start))
        passes = (moment(now) - self._told_at) // SLOWEST if self._told_at else 0
        self._heads = {
            pool: max(start, self._heads.get(pool, start - passes) + passes) for pool, start in first.items()
        }
        self._told_at = moment(now)
        self._courses = {flow: course for flow, course in self._courses.items() if course.finish > passed}
        self._ends = {of: here for of, here in self._ends.items() if here.finish > first.get(of[1], passed)}

    def take_moved(self) -> bool:
        """Whether virtual time has moved here since this was last asked."""
        moved, self._moved = self._moved, False
        return moved

    def take_newest(self) -> set[Flow]:
        """The flows that got a place since this was last asked."""
        newest, self._newest = self._newest, set()
        return newest

    def asked(self, flow: Flow, start: int, tokens: int) -> None:
        """A job of a flow that has just got a place here too; another coordinator may have given this one."""
        if (course := self._courses.get(flow)) is not None:
            course.finish = max(course.finish, start + tokens * TOKEN // course.weight)
            course.begun = max(course.begun, start)

    def _of(self, flow: Flow, pool: Pool) -> list[_Course]:
        return [course for course in (self._courses.get(flow), self._ends.get((flow, pool))) if course is not None]


def _yields(lane: Lane) -> int:
    match lane:
        case "interactive":
            return 0
        case "batch":
            return BATCH_YIELDS // MICROSECOND
        case _:
            assert_never(lane)
