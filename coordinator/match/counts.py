"""How many workers pass the rules of a kind of job: what candidates are told of, and why nobody is one."""

from collections.abc import Sequence
from typing import Final

import msgspec

from coordinator.match.rules import EligibleAfter, Reason

_ORDER: Final = (
    Reason.OWNER, Reason.MODEL, Reason.TASK, Reason.VISION, Reason.PLACE, Reason.TIER, Reason.EVIDENCE, Reason.CONTEXT,
    Reason.VERIFIABILITY, Reason.PRICE,
)  # fmt: skip

_PASSED: Final = (
    "owner", "has_model", "task", "vision", "in_place", "tier", "evidence", "context", "verifiability", "price"
)  # fmt: skip


class Counts(msgspec.Struct, frozen=True):
    """How many workers pass the rules of a kind of job, each number counting those that passed all before it.

    `registered` were seen within 24 h; the others are about those online. `possible` counts the registered ones that
    pass every rule, whether they are online or not.
    """

    registered: int
    online: int
    owner: int
    has_model: int
    task: int
    vision: int
    in_place: int
    tier: int
    evidence: int
    context: int
    verifiability: int
    price: int
    free: int
    possible: int

    @property
    def eligible(self) -> int:
        """How many online workers may take the job, now or when they are free."""
        return self.price


def counted(online: Sequence[Reason | EligibleAfter], *, registered: int, free: int, possible: int) -> Counts:
    """The counts over what the rules say of the workers online."""
    passed = {
        name: sum(_passes(verdict, rule) for verdict in online) for name, rule in zip(_PASSED, _ORDER, strict=True)
    }
    return Counts(registered=registered, online=len(online), free=free, possible=possible, **passed)


def _passes(verdict: Reason | EligibleAfter, rule: Reason) -> bool:
    """Whether a verdict got past this rule and all before it."""
    if verdict is Reason.TAKES_NONE:
        return False
    return not isinstance(verdict, Reason) or _ORDER.index(verdict) > _ORDER.index(rule)
