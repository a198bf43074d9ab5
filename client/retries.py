"""Whether a request that failed is sent again, and after how long. Pure."""

import math
from typing import Final

from client.failures import Unreachable
from shared.errors import HiveError, Unavailable

FIRST_S: Final = 0.5
MOST_S: Final = 8.0
PATIENCE_S: Final = 30
"""A Hive that wants a longer wait gets none: whoever asks may know better what to do with the time."""


def pause_s(failed: HiveError, tries: int, most: int, luck: float, *, safe: bool) -> float | None:
    """The seconds to wait before the next try, None to give up. `tries` were made, `most` may be repeated; `luck` is from 0
    to 1 and spreads those who failed together."""
    if tries > most or not _may_repeat(failed, safe=safe):
        return None
    if failed.retry_after_s is not None:
        return float(failed.retry_after_s) if failed.retry_after_s <= PATIENCE_S else None
    return backoff_s(tries, luck)


def backoff_s(tries: int, luck: float) -> float:
    """The seconds to wait after so many tries: doubled each time, up to 8, less up to a quarter by luck."""
    return min(math.ldexp(FIRST_S, tries - 1), MOST_S) * (1 - luck / 4)


def _may_repeat(failed: HiveError, *, safe: bool) -> bool:
    """A request that is not safe to repeat is repeated only if it was never sent."""
    if isinstance(failed, Unreachable):
        return safe or not failed.sent
    waiting_helps = failed.retry_after_s is not None or not isinstance(failed, Unavailable)
    return safe and failed.retryable and waiting_helps and not failed.dispatched
