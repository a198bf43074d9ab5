"""What a job costs its caller, in stroops."""

from typing import Final

from shared.catalogue import Entry

LEAST: Final = 10_000
"""0.001 GNS: the least that a job priced by its model costs."""

_PER: Final = 1_000_000


def cost(entry: Entry, tokens_in: int, tokens_out: int, reward: int | None, *, copy: bool = False) -> int:
    """The stroops that the caller pays: the reward it named, else the model's price for the tokens, rounded up and at
    least 0.001 GNS; for a `copy`, whose prompt another job has paid for, that of its own tokens alone."""
    if reward is not None:
        return reward
    if copy:
        return -(-tokens_out * entry.price_out // _PER)
    exact = tokens_in * entry.price_in + tokens_out * entry.price_out
    return max(LEAST, -(-exact // _PER))
