"""Spoiled submissions, ordered by tests: what a payout engine has to survive."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

import msgspec


class Fault(Enum):
    """What happens to one submission."""

    DROP = "drop"
    """It never reaches the queue; the caller is told of a timeout."""
    LOSE = "lose"
    """It is queued and will be applied; the caller is told of a timeout."""
    CUT = "cut"
    """It is queued and will be applied; the caller's connection ends in the middle of the answer."""
    DUPLICATE = "duplicate"
    """It arrives twice; the caller gets the answer to the second."""
    DELAY = "delay"
    """It waits before it reaches the queue."""


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True):
    """How many of the next submissions to spoil in each way, taken in this order; the delay in milliseconds."""

    drop: int = 0
    lose: int = 0
    cut: int = 0
    duplicate: int = 0
    delay: int = 0
    delay_ms: int = 1_000


@dataclass
class Faults:
    """The faults still to come, one a submission."""

    waiting: deque[tuple[Fault, float]] = field(default_factory=deque)

    def add(self, order: FaultOrder) -> int:
        """Append what is ordered; return how many faults now wait."""
        for fault in Fault:
            self.waiting.extend([(fault, order.delay_ms / 1_000)] * getattr(order, fault.value))
        return len(self.waiting)

    def take(self) -> tuple[Fault, float] | None:
        """Return the next submission's fault and the delay in seconds that belongs to it."""
        return self.waiting.popleft() if self.waiting else None
