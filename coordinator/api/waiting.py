"""What waits, counted for whoever asks."""

import asyncio
from time import monotonic
from typing import Final

from coordinator.api.hive import Hive
from coordinator.store.engine import alone
from coordinator.store.rows import Kind

FRESH_S: Final = 1.0


class Waiting:
    """The kinds of jobs that wait, counted at most once a second however many ask."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._counts: list[tuple[Kind, int]] = []

    async def counts(self) -> list[tuple[Kind, int]]:
        """Each kind with how many of its jobs are pending, at most a second old."""
        async with self._lock:
            if monotonic() - self._read_at >= FRESH_S:
                async with alone(self._hive.engine) as conn:
                    self._counts = await self._hive.kinds.counts(conn)
                self._read_at = monotonic()
            return self._counts
