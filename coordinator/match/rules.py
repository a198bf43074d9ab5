"""Whether a worker may ever do a kind of job: the placement rules, in the order in which the contract counts them."""

from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from coordinator.match.needs import Need, least, task_of
from coordinator.store.rows import Kind, KindSpec
from shared.geo.cells import COARSEST_WIDENING, at, is_in, resolution
from shared.geo.jurisdiction import allowed
from shared.protocol.messages import Task

WIDENING_MS: Final = 1000
"""How long a named cell is searched before its parent of the next resolution is."""


class Reason(StrEnum):
    """The first rule that keeps a worker from a kind of job."""

    TAKES_NONE = "takes_no_jobs"
    OWNER = "owner"
    MODEL = "model"
    TASK = "task"
    VISION = "vision"
    PLACE = "place"
    TIER = "tier"
    EVIDENCE = "evidence"
    CONTEXT = "context"
    VERIFIABILITY = "verifiability"
    PRICE = "price"


class ModelFacts(msgspec.Struct, frozen=True):
    """A model file that a worker can serve: its digest (hex), its context in tokens, whether it is in memory now or on
    the way there. `weak`: another program makes the tokens, nobody can replay them; `mtps` are measured tokens per second
    of one stream, in thousandths, 0 while nothing was measured. `tasks` are what it can be asked there, `vision`: it sees
    images."""

    digest: str
    context: int
    loaded: bool
    loading: bool = False
    weak: bool = False
    mtps: int = 0
    tasks: frozenset[Task] = frozenset({"generate"})
    vision: bool = False


class WorkerFacts(msgspec.Struct, frozen=True):
    """What matching knows of a worker: `cell` at resolution 7, the ISO codes of the countries that it touches, tier and
    evidence as ranks 0 to 4, models by id, `slots` it computes in at once; `jobs` is false while it takes none. It works
    for `price_floor` stroops per million tokens or more; `memory` is the largest one that it has, in bytes; `owner` is the
    account that it is linked to, `record` the class of what it lost of late (match.record)."""

    pk: str
    cell: int
    countries: frozenset[str]
    tier: int
    evidence: int
    models: dict[str, ModelFacts]
    slots: int
    jobs: bool = True
    price_floor: int = 0
    memory: int = 0
    owner: UUID | None = None
    record: int = 0

    def owned_by(self, account_id: UUID | None) -> bool:
        """Whether this is a worker of that account."""
        return self.owner is not None and self.owner == account_id


class EligibleAfter(msgspec.Struct, frozen=True):
    """The worker may do it, once the job has waited this long."""

    ms: int


def why_not(worker: WorkerFacts, kind: Kind | KindSpec) -> Reason | EligibleAfter:
    """The first rule that the worker breaks, or how long a job of this kind must have waited before it is eligible.

    Nothing here is ever relaxed: the widening of a named cell is part of what naming one means (see `waits`).
    """
    if not worker.jobs:
        return Reason.TAKES_NONE
    if kind.needs & Need.OWN and not worker.owned_by(kind.owner):
        return Reason.OWNER
    model = worker.models.get(kind.model)
    if model is None:
        return Reason.MODEL
    if task_of(kind.needs) not in model.tasks:
        return Reason.TASK
    if kind.needs & Need.VISION and not model.vision:
        return Reason.VISION
    wait = waits(worker, kind)
    if wait is None:
        return Reason.PLACE
    if worker.tier < kind.min_tier:
        return Reason.TIER
    if worker.evidence < kind.min_evidence:
        return Reason.EVIDENCE
    if model.context < kind.context:
        return Reason.CONTEXT
    if model.weak and kind.needs & Need.SEEDED:
        return Reason.VERIFIABILITY
    return Reason.PRICE if least(kind.price) < worker.price_floor else EligibleAfter(wait)


def waits(worker: WorkerFacts, kind: Kind | KindSpec) -> int | None:
    """How many ms of waiting bring this worker into the job's place; None if nothing ever does.

    A named cell overrides the jurisdiction inside it; a worker that only the widening reaches must satisfy both.
    """
    within = kind.countries is None or allowed(worker.countries, frozenset(kind.countries))
    if kind.cell is None:
        return 0 if within else None
    if is_in(worker.cell, kind.cell):
        return 0
    if kind.strict or not within:
        return None
    return next((ms for ms, area in widened(kind.cell) if is_in(worker.cell, area)), None)


def widened(cell: int) -> list[tuple[int, int]]:
    """The parents that a search for `cell` widens to, each with the ms after which it does: one resolution a second,
    down to 5; a cell of resolution 5 or coarser never widens."""
    finest = resolution(cell)
    return [((finest - res) * WIDENING_MS, at(cell, res)) for res in range(finest - 1, COARSEST_WIDENING - 1, -1)]
