"""How a batch stands: whether it is to end before its time, and whether a line that found no room may wait. Pure."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from coordinator.batch.telling import CANCELLED, EXPIRED
from coordinator.store.batches import BatchRow
from shared.errors import HiveError, RateLimited, Unavailable

PATIENCE: Final = timedelta(minutes=10)
"""So long a batch of which nothing is in the queue waits for money or for workers; after that its lines fail."""

SOON: Final = timedelta(seconds=2)
LATER: Final = timedelta(seconds=15)
LONGEST: Final = timedelta(minutes=1)
"""Limits may be raised: whoever may ask tomorrow again is tried before."""

_MONEY: Final = frozenset({"insufficient_balance", "budget_exceeded"})


class Pause(msgspec.Struct, frozen=True):
    """No line becomes a job before `until`; `short_since` is since when money or workers are missing."""

    until: datetime
    short_since: datetime | None


def closing_of(batch: BatchRow, now: datetime) -> str | None:
    """Why the batch ends without the lines that are not done; None while it goes on."""
    if batch.status == "cancelling":
        return CANCELLED
    return EXPIRED if batch.expires_at <= now and batch.status != "finalizing" else None


def pause_for(error: HiveError, batch: BatchRow, now: datetime, *, waits: bool) -> Pause | None:
    """How long the batch rests for what a line was answered, where waiting can help; None where the line has failed.

    Limits are waited for however long they take. So is money while jobs of the batch wait or run, for their holds come back,
    and else for PATIENCE, as workers are: somebody may see to it, and one short moment must not fail thousands of lines.
    """
    if isinstance(error, RateLimited):
        return Pause(now + min(timedelta(seconds=max(1, error.retry_after_s or 1)), LONGEST), batch.short_since)
    if error.code not in _MONEY and not isinstance(error, Unavailable):
        return None
    if waits:
        return Pause(now + SOON, None)
    since = batch.short_since or now
    return Pause(now + LATER, since) if now - since < PATIENCE else None
