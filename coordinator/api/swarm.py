"""The swarm as this coordinator sees it, read at most once a second however many look, and less often where that takes long."""

import asyncio
from collections import deque
from datetime import timedelta
from functools import cached_property
from time import monotonic
from typing import Final

import msgspec

from coordinator.api.hive import Hive
from coordinator.api.offered import Offered, Written, offered, written
from coordinator.api.shown import ShownWorker, SwarmStatus, ledger_of, rate, shown_worker, status
from coordinator.store import views, workers
from coordinator.store.callers import KeyRow
from coordinator.store.engine import Away, alone, has_tables
from coordinator.store.rows import StatusNumbers
from shared.catalogue import named

FRESH_S: Final = 1.0
STALE_S: Final = 5.0
SHARE: Final = 20
"""The swarm is read for a twentieth of the time at most, and shown for STALE_S at most: all waiting jobs are counted."""
WINDOW_S: Final = 10.0
REGISTERED: Final = timedelta(hours=24)
"""A worker that was not seen for longer is not counted."""


class Snapshot(msgspec.Struct, frozen=True):
    """The swarm at one moment."""

    status: SwarmStatus
    workers: list[ShownWorker]


class Swarm:
    """Reads the swarm for all who ask."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._lock = asyncio.Lock()
        self._reaching = asyncio.Lock()
        self._fresh_until = self._reached_until = float("-inf")
        self._snapshot: Snapshot | None = None
        self._samples: deque[tuple[float, int]] = deque()

    async def snapshot(self) -> Snapshot:
        """The swarm, at most a second old, or STALE_S where it takes long to read."""
        async with self._lock:
            if self._snapshot is None or monotonic() >= self._fresh_until:
                began = monotonic()
                self._snapshot = await self._read()
                self._fresh_until = fresh_until(began, monotonic())
            return self._snapshot

    async def reach(self) -> None:
        """Asks the database for a sign of life, once a second at most; raises Away."""
        async with self._reaching:
            if monotonic() >= self._reached_until:
                if not await has_tables(self._hive.engine):
                    raise Away("The database has no tables of Hive's: restore it, or start the coordinator anew.")
                self._reached_until = monotonic() + FRESH_S

    def models(self) -> list[Offered]:
        """The catalogue's models and who serves them at this moment."""
        return offered(self._hive.catalogue, self._written, self._hive.hub.served.of)

    def models_for(self, key: KeyRow) -> list[Offered]:
        """The models that a key may use."""
        return [model for model in self.models() if key.models is None or model.id in key.models]

    def tokenizer(self, model: str) -> str:
        """How a model of the catalogue cuts text into tokens, by name."""
        return self._written[model].tokenizer

    def id_of(self, name: str) -> str:
        """The id of the model that has this name; the name itself where none has it."""
        entry = named(self._hive.catalogue, name)
        return entry.id if entry is not None else name

    @cached_property
    def _written(self) -> dict[str, Written]:
        return {name: written(vocabulary) for name, vocabulary in self._hive.vocabularies.items()}

    async def _read(self) -> Snapshot:
        hive = self._hive
        async with alone(hive.engine) as conn:
            numbers = await views.status_numbers(conn)
            rows = await workers.registered_since(conn, hive.clock() - REGISTERED)
        running = {pk: numbers.running.get(pk, 0) for pk in hive.hub.elsewhere.workers}
        running |= {pk: hive.hub.attempts.taken(pk) for pk in hive.hub.sessions}
        shown = [shown_worker(row, running) for row in rows]
        now = status(
            numbers,
            shown,
            {facts.cell for pk in running if (facts := hive.hub.facts_of(pk)) is not None},
            tokens_per_second=self._rate(numbers),
            models=sum(model.is_ready for model in self.models()),
            ledger=ledger_of(hive.network),
        )
        return Snapshot(now, shown)

    def _rate(self, numbers: StatusNumbers) -> float:
        """Tokens of ended jobs and of those that are being computed, over the last ten seconds."""
        hive, now = self._hive, monotonic()
        live = sum(len(hive.relay.channel(attempt.job_id).ids) for attempt in hive.hub.attempts.everything())
        self._samples.append((now, numbers.tokens_out + live))
        while self._samples[0][0] < now - WINDOW_S:
            self._samples.popleft()
        return rate(list(self._samples))


def fresh_until(began: float, ended: float) -> float:
    """Until when what was read between these moments (s) is shown."""
    return ended + min(STALE_S, max(FRESH_S, SHARE * (ended - began)))
