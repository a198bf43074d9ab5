"""Who does a job best among those who may: a tuple that sorts, the least one wins."""

import msgspec

from coordinator.match.rules import Reason, WorkerFacts, why_not
from coordinator.store.rows import Kind
from shared.geo.cells import ring_distance


class Fit(msgspec.Struct, frozen=True):
    """That a worker may do a kind of job: after how many ms of waiting, with the model in memory or not, and how many
    H3 rings from the cell that the caller named (0 if none)."""

    after_ms: int
    loaded: bool
    rings: int


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
    rings = 0 if kind.cell is None else ring_distance(worker.cell, kind.cell)
    return Fit(verdict.ms, worker.models[kind.model].loaded, rings)


def score(fit: Fit, bench: Bench, pk: str) -> tuple[int, bool, int, float, int, str]:
    """What candidates are sorted by: least widening, warm model, nearness, load, longest idle, then the key."""
    return fit.after_ms, not fit.loaded, fit.rings, bench.taken / bench.slots, bench.last_ms, pk
