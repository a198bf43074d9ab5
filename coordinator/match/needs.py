"""What a kind of job needs beyond place and rank, as few and coarse values: each combination is a kind of its own."""

from collections.abc import Mapping
from enum import IntFlag
from typing import Final

from shared.protocol.messages import Task

PER: Final = 1_000_000
"""Prices of workers are for so many tokens."""


class Need(IntFlag):
    """What a job needs of whoever does it; the bits of `kinds.needs`."""

    SEEDED = 1
    """An engine of which every token can be replayed, and with it all that only our own engine does."""

    OWN = 2
    """A worker of the caller's own, and no other."""

    EMBED = 4
    """A model that embeds there, in place of one that writes."""

    RANK = 8
    """A model that scores documents there, in place of one that writes."""

    VISION = 16
    """A model that sees images there."""


TASKS: Final[Mapping[Task, Need]] = {"generate": Need(0), "embed": Need.EMBED, "rank": Need.RANK}
"""The need of each task."""


def task_of(needs: int) -> Task:
    """The task of jobs with these needs."""
    return "embed" if needs & Need.EMBED else "rank" if needs & Need.RANK else "generate"


def price_class(share: int, tokens: int) -> int:
    """The class of what a worker gets at most (`share`, stroops) for up to `tokens` tokens that it makes, or reads where
    it makes none: class n > 0 is 2^(n-1)
    stroops per million tokens or more, and less than twice that; class 0 is nothing."""
    return (share * PER // max(tokens, 1)).bit_length()


def least(price: int) -> int:
    """The least stroops per million tokens that a price class pays."""
    return 1 << (price - 1) if price else 0
