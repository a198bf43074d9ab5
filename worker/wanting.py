"""The coordinator wants a model served: what its owner's policy makes of that. Decides, does nothing."""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from shared.catalogue import Listed, library
from shared.gguf.memory import Need
from shared.protocol.messages import Wanted
from shared.words import size
from worker.fetching import MARGIN
from worker.models import LocalModel

Policy = Literal["never", "load", "fetch"]
"""What an owner allows: nothing, to load what is here, or to fetch it as well."""


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Put this model of this machine into memory and offer it, with `context` tokens for each slot."""

    model: LocalModel
    context: int


class Fetch(msgspec.Struct, frozen=True, tag="fetch"):
    """Fetch this model, only with this digest and no more than `size_bytes`, which count against the budget."""

    listed: Listed
    digest: str
    size_bytes: int


class Ignore(msgspec.Struct, frozen=True, tag="ignore"):
    """Do nothing, and why, as a sentence for the owner."""

    reason: str


Decision = Load | Fetch | Ignore


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What there is, in bytes: left of the owner's budget for fetches, free on the disk, and memory that models may
    still take; `slots` are the answers at once that a model would be loaded for."""

    policy: Policy
    budget: int
    disk: int
    memory: int
    slots: int


def decide(
    wanted: Wanted, here: Mapping[str, LocalModel], loaded: Collection[str], busy: Collection[str], means: Means
) -> Decision:
    """What to do: `here` are the models of this machine by id, `loaded` those that are offered from memory already,
    `busy` those that are being loaded or fetched at this moment."""
    name, model = wanted.model_id, here.get(wanted.model_id)
    if means.policy == "never":
        return Ignore(f"{name} is wanted, and this machine's owner lets nobody ask for models.")
    if name in busy:
        return Ignore(f"{name} is wanted, and on its way.")
    if model is not None and model.digest == wanted.digest:
        return Ignore(f"{name} is wanted, and loaded.") if name in loaded else _load(model, means)
    if model is not None and model.source != "fetched":
        return Ignore(f"{name} is wanted, but the file of this name here is another one.")
    return _fetch(wanted, means)


def _load(model: LocalModel, means: Means) -> Decision:
    need = model.need or Need(model.size_bytes, 0)
    context = need.largest_context(model.context, means.memory, means.slots)
    if not need.fits(model.context, means.memory) or not context:
        return Ignore(f"{model.id} is wanted, but {_too_little('memory', need.of(0, 1), means.memory)}.")
    return Load(model, context)


def _fetch(wanted: Wanted, means: Means) -> Decision:
    """From the library alone: a coordinator may name a model, never a place that this machine should fetch from."""
    name, listed = wanted.model_id, library().get(wanted.model_id)
    if means.policy != "fetch":
        return Ignore(f"{name} is wanted, but not here, and this machine's owner lets nobody have models fetched.")
    if listed is None:
        return Ignore(f"{name} is wanted, but not in the library, so this machine would not know where to get it.")
    if wanted.size_bytes > means.budget:
        return Ignore(
            f"{name} is wanted, but {_too_little('the budget for fetches', wanted.size_bytes, means.budget)}."
        )
    if wanted.size_bytes + MARGIN > means.disk:
        return Ignore(f"{name} is wanted, but {_too_little('disk', wanted.size_bytes + MARGIN, means.disk)}.")
    need = Need(listed.need.fixed - listed.size_bytes + wanted.size_bytes, listed.need.token)
    if not need.fits(listed.context, means.memory):
        return Ignore(f"{name} is wanted, but {_too_little('memory', need.of(0, 1), means.memory)}.")
    return Fetch(listed, wanted.digest, wanted.size_bytes)


def _too_little(what: str, needed: int, there: int) -> str:
    return f"takes {size(needed)} of {what}, and {size(max(0, there))} are left"
