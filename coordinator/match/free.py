"""The workers online that have a free slot, kept as slots come and go: who gets a job is decided over them alone, and at the
cost of those that are looked at, however many there are."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Final

from coordinator.match.score import Bench, Stand, stand

FEW: Final = 16
"""So many are looked at one by one, or the root of how many are free; of more, the order in which they stand is gone through."""


class Free:
    """Who has a free slot and stands where (match.score.stand), the `models` of each, and the free slots `of_model`. Who `takes`
    none for a while is passed over when it is looked at, so that nothing has to happen when its while is over."""

    def __init__(self, takes: Callable[[str], bool] = lambda _: True) -> None:
        self.takes = takes
        self.benches: dict[str, Bench] = {}
        self.slots = 0
        self.order: list[tuple[Stand, str]] = []
        self.models: dict[str, tuple[str, ...]] = {}
        self.of_model: Counter[str] = Counter()

    def put(self, pk: str, bench: Bench, models: Iterable[str]) -> None:
        """The worker's slots are these from now on."""
        self.drop(pk)
        if bench.taken < bench.slots:
            self.benches[pk], self.models[pk] = bench, tuple(models)
            self.slots += bench.slots - bench.taken
            insort(self.order, (stand(bench), pk))
            self.of_model.update(dict.fromkeys(self.models[pk], bench.slots - bench.taken))

    def drop(self, pk: str) -> None:
        """The worker has no free slot, or is gone."""
        bench = self.benches.pop(pk, None)
        if bench is None:
            return
        self.slots -= bench.slots - bench.taken
        del self.order[bisect_left(self.order, (stand(bench), pk))]
        _less(self.of_model, self.models.pop(pk), bench.slots - bench.taken)


class Taking:
    """What is `left` of the free slots, and of each model's, while a decision gives them away; the index, and whoever is asked
    for, stay as they are meanwhile."""

    def __init__(self, free: Free) -> None:
        self.left, self.of_model = free.slots, free.of_model.copy()
        self._free = free
        self._full: set[str] = set()
        self._open: dict[str, Bench] = {}
        self._ways: dict[int, _Way] = {}

    def take(self, pk: str) -> None:
        """A slot of this worker, which has one, is given away."""
        bench = self._open.pop(pk, None) or self._free.benches[pk]
        if bench.taken + 1 < bench.slots:
            self._open[pk] = Bench(bench.slots, bench.taken + 1, bench.last_ms)
        else:
            self._full.add(pk)
        self.left -= 1
        _less(self.of_model, self._free.models[pk], 1)

    def bench(self, pk: str) -> Bench | None:
        """The slots of a worker as they are left, None if none of them is free."""
        return self._open.get(pk) or (self._free.benches.get(pk) if self._may(pk) else None)

    def first(self, members: set[str], but: Collection[str] = ()) -> str | None:
        """Who of these has a free slot and stands foremost, `but` for some; None if nobody has one."""
        benches = self._free.benches
        found = [(stand(bench), pk) for pk, bench in self._open.items() if pk in members and pk not in but]
        if len(members) <= max(FEW, isqrt(len(benches))):
            found += [(stand(benches[pk]), pk) for pk in members if pk in benches and self._may(pk) and pk not in but]
        elif (one := self._foremost(members))[1] not in but:
            found.append(one)
        else:
            rest = (one for one in self._free.order if one[1] in members and self._may(one[1]) and one[1] not in but)
            found.append(next(rest, _NOBODY))
        return min(found, default=_NOBODY)[1] or None

    def _foremost(self, members: set[str]) -> tuple[Stand, str]:
        """The same, of those of whom no slot was taken yet: the way through them is gone once."""
        way = self._ways.get(id(members))
        if way is None:
            free = self._free
            none = free.benches.keys().isdisjoint(members)
            walk = iter(()) if none else (one for one in free.order if one[1] in members and free.takes(one[1]))
            way = self._ways[id(members)] = _Way(next(walk, _NOBODY), walk)
        while way.at[1] in self._full or way.at[1] in self._open:
            way.at = next(way.on, _NOBODY)
        return way.at

    def _may(self, pk: str) -> bool:
        return pk not in self._full and pk not in self._open and self._free.takes(pk)


@dataclass(slots=True)
class _Way:
    """How far a walk has come."""

    at: tuple[Stand, str]
    on: Iterator[tuple[Stand, str]]


def _less(counts: Counter[str], models: Iterable[str], slots: int) -> None:
    for model in models:
        counts[model] -= slots
        if not counts[model]:
            del counts[model]


_NOBODY: Final[tuple[Stand, str]] = ((float("inf"), 0), "")
