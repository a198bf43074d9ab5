"""What is claimed, and which of the claimed jobs goes to which worker: the rules and the score over free slots, nothing else."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

import msgspec

from coordinator.match.free import Free, Taking
from coordinator.match.roster import Fits
from coordinator.match.score import Place, place, saves, score
from coordinator.store.rows import Ask, Claimed

MILLISECOND = timedelta(milliseconds=1)

MOST: Final = 64
"""So many jobs are claimed at once at most, but for those to spare."""

MORE: Final = 3
"""Of so many kinds more than there are slots, for some may have nothing."""

LOOKED: Final = 512
"""So many kinds are looked at for one that somebody can do."""

Cached = Mapping[UUID, Mapping[str, int]]
"""Of which jobs' prompts which workers have read so many tokens before."""

NOBODY: Final[Mapping[str, int]] = {}

FitsOf = Callable[[int], Fits]
"""By a kind's id the workers online that may do it."""

InOrder = Callable[[Collection[str]], Iterable[int]]
"""The kinds of these models that wait, the foremost first; a model that goes from the collection ends its own."""


class Asked(msgspec.Struct, frozen=True):
    """What to claim; `vain` are kinds before the last of these that nobody free can do. `full`: so many that others were not
    looked at."""

    asks: list[Ask]
    vain: list[int]
    full: bool


class Pairing(msgspec.Struct, frozen=True):
    """A claimed job and the worker that gets it."""

    job: Claimed
    worker_pk: str


def asks(line: InOrder, fits: FitsOf, free: Free, spare: Mapping[int, int]) -> Asked:
    """What to claim of the kinds that wait, in their order: of each as many as have a free slot that none before them takes,
    none too young for every free worker, first one of each.

    `spare` adds rows of a kind whose first rows could not be given away the last time (they avoid the free workers).
    """
    taking, vain = Taking(free), list[int]()
    limits: dict[int, int] = {}
    ages: dict[int, int] = {}
    for kind_id in islice(line(taking.of_model), LOOKED):
        if (found := _first(fits(kind_id), taking)) is None:
            vain.append(kind_id)
            continue
        taking.take(found[0])
        limits[kind_id], ages[kind_id] = 1, found[1]
        if len(limits) == MOST:
            break
    looked = len(limits) + len(vain)
    _grow(limits, fits, taking)
    _more(limits, ages, line, fits, free)
    asked = [
        Ask(kind_id=kind_id, limit=limit + spare.get(kind_id, 0), min_age_ms=ages[kind_id])
        for kind_id, limit in limits.items()
    ]
    return Asked(asked, vain, full=looked == LOOKED)


def _grow(limits: dict[int, int], fits: FitsOf, taking: Taking) -> None:
    """One more of each kind, again and again, while somebody has a slot for it."""
    growing = deque(limits)
    while growing and sum(limits.values()) < MOST:
        kind_id = growing.popleft()
        if (found := _first(fits(kind_id), taking)) is not None:
            taking.take(found[0])
            limits[kind_id] += 1
            growing.append(kind_id)


def _more(limits: dict[int, int], ages: dict[int, int], line: InOrder, fits: FitsOf, free: Free) -> None:
    """Some kinds more than there are slots."""
    taking, others = Taking(free), (kind_id for kind_id in line(free.of_model) if kind_id not in limits)
    for kind_id in list(islice(others, MORE if sum(limits.values()) < MOST else 0)):
        if (found := _first(fits(kind_id), taking)) is not None:
            limits[kind_id], ages[kind_id] = 1, found[1]


def _first(fits: Fits, taking: Taking) -> tuple[str, int] | None:
    """The best worker with a free slot, and for how long it must have been searched for."""
    for (after_ms, *_), members in fits.ranks():
        if (pk := taking.first(members)) is not None:
            return pk, after_ms
    return None


def assign(
    claimed: Sequence[Claimed], fits: FitsOf, free: Free, now: datetime, begun: Collection[UUID] = (),
    cached: Cached | None = None,
) -> list[Pairing]:  # fmt: skip
    """Gives the jobs away in their order, each to the best worker with a free slot; who gets none is left out. The slots
    of a caller's own workers go to the caller's jobs first.

    A worker that lost a job gets it again only while no other that may do it is online. Jobs that have `begun`, so that
    somebody goes on from their tokens, go to no weak worker.
    """
    taking = Taking(free)
    of_kind = {kind_id: fits(kind_id) for kind_id in {job.kind_id for job in claimed}}
    pairs: dict[UUID, Pairing] = {}
    for own in (True, False):
        for job in claimed:
            workers = of_kind[job.kind_id]
            if job.id in pairs or not taking.left or (own and not workers.own):
                continue
            pk = _best(
                job, workers, taking, (now - job.since) // MILLISECOND,
                own=own, begun=job.id in begun, cached=(cached or {}).get(job.id, NOBODY),
            )  # fmt: skip
            if pk is not None:
                taking.take(pk)
                pairs[job.id] = Pairing(job, pk)
    return list(pairs.values())


def _best(
    job: Claimed, fits: Fits, taking: Taking, age_ms: int, *, own: bool, begun: bool, cached: Mapping[str, int]
) -> str | None:
    """The best worker with a free slot, with `own` among the caller's alone."""
    but: set[str] = set(fits.weak) if begun else set()
    avoided = {pk for pk in job.avoid if pk in fits.workers} - but
    if len(fits.workers) > len(but) + len(avoided):
        but |= avoided
    best = _cached(job, fits, taking, age_ms, own=own, but=but, cached=cached)
    for rank, members in fits.ranks():
        if rank[0] > age_ms or (best is not None and best[0][:4] < rank):
            break
        if not (own and rank[1]) and (pk := taking.first(members, but)) is not None:
            bench = taking.bench(pk)
            assert bench is not None, "the foremost has a free slot"
            found = place(rank, bench), pk
            best = found if best is None else min(best, found)
    return None if best is None else best[1]


def _cached(
    job: Claimed, fits: Fits, taking: Taking, age_ms: int, *, own: bool, but: set[str], cached: Mapping[str, int]
) -> tuple[Place, str] | None:
    """The best of those who have the beginning of the prompt in their caches, if one of them has a free slot."""
    found = []
    for pk in cached.keys() - but:
        fit, bench = fits.workers.get(pk), taking.bench(pk)
        if fit is not None and bench is not None and fit.after_ms <= age_ms and (fit.own or not own):
            found.append(score(fit, bench, pk, saves(job.tokens_in, cached[pk])))
    return min(found, default=None)
