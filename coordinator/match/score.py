"""Who does a job best among those who may: a tuple that sorts, the least one wins."""

import msgspec

from coordinator.match.rules import Reason, WorkerFacts, why_not
from coordinator.store.rows import Kind
from shared.geo.cells import ring_distance

Rank = tuple[int, bool, int, int, int]
Stand = tuple[float, int]


class Fit(msgspec.Struct, frozen=True):
    """That a worker may do a kind of job: after how many ms of waiting, with the model in memory or not, and how many
    H3 rings from the cell that the caller named (0 if none). `own`: it is the caller's; `weak`: it cannot go on from
    tokens of another; `pace` counts the doublings of its measured speed, so that it stays the same for long."""

    after_ms: int
    loaded: bool
    rings: int
    own: bool = False
    loading: bool = False
    weak: bool = False
    pace: int = 0


class Bench(msgspec.Struct, frozen=True):
    """A worker's slots now: how many there are, how many are taken, and when it last got a job (ms)."""

    slots: int
    taken: int
    last_ms: int


def fit(worker: WorkerFacts, kind: Kind) -> Fit | None:
    """How this worker fits this kind of job, None if a rule forbids it; true for as long as both stay as they are."""
    verdict = why_not(worker, kind)
    if isinstance(verdict, Reason):
        return None
    model = worker.models[kind.model]
    return Fit(
        after_ms=verdict.ms,
        loaded=model.loaded,
        rings=0 if kind.cell is None else ring_distance(worker.cell, kind.cell),
        own=worker.owned_by(kind.owner),
        loading=model.loading,
        weak=model.weak,
        pace=model.mtps.bit_length(),
    )


def rank(fit: Fit) -> Rank:
    """How well a worker fits a kind, whatever it does now: least widening, the caller's own, warm model (or one that is
    loading), nearness, measured speed."""
    cold = 0 if fit.loaded else 1 if fit.loading else 2
    return fit.after_ms, not fit.own, cold, fit.rings, -fit.pace


def stand(bench: Bench) -> Stand:
    """Who goes first of those that fit equally well: the least loaded, then who has been idle for longest."""
    return bench.taken / bench.slots, bench.last_ms


def score(fit: Fit, bench: Bench, pk: str) -> tuple[int, bool, int, int, int, float, int, str]:
    """What candidates are sorted by: how well they fit, where they stand, then the key."""
    return *rank(fit), *stand(bench), pk
