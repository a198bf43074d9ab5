"""How long a job may go without a sign of life."""

from datetime import timedelta
from typing import Final

LEASE: Final = timedelta(seconds=30)
NO_PROGRESS: Final = timedelta(minutes=5)
"""A job that was claimed once and made no progress for this long, over all attempts, is timed out."""
READER: Final = timedelta(seconds=60)
"""An attached job whose coordinator did not say for this long that somebody reads it is cancelled."""
HANDOVER: Final = timedelta(seconds=5)
"""A job whose time is over while it is computed is ended by its own coordinator, which alone knows what was delivered; one
that has not done so for this long is not waited for."""
HANDED: Final = timedelta(seconds=2)
"""A job whose worker was lost together with its coordinator waits so long for those who read it to say what they have of it."""
DECLINED: Final = timedelta(milliseconds=500)
"""How long a declined job waits before it is offered again."""
KEPT: Final = timedelta(hours=24)
STORED: Final = timedelta(days=30)
IDEMPOTENCY: Final = timedelta(hours=24)
