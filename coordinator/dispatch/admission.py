"""What a worker says about itself, read with suspicion: facts that matching can use, or why it may not join."""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

import msgspec

from coordinator.dispatch.channel import WorkerPublic
from coordinator.match.rules import ModelFacts, WorkerFacts
from coordinator.store.rows import WorkerRow
from shared.catalogue import Entry
from shared.geo.cells import WORKER_RESOLUTION, InvalidCell, format_cell, parse_cell, public_cell, resolution
from shared.geo.index import countries
from shared.protocol.messages import Capabilities, Hardware, ModelOffer
from shared.tiers import tier_name

MAX_SLOTS: Final = 64
"""What one worker may compute at once; who says more gets this many jobs."""

MAX_HANDLE: Final = 40
MAX_GPUS: Final = 16
CLAIMED: Final = 0
"""The rank of the only evidence for a place that there is yet: the worker says so."""


class Refusal(msgspec.Struct, frozen=True):
    """Why these capabilities are not taken: a sentence for the worker's owner."""

    reason: str


class Place(msgspec.Struct, frozen=True):
    """A cell at resolution 7 and the ISO codes of the countries that it touches."""

    cell: int
    countries: frozenset[str]


def place_of(capabilities: Capabilities) -> Place | Refusal:
    """Where the worker says it is; a cell finer than 7 is read at 7, a coarser one is refused."""
    try:
        cell = parse_cell(capabilities.cell)
    except InvalidCell:
        return Refusal("the cell is not an H3 cell")
    if resolution(cell) != WORKER_RESOLUTION:
        return Refusal(f"a worker registers a cell of resolution {WORKER_RESOLUTION}")
    return Place(cell, countries(cell))


def fault_of(capabilities: Capabilities) -> Refusal | None:
    """What is wrong with capabilities beyond their place; None if nothing is."""
    handle = capabilities.handle
    if handle is not None and (len(handle) > MAX_HANDLE or not handle.isprintable()):
        return Refusal(f"a handle takes up to {MAX_HANDLE} printable characters")
    if capabilities.slots < 1:
        return Refusal("a worker needs at least one slot")
    return None


def known_offers(models: Iterable[ModelOffer], catalogue: Mapping[str, Entry]) -> list[ModelOffer]:
    """The offered models that the catalogue pins by digest; a larger context than the catalogue's is cut to it."""
    return [
        msgspec.structs.replace(model, context=min(model.context, catalogue[model.id].context))
        for model in models
        if model.id in catalogue and model.digest == catalogue[model.id].digest
    ]


def served(models: Iterable[ModelOffer], catalogue: Mapping[str, Entry]) -> dict[str, ModelFacts]:
    """What matching may rely on of the known offers, by id; a file of another digest or an unknown model gets no jobs, and
    nobody sees images whose tokens could be replayed."""
    return {
        model.id: ModelFacts(
            model.digest,
            model.context,
            model.loaded,
            model.loading,
            weak=(weak := model.verifiability == "weak"),
            mtps=model.mtps,
            tasks=frozenset(model.tasks),
            vision=model.vision and weak,
        )
        for model in known_offers(models, catalogue)
    }


def memory_of(hardware: Hardware) -> int:
    """The largest memory that a model could be loaded into, in bytes: the machine's, or all of its GPUs'."""
    return max(hardware.memory_total, sum(gpu.memory_total for gpu in hardware.gpus[:MAX_GPUS]))


def for_register(capabilities: Capabilities, catalogue: Mapping[str, Entry]) -> Capabilities:
    """What of an inventory, which may be long, is kept: each known model once, and its first devices."""
    models = {model.id: model for model in known_offers(capabilities.models, catalogue)}
    hardware = msgspec.structs.replace(capabilities.hardware, gpus=capabilities.hardware.gpus[:MAX_GPUS])
    return msgspec.structs.replace(capabilities, models=list(models.values()), hardware=hardware)


def facts_of(
    pk: str, place: Place, capabilities: Capabilities, *, tier: int, evidence: int, catalogue: Mapping[str, Entry],
    owner: UUID | None = None,
) -> WorkerFacts:  # fmt: skip
    """What matching may rely on; slots are cut to 64; `owner` is the account that it is linked to."""
    return WorkerFacts(
        pk=pk,
        cell=place.cell,
        countries=place.countries,
        tier=tier,
        evidence=evidence,
        models=served(capabilities.models, catalogue),
        slots=min(capabilities.slots, MAX_SLOTS),
        jobs=capabilities.jobs,
        price_floor=capabilities.price_floor,
        memory=memory_of(capabilities.hardware),
        owner=owner,
    )


def registered(row: WorkerRow, catalogue: Mapping[str, Entry]) -> WorkerFacts:
    """The facts of a worker as the database has it; one that is suspended or revoked takes no jobs."""
    capabilities = msgspec.json.decode(row.capabilities, type=Capabilities)
    place = Place(row.cell, frozenset(row.countries))
    facts = facts_of(
        row.pk, place, capabilities, tier=row.tier, evidence=row.evidence, catalogue=catalogue, owner=row.owner
    )
    in_good_standing = row.state in ("probation", "active")
    return msgspec.structs.replace(facts, jobs=facts.jobs and in_good_standing)


def public_of(facts: WorkerFacts, handle: str | None) -> WorkerPublic:
    """What anybody may know of a worker."""
    cell = format_cell(public_cell(facts.cell))
    return WorkerPublic(facts.pk, handle, cell, sorted(facts.countries), tier_name(facts.tier))
