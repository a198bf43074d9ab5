"""Who serves which model now, counted as workers come and go: asking costs the same with three and with 10 000."""

from collections import Counter
from typing import Final

import msgspec

from coordinator.match.rules import ModelFacts, WorkerFacts
from shared.protocol.messages import Task


class Serving(msgspec.Struct, frozen=True):
    """The workers online that take jobs for one model: how many, how many of them have it in memory, the countries that
    they touch (sorted ISO codes), and what at least one of them does with it; `seeded`: make tokens that can be replayed."""

    workers: int = 0
    loaded: int = 0
    countries: tuple[str, ...] = ()
    tasks: frozenset[Task] = frozenset()
    vision: bool = False
    seeded: bool = False


NOBODY: Final = Serving()


class _Tally:
    """The counts behind one Serving."""

    def __init__(self) -> None:
        self.workers = 0
        self.loaded = 0
        self.vision = 0
        self.seeded = 0
        self.countries: Counter[str] = Counter()
        self.tasks: Counter[Task] = Counter()
        self.told: Serving | None = None

    def add(self, worker: WorkerFacts, model: ModelFacts, times: int) -> None:
        """Counts a worker's model in (`times` 1) or out (-1)."""
        self.workers += times
        self.loaded += times * model.loaded
        self.vision += times * model.vision
        self.seeded += times * (not model.weak)
        for counter, names in ((self.countries, worker.countries), (self.tasks, model.tasks)):
            for name in names:
                counter[name] += times  # type: ignore[index]  # each counter with its own names
        self.told = None

    def serving(self) -> Serving:
        """What the counts say."""
        if self.told is None:
            self.told = Serving(
                workers=self.workers,
                loaded=self.loaded,
                countries=tuple(sorted(+self.countries)),
                tasks=frozenset(+self.tasks),
                vision=self.vision > 0,
                seeded=self.seeded > 0,
            )
        return self.told


class Served:
    """The counts for every model that some worker online has."""

    def __init__(self) -> None:
        self._counted: dict[str, WorkerFacts] = {}
        self._tallies: dict[str, _Tally] = {}

    def put(self, worker: WorkerFacts) -> None:
        """The worker is online and as these facts say."""
        self.drop(worker.pk)
        if worker.jobs:
            self._counted[worker.pk] = worker
            for name, model in worker.models.items():
                self._tallies.setdefault(name, _Tally()).add(worker, model, 1)

    def drop(self, pk: str) -> None:
        """The worker is not online any more."""
        worker = self._counted.pop(pk, None)
        if worker is None:
            return
        for name, model in worker.models.items():
            tally = self._tallies[name]
            tally.add(worker, model, -1)
            if not tally.workers:
                del self._tallies[name]

    def of(self, model: str) -> Serving:
        """Who serves a model."""
        tally = self._tallies.get(model)
        return NOBODY if tally is None else tally.serving()
