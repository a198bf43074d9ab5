"""The workers that are online here, and for each kind of job who of them may do it: the rules run once per pair, and for a kind
that nobody asks for not at all."""

from collections.abc import Collection, Iterator
from typing import Final

from coordinator.match.rules import WorkerFacts
from coordinator.match.score import Fit, Rank, fit, rank
from coordinator.store.rows import Kind
from shared.geo.cells import COARSEST_WIDENING, at, resolution

MOST_CHANGES: Final = 16_384
"""So many changes of workers are remembered for the kinds that have not heard of them; then all kinds are asked anew."""


Near = tuple[str, int | None]
"""A model, and the area that workers are in (None: any)."""


class Fits:
    """The workers that may do a kind of job, by how well they fit it, the best first. `weak` are those that cannot go on from
    tokens of another; they are `near`, and `upto` so many changes of workers it knows of."""

    def __init__(self, near: Near = ("", None)) -> None:
        self.near = near
        self.workers: dict[str, Fit] = {}
        self.weak: set[str] = set()
        self.upto = 0
        self._ranks: dict[Rank, set[str]] = {}
        self._order: list[Rank] | None = None
        self._own = 0

    @property
    def own(self) -> bool:
        """Whether some are the caller's."""
        return self._own > 0

    def put(self, pk: str, fit: Fit | None) -> None:
        """The worker fits it so from now on; not at all if None."""
        self._drop(pk)
        if fit is None:
            return
        self.workers[pk] = fit
        self._own += fit.own
        if fit.weak:
            self.weak.add(pk)
        place = rank(fit)
        if place not in self._ranks:
            self._ranks[place], self._order = set(), None
        self._ranks[place].add(pk)

    def ranks(self) -> Iterator[tuple[Rank, set[str]]]:
        """Those who fit it equally well, the best first."""
        if self._order is None:
            self._order = sorted(self._ranks)
        return ((place, self._ranks[place]) for place in self._order)

    def _drop(self, pk: str) -> None:
        fit = self.workers.pop(pk, None)
        if fit is None:
            return
        self._own -= fit.own
        self.weak.discard(pk)
        place = rank(fit)
        self._ranks[place].remove(pk)
        if not self._ranks[place]:
            del self._ranks[place]
            self._order = None


class Roster:
    """The facts of the workers online, and the fits of the kinds that were asked for."""

    def __init__(self) -> None:
        self._facts: dict[str, WorkerFacts] = {}
        self._near: dict[Near, dict[str, WorkerFacts]] = {}
        self._fits: dict[int, Fits] = {}
        self._changed: list[str] = []

    def put(self, facts: WorkerFacts) -> None:
        """The worker is online and as these facts say."""
        if self._facts.get(facts.pk) == facts:
            return
        self.drop(facts.pk)
        self._facts[facts.pk] = facts
        for near in _places(facts):
            self._near.setdefault(near, {})[facts.pk] = facts

    def drop(self, pk: str) -> None:
        """The worker is not online any more."""
        facts = self._facts.pop(pk, None)
        for near in () if facts is None else _places(facts):
            del self._near[near][pk]
            if not self._near[near]:
                del self._near[near]
        self._changed.append(pk)
        if len(self._changed) > MOST_CHANGES:
            self._changed, self._fits = [], {}

    def fits(self, kind: Kind) -> Fits:
        """Who may do jobs of this kind; it stays as it is only until the next change."""
        found = self._fits.get(kind.id)
        serving = self._near.get(_near(kind) if found is None else found.near, {})
        if found is None or len(self._changed) - found.upto > len(serving):
            found = self._fits[kind.id] = Fits(_near(kind))
            for pk, facts in serving.items():
                found.put(pk, fit(facts, kind))
        else:
            for pk in dict.fromkeys(self._changed[found.upto :]):
                facts_now = serving.get(pk)
                found.put(pk, None if facts_now is None else fit(facts_now, kind))
        found.upto = len(self._changed)
        return found

    def forget(self, but: Collection[int]) -> None:
        """All kinds but these are not asked for any more."""
        self._fits = {kind_id: fits for kind_id, fits in self._fits.items() if kind_id in but}


def _places(facts: WorkerFacts) -> list[Near]:
    area = at(facts.cell, COARSEST_WIDENING)
    return [(model, where) for model in facts.models for where in (None, area)]


def _near(kind: Kind) -> Near:
    """Where those are that may do a kind: all that serve its model, or in the widest area that its cell is searched in."""
    if kind.cell is None or resolution(kind.cell) < COARSEST_WIDENING:
        return kind.model, None
    return kind.model, at(kind.cell, COARSEST_WIDENING)
