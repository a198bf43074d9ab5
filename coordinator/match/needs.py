"""What a kind of job needs beyond place and rank, as few and coarse values: each combination is a kind of its own."""

from enum import IntFlag
from typing import Final

PER: Final = 1_000_000
"""Prices of workers are for so many tokens."""


class Need(IntFlag):
    """What a job needs of whoever does it; the bits of `kinds.needs`."""

    SEEDED = 1
    """An engine of which every token can be replayed, and with it all that only our own engine does."""

    OWN = 2
    """A worker of the caller's own, and no other."""


def price_class(share: int, tokens: int) -> int:
    """The class of what a worker gets at most (`share`, stroops) for up to `tokens` tokens: class n > 0 is 2^(n-1)
    stroops per million tokens or more, and less than twice that; class 0 is nothing."""
    return (share * PER // max(tokens, 1)).bit_length()


def least(price: int) -> int:
    """The least stroops per million tokens that a price class pays."""
    return 1 << (price - 1) if price else 0
