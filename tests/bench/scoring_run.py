"""A coordinator in simulated time: the real rules, scores and assignment over simulated workers and callers."""

import heapq
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Final
from uuid import UUID

import msgspec

from coordinator.match.affinity import Affinity
from coordinator.match.assign import assign
from coordinator.match.free import Free
from coordinator.match.record import Records
from coordinator.match.roster import Fits
from coordinator.match.rules import WorkerFacts
from coordinator.match.score import Bench, Fit, fit
from coordinator.store.rows import Claimed, Kind
from tests.bench.scoring_callers import Conversation, Turn, accounts, arrivals
from tests.bench.scoring_swarm import SimulatedWorker, Task, swarm

MODELS: Final = tuple(f"m{n}" for n in range(5))
EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
AWAY_S: Final = 20.0
FOUND_OUT_S: Final = (0.5, 0.5, 0.5, 15.0)
"""Until a lost job is given to another: a closed socket is seen at once, silence is not."""

MUCH: Final = 512
TRIP_S: Final = 0.02
WIDENINGS_S: Final = (1.001, 2.001)

Without = Callable[[Fit, Bench, Mapping[str, int]], tuple[Fit, Bench, Mapping[str, int]]]
"""What the score is let see of a worker, and of what is in the caches."""


class Seen(msgspec.Struct, frozen=True):
    """What a caller saw: seconds to the first token and to the whole answer, and tokens of the prompt, all and cached."""

    lane: int
    first: float
    whole: float
    tokens: int
    cached: int


class Asked:
    """A job that waits or runs."""

    def __init__(self, job: Claimed, conversation: Conversation, turn: Turn, at: float) -> None:
        self.job, self.conversation, self.turn, self.at = job, conversation, turn, at
        self.first: float | None = None
        self.cached = 0
        self.place = conversation.account.habit.lane, at


