"""What was asked for within the last hour, counted by kind and minute: from it any worker is told which rules kept how much from
it, and no job is ever looked at for a worker."""

from collections import Counter, deque
from typing import Final

import msgspec

from coordinator.match.rules import Reason, WorkerFacts, why_not
from coordinator.store.rows import Kind, KindSpec

MINUTE_MS: Final = 60_000
MINUTES: Final = 60
MOST_KINDS: Final = 256
"""So many kinds are told apart in a minute; callers can name any cell, and each makes a kind."""


class Skipped(msgspec.Struct, frozen=True):
    """A rule and what it kept from a worker; each job counts for the first rule that it breaks."""

    reason: Reason
    jobs: int
    refused: int


class Hour(msgspec.Struct, frozen=True):
    """What was asked for since `since` (ms): jobs, and requests that were refused as nobody could take them; how many of both a
    worker could have taken, and what kept the others from it. `others` were of too many kinds to be told apart."""

    since: int
    jobs: int
    refused: int
    could_take: int
    skipped: list[Skipped]
    others: int


class _Minute:
    def __init__(self, start: int) -> None:
        self.start = start
        self.jobs: dict[int, tuple[Kind, int]] = {}
        self.refused: dict[KindSpec, int] = {}
        self.others = 0


class Demand:
    """Counts for one coordinator from `now` (ms) on."""

    def __init__(self, now: int) -> None:
        self._began = now
        self._minutes: deque[_Minute] = deque(maxlen=MINUTES)

    def asked(self, kind: Kind, jobs: int, now: int) -> None:
        """So many jobs of a kind were accepted at `now` (ms)."""
        minute = self._minute(now)
        known = minute.jobs.get(kind.id)
        if known is None and len(minute.jobs) >= MOST_KINDS:
            minute.others += jobs
        else:
            minute.jobs[kind.id] = kind, (known[1] if known else 0) + jobs

    def refused(self, spec: KindSpec, now: int) -> None:
        """A request for such a job was refused at `now` (ms), for nobody could take it."""
        minute = self._minute(now)
        if spec not in minute.refused and len(minute.refused) >= MOST_KINDS:
            minute.others += 1
        else:
            minute.refused[spec] = minute.refused.get(spec, 0) + 1

    def of(self, worker: WorkerFacts | None, now: int) -> Hour:
        """The hour before `now` (ms) for a worker as it is now; for one of which nothing is known, the sums alone."""
        recent = [minute for minute in self._minutes if minute.start > now - MINUTES * MINUTE_MS]
        jobs: Counter[int] = Counter()
        refused: Counter[KindSpec] = Counter()
        for minute in recent:
            jobs.update({kind_id: many for kind_id, (_, many) in minute.jobs.items()})
            refused.update(minute.refused)
        kinds = {kind_id: kind for minute in recent for kind_id, (kind, _) in minute.jobs.items()}
        kept, turned = (
            _by_rule(worker, [(kinds[kind_id], many) for kind_id, many in jobs.items()]),
            _by_rule(worker, list(refused.items())),
        )
        return Hour(
            since=max(self._began, now - MINUTES * MINUTE_MS),
            jobs=jobs.total(),
            refused=refused.total(),
            could_take=kept[None] + turned[None],
            skipped=[Skipped(rule, kept[rule], turned[rule]) for rule in Reason if kept[rule] or turned[rule]],
            others=sum(minute.others for minute in recent),
        )

    def _minute(self, now: int) -> _Minute:
        start = now - now % MINUTE_MS
        if not self._minutes or self._minutes[-1].start < start:
            self._minutes.append(_Minute(start))
        return self._minutes[-1]


def _by_rule(
    worker: WorkerFacts | None, asked: list[tuple[Kind, int]] | list[tuple[KindSpec, int]]
) -> "Counter[Reason | None]":
    """How much each rule keeps from the worker, by None what it could take."""
    found: Counter[Reason | None] = Counter()
    for kind, many in asked if worker is not None else ():
        assert worker is not None, "nothing is counted without it"
        verdict = why_not(worker, kind)
        found[verdict if isinstance(verdict, Reason) else None] += many
    return found
