"""Taking a worker off the register: one short session that says so."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from shared.errors import HiveError
from shared.protocol.messages import Capabilities, Hardware, Held, Leave, ToWorker, Welcome
from worker.identity import Identity
from worker.known import pinned_key
from worker.link import Link

PATIENCE_S: Final = 10.0


class LeaveError(HiveError):
    """The coordinator could not be told."""

    code = "leave"


class Leaving:
    """The listener of a session in which nothing but the leave is said."""

    def __init__(self, home: Path, who: Identity, url: str, cell: str, clock: Callable[[], int]) -> None:
        self._pinned = pinned_key(home, urlsplit(url).netloc)
        self._cell = cell
        self._link = Link(url, who.key, self, clock)
        self._open = asyncio.Event()

    async def say(self) -> None:
        """Tells the coordinator that this worker leaves for good; raises LeaveError if it cannot be reached in 10 s."""
        session = asyncio.create_task(self._link.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._open.wait()
                self._link.say(Leave(for_good=True))
                await self._link.flushed()
        except TimeoutError as error:
            raise LeaveError("the coordinator does not answer; the worker is off, but still on its register") from error
        finally:
            session.cancel()
            await asyncio.gather(session, return_exceptions=True)

    def hello(self) -> tuple[Capabilities, list[Held]]:
        """A worker that takes no work and holds none."""
        nothing = Hardware(cpu="", cores=0, memory_total=0, memory_free=0, os="")
        return Capabilities(self._cell, 1, [], nothing, "", "hive/leave", jobs=False), []

    def challenged(self, server_pk: str, skew_ms: int) -> str | None:  # noqa: ARG002 - a leave is not timed
        """Only the coordinator that was met before is told."""
        return None if self._pinned in (None, server_pk) else "the coordinator shows another key than before"

    def welcomed(self, welcome: Welcome) -> None:  # noqa: ARG002 - a leave needs no terms
        """Now it can be said."""
        self._open.set()

    def heard(self, message: ToWorker) -> None:
        """Nothing that is said matters any more."""

    def lost(self) -> None:
        """The link tries again by itself."""
