"""The events of all answers to one request, as they come."""

import asyncio
from collections.abc import Sequence

from coordinator.dispatch.relay import JobEvent, Reader


class Readers:
    """Reads several jobs as one; each event comes with its job's place. Close it when reading ends, however it ends."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers
        self._news = asyncio.Event()
        for reader in readers:
            reader.news = self._news

    def next_event(self) -> tuple[int, JobEvent] | None:
        """The next event that is there already, without waiting."""
        for place, reader in enumerate(self._readers):
            if (event := reader.next_event()) is not None:
                return place, event
        return None

    async def next(self, within_s: float | None = None) -> tuple[int, JobEvent] | None:
        """The next event; None if there is none within so many seconds. Raises GoingAway."""
        if (found := self.next_event()) is not None:
            return found
        if within_s is None:
            return await self._awaited()
        try:
            async with asyncio.timeout(within_s):
                return await self._awaited()
        except TimeoutError:
            return None

    def ids(self, place: int) -> list[int]:
        """The tokens that a job has made so far, as far as they are known here."""
        return self._readers[place].ids

    def close(self) -> None:
        """Stops reading: jobs that nobody else reads and that have not ended are cancelled."""
        for reader in self._readers:
            reader.close()

    async def _awaited(self) -> tuple[int, JobEvent]:
        while (found := self.next_event()) is None:
            for reader in self._readers:
                reader.check()
            self._news.clear()
            await self._news.wait()
        return found
