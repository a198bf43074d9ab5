"""Which of the claimed jobs goes to which worker: the rules and the score over free slots, nothing else."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from coordinator.match.score import Bench, Fit, score
from coordinator.store.rows import Ask, Claimed

MILLISECOND = timedelta(milliseconds=1)

Fits = Mapping[int, Mapping[str, Fit]]
"""For each kind, by its id, the workers online that may do it."""


class Pairing(msgspec.Struct, frozen=True):
    """A claimed job and the worker that gets it."""

    job: Claimed
    worker_pk: str


def asks(fits: Fits, benches: Mapping[str, Bench], *, most: int, spare: Mapping[int, int]) -> list[Ask]:
    """What to claim of each kind: as many as have a free slot, at most `most`, none too young for every free worker.

    `spare` adds rows of a kind whose first rows could not be given away the last time (they avoid the free workers).
    """
    free = {pk: bench.slots - bench.taken for pk, bench in benches.items() if bench.slots > bench.taken}
    asked = []
    for kind_id, workers in fits.items():
        if able := workers.keys() & free.keys():
            limit = min(most, sum(free[pk] for pk in able) + spare.get(kind_id, 0))
            asked.append(Ask(kind_id=kind_id, limit=limit, min_age_ms=min(workers[pk].after_ms for pk in able)))
    return asked


def assign(
    claimed: Sequence[Claimed], fits: Fits, benches: Mapping[str, Bench], now: datetime, begun: Collection[UUID] = ()
) -> list[Pairing]:
    """Gives the jobs away in their order, each to the best worker with a free slot; who gets none is left out. The slots
    of a caller's own workers go to the caller's jobs first.

    A worker that lost a job gets it again only while no other that may do it is online. Jobs that have `begun`, so that
    somebody goes on from their tokens, go to no weak worker.
    """
    taken = dict(benches)
    pairs: dict[UUID, Pairing] = {}
    some_own = any(fit.own for workers in fits.values() for fit in workers.values())
    for own in (True, False) if some_own else (False,):
        for job in claimed:
            workers = fits.get(job.kind_id, {})
            if job.id in begun:
                workers = {pk: fit for pk, fit in workers.items() if not fit.weak}
            pk = None if job.id in pairs else _best(job, workers, taken, (now - job.since) // MILLISECOND, own=own)
            if pk is not None:
                bench = taken[pk]
                taken[pk] = Bench(bench.slots, bench.taken + 1, bench.last_ms)
                pairs[job.id] = Pairing(job, pk)
    return list(pairs.values())


def _best(
    job: Claimed, workers: Mapping[str, Fit], benches: Mapping[str, Bench], age_ms: int, *, own: bool
) -> str | None:
    """The best worker with a free slot, with `own` among the caller's alone."""
    others = workers.keys() - job.avoid
    candidates = [
        score(fit, benches[pk], pk)
        for pk, fit in workers.items()
        if fit.after_ms <= age_ms and benches[pk].taken < benches[pk].slots and (pk in others or not others)
        if fit.own or not own
    ]
    return min(candidates)[-1] if candidates else None
