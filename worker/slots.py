"""What runs here and what is free; which offers are taken. Pure."""

from collections.abc import Mapping

import msgspec

from shared.crypto import Context, verifies
from shared.protocol.messages import Offer, OfferBody
from worker.comfort.policy import Wishes, objection

Key = tuple[str, int]
"""A job id and an attempt."""


class Slots(msgspec.Struct, frozen=True):
    """How many requests at once, and the attempts that run."""

    total: int
    running: frozenset[Key] = frozenset()

    @property
    def free(self) -> int:
        """How many more can be taken."""
        return self.total - len(self.running)

    def with_attempt(self, key: Key) -> "Slots":
        """The slots with this attempt in one of them; raises ValueError if none is free or it runs already."""
        if self.free <= 0 or key in self.running:
            raise ValueError(f"no slot for {key}")
        return msgspec.structs.replace(self, running=self.running | {key})

    def without(self, key: Key) -> "Slots":
        """The slots once this attempt is over; the same slots if it did not run."""
        return msgspec.structs.replace(self, running=self.running - {key})


class Terms(msgspec.Struct, frozen=True):
    """What an offer is held against: both keys in hex, the coordinator's time in ms, the digests of the models that
    are served by id, whether this worker takes work at all, and what its owner serves."""

    worker_pk: str
    server_pk: str
    now: int
    digests: Mapping[str, str]
    open: bool
    wishes: Wishes = Wishes()


def refusal(offer: Offer, slots: Slots, terms: Terms) -> str | None:
    """Why this offer is declined, in a word or two; None if it is taken."""
    body = offer.body
    if body.worker_pk != terms.worker_pk:
        return "for another worker"
    if not verifies(terms.server_pk, Context.OFFER, msgspec.to_builtins(body), offer.signature):
        return "bad signature"
    if body.expires_at <= terms.now:
        return "expired"
    if not terms.open:
        return "takes no work now"
    if terms.digests.get(body.model_id) != body.model_digest:
        return "unknown model"
    if (fault := _unlike_its_task(body)) is not None:
        return fault
    if (reason := objection(body, terms.wishes)) is not None:
        return reason
    if slots.free <= 0 or (body.job_id, body.attempt) in slots.running:
        return "no free slot"
    return None


def _unlike_its_task(body: OfferBody) -> str | None:
    """What is wrong with what the offer gives the model to read."""
    if body.task == "generate":
        return "neither messages nor a prompt, or both" if (body.messages is None) == (body.prompt is None) else None
    if body.messages is not None or body.prompt is not None:
        return "a prompt for a task that has none"
    return "no texts" if len(body.inputs) < (2 if body.task == "rank" else 1) else None
