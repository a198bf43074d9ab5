"""What the HTTP face needs of the coordinator around it; the wiring gives it to the face."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from litestar import Request

from coordinator.dispatch.hub import Hub
from coordinator.dispatch.relay import Relay
from coordinator.settings import Secrets, Settings
from coordinator.store.engine import Engine
from coordinator.store.rows import NewJob
from coordinator.submit.kinds import KindCache
from coordinator.submit.seen import Seen
from shared.catalogue import Entry
from shared.tokens import Vocabulary

HttpRequest = Request[Any, Any, Any]


class Submitting(Protocol):
    """The writer of new jobs, and what it saw of its callers' limits."""

    @property
    def seen(self) -> Seen: ...

    async def submit(self, *jobs: NewJob) -> UUID:
        """Commit a job, or the children of one parent; the id, or the earlier one of the same idempotency key."""


class Hive(Protocol):
    """The parts of one coordinator. `clock` gives the time in UTC; `network` is the passphrase of the Stellar network
    that workers are paid on, None where nothing is paid out."""

    @property
    def settings(self) -> Settings: ...
    @property
    def secrets(self) -> Secrets: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def hub(self) -> Hub: ...
    @property
    def relay(self) -> Relay: ...
    @property
    def writer(self) -> Submitting: ...
    @property
    def kinds(self) -> KindCache: ...
    @property
    def catalogue(self) -> Mapping[str, Entry]: ...
    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]: ...
    @property
    def network(self) -> str | None: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...

    async def look_elsewhere(self) -> None:
        """Know which workers are online at other coordinators, as of a second ago at most."""
