"""The workers that are online at other coordinators, as the register had them a moment ago: nobody is told that no worker is
there because it is not here."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from coordinator.dispatch.admission import registered
from coordinator.match.rules import WorkerFacts
from coordinator.match.score import fit
from coordinator.store import workers
from coordinator.store.engine import alone
from coordinator.store.rows import Kind, WorkerRow

if TYPE_CHECKING:
    from coordinator.dispatch.state import Dispatch

FRESH_MS: Final = 1000
SEEN: Final = timedelta(seconds=30)
"""A coordinator that did not say for so long that it has a worker has it no more."""

REGISTERED: Final = timedelta(hours=24)


class Elsewhere:
    """The workers by key, and whether some of them may do jobs of a kind: asked once for each kind and register."""

    def __init__(self) -> None:
        self.workers: Mapping[str, WorkerFacts] = {}
        self.read_at = 0
        self.reading = asyncio.Lock()
        self._takes: dict[int, bool] = {}

    def put(self, found: Mapping[str, WorkerFacts], now: int) -> None:
        """These are there, as of `now` (ms)."""
        self.workers, self.read_at = found, now
        self._takes.clear()

    def drop(self, pks: Iterable[str]) -> set[str]:
        """These are not there any more; returns those that were."""
        dropped = self.workers.keys() & set(pks)
        if dropped:
            self.put({pk: facts for pk, facts in self.workers.items() if pk not in dropped}, self.read_at)
        return dropped

    def outdated(self) -> None:
        """The register has changed: whoever looks reads it again."""
        self.read_at = 0

    def takes(self, kind: Kind) -> bool:
        """Whether some of them may do jobs of this kind."""
        if kind.id not in self._takes:
            self._takes[kind.id] = any(fit(facts, kind) is not None for facts in self.workers.values())
        return self._takes[kind.id]


async def look(d: "Dispatch") -> None:
    """Reads the register, at most once a second however many ask. Raises Away."""
    elsewhere = d.hub.elsewhere
    async with elsewhere.reading:
        if d.now_ms() - elsewhere.read_at >= FRESH_MS:
            await _read(d)


async def read(d: "Dispatch") -> None:
    """Reads the register now. Raises Away."""
    async with d.hub.elsewhere.reading:
        await _read(d)


async def _read(d: "Dispatch") -> None:
    """One after another, or what was read first might be noted last, without who came meanwhile."""
    now = d.clock()
    async with alone(d.engine) as conn:
        known = await workers.registered_since(conn, now - REGISTERED, but=d.name)
    note(d, known, now)


def note(d: "Dispatch", known: Sequence[WorkerRow], now: datetime) -> None:
    """The register without the workers that are here is this, as of `now`."""
    facts = {row.pk: registered(row, d.catalogue) for row in known}
    d.hub.register(facts.values(), {row.pk for row in known if is_elsewhere(row, d.name, now)}, d.now_ms())


def is_elsewhere(row: WorkerRow, name: str, now: datetime) -> bool:
    """Whether another coordinator than `name` has the worker now."""
    return row.coordinator not in (None, name) and row.last_seen >= now - SEEN
