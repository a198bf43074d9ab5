"""Workers as they were measured, in simulated time: what a model's loading, a prompt's reading and an answer's writing take
while others are beside it. Their caches are the engine's own."""

import random
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from coordinator.match.rules import ModelFacts, WorkerFacts
from shared.geo.cells import cell_of
from worker.engine.cache import Cache

CELLS: Final = 16_384
SEQUENCES: Final = 32
READING_BESIDE: Final = 0.6
"""What is left of the speed of reading while answers are written, and the other way round."""

CITIES: Final = ((41.9, 12.5), (52.5, 13.4), (48.9, 2.3), (40.4, -3.7), (52.2, 21.0), (59.3, 18.1))
SPREAD: Final = 0.06
"""Degrees within which the workers of a city are."""


class Machine(msgspec.Struct, frozen=True):
    """A kind of machine: tokens a second that one stream writes and reads, seconds to load a model, slots, how much each
    further stream slows the others, how many models are in memory at once, and how many of 100 workers are such."""

    writes: float
    reads: float
    loads: float
    slots: int
    drag: float
    room: int
    share: int


MACHINES: Final = (
    Machine(writes=70, reads=2500, loads=4, slots=6, drag=0.15, room=2, share=10),
    Machine(writes=28, reads=700, loads=8, slots=3, drag=0.25, room=1, share=35),
    Machine(writes=12, reads=120, loads=12, slots=2, drag=0.5, room=1, share=30),
    Machine(writes=5, reads=40, loads=25, slots=1, drag=0.8, room=1, share=25),
)
LOSSES: Final = ((0.002, 80), (0.04, 14), (0.25, 6))
"""How often a worker loses a job, and how many of 100 workers are such."""


class Told(msgspec.Struct, frozen=True):
    """What a worker says of a job: the prompt is `read` (so many tokens of it were in the cache), or it is `done`."""

    task: "Task"
    done: bool


class Task:
    """A job in a worker's slot: its prompt as tokens, what is left of each step, and what was in the cache."""

    def __init__(self, model: str, scope: str, tokens: list[int], writes: int) -> None:
        self.model, self.scope, self.tokens, self.writes = model, scope, tokens, writes
        self.left = 0.0
        self.stage = "load"
        self.cached = 0
        self.sequence = -1

    def made(self) -> list[int]:
        """The tokens of its answer."""
        first = self.tokens[-1] % (1 << 24)
        return list(range(first, first + self.writes))


