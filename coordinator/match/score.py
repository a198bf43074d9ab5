"""Who does a job best among those who may: a tuple that sorts, the least one wins."""

from typing import Final

import msgspec

from coordinator.match.rules import Reason, WorkerFacts, why_not
from coordinator.store.rows import Kind

Rank = tuple[int, bool, int, int]
Stand = tuple[float, int]
Place = tuple[int, bool, int, int, float, int]

STEPS: Final = 2
"""So many steps is a worker of double the speed better, or one that loses a class less of its attempts."""

LOAD: Final = 4
"""So many steps is a worker worse whose slots are all taken: those that are share its speed."""

LEAST: Final = 64
"""Fewer tokens in a cache save nothing worth going elsewhere for."""

READ: Final = 8
"""So many tokens are read in the time that one is written in, or more."""

WRITTEN: Final = 96
"""So many tokens an answer is taken to have."""


class Fit(msgspec.Struct, frozen=True):
    """That a worker may do a kind of job: after how many ms of waiting, with the model in memory or not. `own`: it is the
    caller's; `weak`: it cannot go on from tokens of another; `pace` counts the doublings of its measured speed and `record`
    is its class (match.record), so that both stay the same for long."""

    after_ms: int
    loaded: bool
    own: bool = False
    loading: bool = False
    weak: bool = False
    pace: int = 0
    record: int = 0


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
        own=worker.owned_by(kind.owner),
        loading=model.loading,
        weak=model.weak,
        pace=model.mtps.bit_length(),
        record=worker.record,
    )


def rank(fit: Fit, saved: int = 0) -> Rank:
    """How well a worker fits a kind, whatever it does now: least widening, the caller's own, warm model (or one that is
    loading), measured speed by its record; or a job, of which it has `saved` so many steps."""
    cold = 0 if fit.loaded else 1 if fit.loading else 2
    return fit.after_ms, not fit.own, cold, STEPS * (fit.record - fit.pace) - (saved if fit.loaded else 0)


def saves(tokens: int, cached: int) -> int:
    """How many steps better a worker is that has `cached` of the `tokens` of a prompt in its cache: by what is left to do."""
    if cached < LEAST:
        return 0
    all_of_it, rest = (WRITTEN + tokens // READ) ** 2, (WRITTEN + max(0, tokens - cached) // READ) ** 2
    return max(1, all_of_it.bit_length() - rest.bit_length())


def stand(bench: Bench) -> Stand:
    """Who goes first of those that fit equally well: the least loaded, then who has been idle for longest."""
    return bench.taken / bench.slots, bench.last_ms


def place(rank: Rank, bench: Bench) -> Place:
    """Where a worker of this rank is among all others now: its load takes of its speed. None is before its rank."""
    *first, speed = rank
    return *first, speed + LOAD * bench.taken // bench.slots, *stand(bench)  # type: ignore[return-value]


def score(fit: Fit, bench: Bench, pk: str, saved: int = 0) -> tuple[Place, str]:
    """What candidates are sorted by: their places, then the key."""
    return place(rank(fit, saved), bench), pk
