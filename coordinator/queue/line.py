"""The kinds of which jobs may wait, by model, in the order in which they are asked: to find the foremost costs the same however
many wait."""

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Iterator
from heapq import merge
from itertools import takewhile

Place = tuple[int, int]
"""When a kind was asked in vain (0: not since it gave something), and where its first job stands."""


class Line:
    """The kinds that wait; `place` says where each stands, and whoever changes that says so."""

    def __init__(self, place: Callable[[int], Place]) -> None:
        self._place = place
        self._places: dict[int, Place] = {}
        self._models: dict[int, str] = {}
        self._lines: dict[str, list[tuple[Place, int]]] = {}

    def __contains__(self, kind_id: int) -> bool:
        return kind_id in self._places

    def __len__(self) -> int:
        return len(self._places)

    @property
    def kind_ids(self) -> set[int]:
        """Those that wait."""
        return set(self._places)

    def put(self, kind_id: int, model: str) -> None:
        """Jobs of this kind may wait."""
        if kind_id not in self._places:
            self._models[kind_id] = model
            self._places[kind_id] = place = self._place(kind_id)
            insort(self._lines.setdefault(model, []), (place, kind_id))

    def take(self, kind_ids: Iterable[int]) -> None:
        """No job of these waits, as far as is known."""
        for kind_id in kind_ids:
            if kind_id in self._places:
                self._out(kind_id)
                if not self._lines[model := self._models.pop(kind_id)]:
                    del self._lines[model]

    def moved(self, kind_id: int) -> None:
        """The place of this kind may have changed."""
        if kind_id in self._places and (place := self._place(kind_id)) != self._places[kind_id]:
            self._out(kind_id)
            self._places[kind_id] = place
            insort(self._lines[self._models[kind_id]], (place, kind_id))

    def all_moved(self) -> None:
        """The places of many may have changed."""
        self._places = {kind_id: self._place(kind_id) for kind_id in self._places}
        self._lines = {}
        for kind_id, place in self._places.items():
            self._lines.setdefault(self._models[kind_id], []).append((place, kind_id))
        for line in self._lines.values():
            line.sort()

    def in_order(self, models: Collection[str]) -> Iterator[int]:
        """The kinds of these models that wait, the foremost first; those of a model only while it is among them."""
        return (kind_id for _, kind_id in merge(*(self._while_in(models, model) for model in list(models))))

    def of_model(self, model: str) -> Iterator[int]:
        """The same, of one model."""
        return (kind_id for _, kind_id in self._lines.get(model, ()))

    def _while_in(self, models: Collection[str], model: str) -> Iterator[tuple[Place, int]]:
        return takewhile(lambda _: model in models, self._lines.get(model, ()))

    def _out(self, kind_id: int) -> None:
        line = self._lines[self._models[kind_id]]
        del line[bisect_left(line, (self._places.pop(kind_id), kind_id))]