class _Nothing:
    """The memory behind a cache of which only the books are wanted."""

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Shares nothing."""

    def cut(self, sequence: int, start: int, end: int) -> None:
        """Cuts nothing."""


class SimulatedWorker:
    """One worker; `advance` brings it to a time, `due` says when something ends there next."""

    def __init__(self, pk: str, machine: Machine, chance: random.Random, models: Sequence[str], loses: float) -> None:
        self.pk, self.machine, self.loses = pk, machine, loses
        self.jitter = chance.uniform(0.8, 1.25)
        self.city = chance.choice(CITIES)
        self.cell = cell_of(*(at + chance.uniform(-SPREAD, SPREAD) for at in self.city))
        self.disk = models
        self.memory: OrderedDict[str, Cache] = OrderedDict()
        for model in models[: machine.room]:
            self.memory[model] = _cache()
        self.loading: dict[str, float] = {}
        self.tasks: list[Task] = []
        self._facts: WorkerFacts | None = None
        self._state: tuple[object, ...] = ()
        self.now = 0.0
        self.online = True
        self.last_ms = 0

    @property
    def free(self) -> int:
        """How many slots are free."""
        return self.machine.slots - len(self.tasks)

    def facts(self, record: int) -> WorkerFacts:
        """What its coordinator knows of it; the same as long as nothing of it changes."""
        state = record, *self.memory, None, *self.loading
        if self._facts is None or state != self._state:
            self._state, self._facts = state, self._told(record)
        return self._facts

    def _told(self, record: int) -> WorkerFacts:
        mtps = round(self.machine.writes * self.jitter * 1000)
        models = {
            name: ModelFacts("", CELLS, name in self.memory, name in self.loading, mtps=mtps) for name in self.disk
        }
        return WorkerFacts(self.pk, self.cell, frozenset({"IT"}), 0, 0, models, self.machine.slots, record=record)

    def take(self, task: Task) -> None:
        """A job comes into a free slot, now."""
        self.tasks.append(task)
        self._settle()

    def drop(self, task: Task) -> None:
        """A job is not wanted any more, now."""
        self.tasks.remove(task)
        if task.sequence >= 0:
            self.memory[task.model].end(task.sequence, [])
        self._settle()

    def due(self) -> float | None:
        """When the next step of something here is over."""
        ends = [self.now + task.left / rate for task in self.tasks if (rate := self._rate(task)) > 0]
        ends += [self.now + left for left in self.loading.values()]
        return min(ends, default=None)

    def advance(self, now: float) -> list[Told]:
        """What has come to its end by `now`: prompts that are read, jobs that are done."""
        passed, self.now = now - self.now, now
        rates = [(task, self._rate(task)) for task in self.tasks]
        for task, rate in rates:
            task.left -= rate * passed
        for model in list(self.loading):
            self.loading[model] -= passed
            if self.loading[model] <= 1e-9:
                del self.loading[model]
                self.memory[model] = _cache()
        told = [told for task, rate in rates if rate > 0 and task.left <= 1e-6 for told in self._stepped(task)]
        self._settle()
        return told

    def _stepped(self, task: Task) -> Iterable[Told]:
        cache = self.memory[task.model]
        if task.stage == "read":
            cache.fed(task.sequence, len(task.tokens) - task.cached)
            cache.hold(task.sequence, task.tokens)
            task.stage, task.left = "write", float(task.writes)
            yield Told(task, done=False)
        else:
            cache.room_for(task.writes)
            cache.fed(task.sequence, task.writes)
            cache.end(task.sequence, task.tokens + task.made())
            self.tasks.remove(task)
            yield Told(task, done=True)

    def _settle(self) -> None:
        """Starts what can start: reading where the model is there, loading where there is room for one."""
        for task in self.tasks:
            if task.stage != "load":
                continue
            if task.model in self.memory:
                cache = self.memory[task.model]
                self.memory.move_to_end(task.model)
                lease = cache.begin(task.scope, task.tokens, fresh=False)
                cache.room_for(len(task.tokens) - lease.length)
                task.sequence, task.cached = lease.sequence, lease.length
                task.stage, task.left = "read", float(len(task.tokens) - lease.length)
            elif task.model not in self.loading and self._made_room():
                self.loading[task.model] = self.machine.loads / self.jitter

    def _made_room(self) -> bool:
        if len(self.memory) + len(self.loading) < self.machine.room:
            return True
        used = {task.model for task in self.tasks if task.stage != "load"}
        idle = next((model for model in self.memory if model not in used), None)
        if idle is not None:
            del self.memory[idle]
        return idle is not None

    def _rate(self, task: Task) -> float:
        """Tokens a second of this task beside the others."""
        reading = sum(one.stage == "read" for one in self.tasks)
        writing = sum(one.stage == "write" for one in self.tasks)
        if task.stage == "read":
            return self.machine.reads * self.jitter / reading * (READING_BESIDE if writing else 1)
        if task.stage == "write":
            alone = self.machine.writes * self.jitter / (1 + self.machine.drag * (writing - 1))
            return alone * (READING_BESIDE if reading else 1)
        return 0.0


def _cache() -> Cache:
    return Cache(_Nothing(), sequences=SEQUENCES, cells=CELLS)


def swarm(workers: int, models: Sequence[str], chance: random.Random) -> dict[str, SimulatedWorker]:
    """So many workers, each with some of the models on its disk."""
    machines = [machine for machine in MACHINES for _ in range(machine.share)]
    machines = [machines[n * len(machines) // workers] for n in range(workers)]
    chance.shuffle(machines)
    losses = [loses for loses, share in LOSSES for _ in range(share)]
    found = {}
    for n in range(workers):
        disk = [model for place, model in enumerate(models) if chance.random() < 0.9 / (1 + place / 2)] or [models[0]]
        chance.shuffle(disk)
        found[f"w{n:03}"] = SimulatedWorker(f"w{n:03}", machines[n], chance, disk, chance.choice(losses))
    return found