class Run:
    """One run: conversations begin over so many seconds. `shown` says what the score is let see; `lost` counts attempts. With
    `patience` a job waits so many seconds for a busy worker that has read much of its prompt, as no coordinator has it do."""

    def __init__(
        self, seed: int, shown: Without, *, workers: int, rate: float, seconds: float, patience: float = 0.0
    ) -> None:
        self._chance = random.Random(seed)
        self._swarm = swarm(workers, MODELS, self._chance)
        callers = accounts(MODELS, self._chance)
        self._shown, self._patience = shown, patience
        self._affinity, self._records = Affinity(b"bench"), Records()
        self._now = 0.0
        self._numbers = count(1)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._kinds: dict[tuple[str, int | None], Kind] = {}
        self._fits: dict[tuple[str, int], tuple[WorkerFacts, Fit | None]] = {}
        self._waiting: dict[UUID, Asked] = {}
        self._running: dict[Task, Asked] = {}
        self._due: dict[str, float | None] = {}
        self.seen: list[Seen] = []
        self.lost = 0
        for at, conversation in arrivals(callers, rate, seconds, random.Random(seed + 1)):
            self._at(at, partial(self._ask, conversation))

    def run(self) -> "Run":
        """Until all that was asked is answered."""
        while self._events:
            self._now, _, act = heapq.heappop(self._events)
            act()
        return self

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), act))

    def _ask(self, conversation: Conversation) -> None:
        turn, account = conversation.turn(), conversation.account
        key = account.model, account.cell
        if key not in self._kinds:
            self._kinds[key] = Kind(
                id=len(self._kinds) + 1, model=account.model, region="", countries=None, cell=account.cell,
                strict=False, min_tier=0, min_evidence=0, context=0,
            )  # fmt: skip
        job = Claimed(
            id=UUID(int=next(self._numbers)), attempt=0, kind_id=self._kinds[key].id, account_id=account.id, request=b"",
            seed="1", salt="", hold=1, reward=None, tokens_in=len(turn.tokens), max_tokens=2048, avoid=[], lost=0,
            since=self._time(), deadline_at=self._time(), attached=True,
        )  # fmt: skip
        self._waiting[job.id] = Asked(job, conversation, turn, self._now)
        for wait in WIDENINGS_S if account.cell is not None else ():
            self._at(self._now + wait, self._round)
        self._round()

    def _round(self) -> None:
        """Gives away what waits, interactive jobs first, one after the other as `assign` does."""
        for asked in sorted(self._waiting.values(), key=lambda asked: asked.place):
            if not any(worker.online and worker.free for worker in self._swarm.values()):
                return
            account = asked.conversation.account
            kind = self._kinds[account.model, account.cell]
            marks = self._affinity.marks(account.id, asked.turn.request)
            cached: Mapping[str, int] = self._affinity.readers(marks, asked.job.tokens_in, self._ms())
            if self._now < asked.at + self._patience and self._is_busy(cached):
                self._at(asked.at + self._patience, self._round)
                continue
            fits, free = Fits(), Free()
            for pk, worker in self._swarm.items():
                found = self._fit(worker, kind) if worker.online else None
                if found is not None and worker.free:
                    bench = Bench(worker.machine.slots, len(worker.tasks), worker.last_ms)
                    shown, bench, cached = self._shown(found, bench, cached)
                    fits.put(pk, shown)
                    free.put(pk, bench, [kind.model])
                elif found is not None:
                    fits.put(pk, found)
            fits_of = {kind.id: fits}.__getitem__
            pairs = assign([asked.job], fits_of, free, self._time(), cached={asked.job.id: cached})
            for pair in pairs:
                self._send(asked, self._swarm[pair.worker_pk])

    def _fit(self, worker: SimulatedWorker, kind: Kind) -> Fit | None:
        facts = worker.facts(self._records.rank(worker.pk, self._ms()))
        known = self._fits.get((worker.pk, kind.id))
        if known is None or known[0] is not facts:
            known = self._fits[worker.pk, kind.id] = facts, fit(facts, kind)
        return known[1]

    def _is_busy(self, cached: Mapping[str, int]) -> bool:
        """Whether all who have read much of a prompt have no free slot, if there are such."""
        much = [self._swarm[pk] for pk, tokens in cached.items() if tokens >= MUCH]
        return bool(much) and not any(worker.free for worker in much)

    def _send(self, asked: Asked, worker: SimulatedWorker) -> None:
        del self._waiting[asked.job.id]
        account = asked.conversation.account
        task = Task(account.model, str(account.id), asked.turn.tokens, asked.turn.writes)
        self._running[task] = asked
        worker.last_ms = self._ms()
        self._heard(worker)
        worker.take(task)
        if self._chance.random() < worker.loses:
            lasts = len(task.tokens) / worker.machine.reads + task.writes / worker.machine.writes
            self._at(self._now + self._chance.random() * lasts, partial(self._goes, worker, task))
        self._watch(worker)

    def _goes(self, worker: SimulatedWorker, task: Task) -> None:
        """The worker goes away, if it still has this: all that it has is lost."""
        self._heard(worker)
        if task in worker.tasks:
            worker.online = False
            later = self._chance.choice(FOUND_OUT_S)
            for one in list(worker.tasks):
                worker.drop(one)
                self._at(self._now + later, partial(self._again, self._running.pop(one), worker))
            self._affinity.left(worker.pk)
            self._at(self._now + AWAY_S, partial(self._comes, worker))
        self._watch(worker)

    def _again(self, asked: Asked, worker: SimulatedWorker) -> None:
        self.lost += 1
        self._records.lost(worker.pk, self._ms())
        avoid = [*asked.job.avoid, worker.pk]
        asked.job = msgspec.structs.replace(asked.job, avoid=avoid, lost=asked.job.lost + 1)
        self._waiting[asked.job.id] = asked
        self._round()

    def _comes(self, worker: SimulatedWorker) -> None:
        worker.online = True
        self._round()

    def _watch(self, worker: SimulatedWorker) -> None:
        """Looks again when the next step of something is over there."""
        due = self._due[worker.pk] = worker.due()
        if due is not None:
            self._at(max(due, self._now), partial(self._look, worker, due))

    def _look(self, worker: SimulatedWorker, due: float) -> None:
        if self._due.get(worker.pk) == due:
            self._heard(worker)
            self._watch(worker)
            self._round()

    def _heard(self, worker: SimulatedWorker) -> None:
        for told in worker.advance(self._now):
            asked = self._running[told.task]
            if told.done:
                self._done(asked, worker, told.task)
            elif asked.first is None:
                asked.first, asked.cached = self._now + TRIP_S - asked.at, told.task.cached

    def _done(self, asked: Asked, worker: SimulatedWorker, task: Task) -> None:
        del self._running[task]
        account, tokens = asked.conversation.account, len(task.tokens)
        self._records.ended(worker.pk, self._ms())
        marks = self._affinity.marks(account.id, asked.turn.request)
        fed = tokens - task.cached + task.writes
        self._affinity.note(account.id, account.model, worker.pk, marks, tokens=tokens, fed=fed, now=self._ms())
        whole = self._now + TRIP_S - asked.at
        self.seen.append(Seen(account.habit.lane, asked.first or whole, whole, tokens, asked.cached))
        if asked.conversation.left > 0:
            self._at(self._now + asked.conversation.answered(task.made()), partial(self._ask, asked.conversation))

    def _ms(self) -> int:
        return round(self._now * 1000)

    def _time(self) -> datetime:
        return EPOCH + timedelta(seconds=self._now)
