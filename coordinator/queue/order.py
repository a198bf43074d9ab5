"""A job's place in the queue of its kind: the lowest tag goes first."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal, assert_never

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
BATCH_YIELDS: Final = timedelta(hours=1)
"""How much older a batch job has to be than an interactive one to go before it."""


def tag(created_at: datetime, priority: Literal["interactive", "batch"]) -> int:
    """Microseconds since 1970 UTC, later by BATCH_YIELDS for the batch lane."""
    moment = (created_at - EPOCH) // timedelta(microseconds=1)
    match priority:
        case "interactive":
            return moment
        case "batch":
            return moment + BATCH_YIELDS // timedelta(microseconds=1)
        case _:
            assert_never(priority)
