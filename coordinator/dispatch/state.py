"""All that dispatch works with, wired once by the application."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from nacl.signing import SigningKey

from coordinator.bus import Alone, Bus
from coordinator.dispatch import ending, telling
from coordinator.dispatch.between import Drop
from coordinator.dispatch.hub import Hub
from coordinator.dispatch.memory import Memory
from coordinator.dispatch.offer import in_ms
from coordinator.dispatch.relay import Relay
from coordinator.dispatch.reports import Report, Reports
from coordinator.queue.limits import LEASE
from coordinator.store.engine import Engine
from coordinator.submit.kinds import KindCache
from coordinator.verify.checks import Vocabulary
from shared.catalogue import Entry

HEARTBEAT_MS: Final = 5_000
LEASE_MS: Final = LEASE // timedelta(milliseconds=1)
SILENCE_MS: Final = 15_000
"""A worker that says nothing for this long is gone; an attempt without progress for this long is lost."""

QUIET_MS: Final = 8_000
"""A worker that says nothing for this long has missed a heartbeat, and three seconds more: one whose answer a client reads is
gone, and no other gets a job."""

TURNS: Final = 4
"""So many steps of handshakes, of half a millisecond each, are taken before everything else has its turn."""

JOINS: Final = 8
"""So many workers are written into the register at the same time: each takes a connection."""


@dataclass(slots=True)
class Heard:
    """What other coordinators said and is not done yet: jobs that are over, adrift or to drop; and who waits here for the
    word that a job is over."""

    over: set[UUID] = field(default_factory=set)
    adrift: set[UUID] = field(default_factory=set)
    drops: dict[UUID, Drop] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    awaited: dict[UUID, asyncio.Event] = field(default_factory=dict)


@dataclass(slots=True)
class Dispatch:
    """`name` is this coordinator's own, and this process's; `public_host` the name that workers dial, signed into the
    challenge ("": only a loopback address, as dialled); `vocabularies` by model id; `geo_digest` of the built-in index,
    hex; `bus` the way to the other coordinators, `heard` what came over it. `short` says since when (ms) too few workers
    have a model in memory, `asked` when workers were asked to load it. `taking` are messages of workers that have to be waited
    for, `seen` says when a model file (id, digest) was last noted."""

    engine: Engine
    key: SigningKey
    name: str
    public_host: str
    geo_digest: str
    catalogue: Mapping[str, Entry]
    vocabularies: Mapping[str, Vocabulary]
    kinds: KindCache
    clock: Callable[[], datetime]
    bus: Bus = field(default_factory=Alone)
    heard: Heard = field(default_factory=Heard)
    hub: Hub = field(default_factory=Hub)
    memory: Memory = field(default_factory=Memory)
    reports: Reports = field(default_factory=Reports)
    relay: Relay = field(init=False)
    watch: asyncio.Event = field(default_factory=asyncio.Event)
    spare: dict[int, int] = field(default_factory=dict)
    short: dict[str, int] = field(default_factory=dict)
    asked: dict[str, list[int]] = field(default_factory=dict)
    handshakes: dict[str, int] = field(default_factory=dict)
    turns: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, TURNS))
    joins: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, JOINS))
    taking: set[asyncio.Task[None]] = field(default_factory=set)
    seen: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.relay = Relay(partial(ending.cancel, self), partial(telling.changed, self))

    def now_ms(self) -> int:
        """The clock in ms since 1970 UTC."""
        return in_ms(self.clock())

    def report(self, report: Report) -> None:
        """Leaves a report to the committer; where too many wait already, the lease of its attempt tells of it."""
        if not self.reports.put(report):
            self.hub.attempts.remove(report.attempt)
