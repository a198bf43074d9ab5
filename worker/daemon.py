"""The worker's wiring: engines, link, heartbeat, outbox, guard, control and report in one task group."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, assert_never
from urllib.parse import urlsplit

import structlog

from shared.crypto import fingerprint
from shared.errors import HiveError
from shared.protocol.messages import (
    Ack,
    Cancel,
    Capabilities,
    Drain,
    Hardware,
    Heartbeat,
    Held,
    Inventory,
    Leave,
    Offer,
    Pong,
    Standing,
    ToWorker,
    Wanted,
    Welcome,
)
from worker.comfort.guard import Guard, Look
from worker.control import Control
from worker.identity import Identity
from worker.jobs import AGAIN_S, Jobs
from worker.known import pin, pinned_key
from worker.link import Link
from worker.log import Recent
from worker.models import LocalModel
from worker.outbox import Outbox
from worker.report import Report, forget_report
from worker.reporting import Reporting
from worker.settings import Settings, fits_pin, websocket_url
from worker.shares import Shares
from worker.shelf import Shelf
from worker.signals import on_stop
from worker.slots import Terms

DRAIN_S: Final = 10.0
FLUSH_S: Final = 1.0
HEARTBEAT_S: Final = 5.0
_LOG: Final = structlog.get_logger("worker")
Loop = Callable[[], Coroutine[Any, Any, None]]


class Daemon:
    """A worker at work, the listener of its link, and what its guard and its control act on. `clock` gives ms since 1970
    UTC; `show` gets each new report; `look` finds out about the machine, by default with all that the system tells."""

    def __init__(
        self,
        home: Path,
        chosen: Settings,
        who: Identity,
        models: list[LocalModel],
        *,
        clock: Callable[[], int],
        probe: Hardware,
        ready_file: Path | None = None,
        show: Callable[[Report], None] = lambda _: None,
        recent: Recent | None = None,
        look: Look | None = None,
    ) -> None:
        self._home, self._chosen, self._who, self._clock, self._probe = home, chosen, who, clock, probe
        self._wishes = chosen.policy.wishes()
        self._shelf = Shelf(home, chosen, models, self._models_changed, lambda: self._jobs.models)
        url, *more = map(websocket_url, (chosen.coordinator, *chosen.elsewhere))
        self._link = Link(url, who.key, self, clock, more)
        self._jobs = Jobs(
            self._shelf.served, Outbox(home / "outbox"), who.key,
            slots=chosen.slots, say=self._link.say, changed=self._touch, clock=clock, use=self._shelf.use,
            shares=Shares(home / "shares", clock),
        )  # fmt: skip
        self._guard = Guard(home, chosen, self, self._now, look)
        self._reporting = Reporting(
            home, chosen, who, recent or Recent(), clock=clock, ready_file=ready_file, show=show
        )  # fmt: skip
        self._server_pk: str | None = None
        self._skew_ms = 0
        self._welcome: Welcome | None = None
        self._standing: tuple[Standing | None, int] = (None, 0)
        self._draining = False
        self._quiet, self._hurry, self._stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._group = asyncio.TaskGroup()

    async def run(self, *beside: Loop) -> None:
        """Works, and runs what is `beside` it, until `stop`, SIGINT or SIGTERM; raises HiveError where it cannot go on."""
        loops: tuple[Loop, ...] = (
            self._link.run, self._beat, self._deliver, self._shelf.run, self._drained, self._hurried, self._guard.run,
            Control(self._home, self).run, lambda: self._reporting.run(self.report), *beside,
        )  # fmt: skip
        with on_stop(self.stop):
            try:
                await self._all(loops)
            except BaseExceptionGroup as several:
                if (expected := _expected(several)) is None:
                    raise
                raise expected from None
            finally:
                await self._shelf.stop()
                forget_report(self._home)

    async def _all(self, loops: tuple[Loop, ...]) -> None:
        async with self._group as group:
            self._shelf.start(group)
            tasks = [group.create_task(loop()) for loop in loops]
            await self._stopped.wait()
            self._jobs.cancel_all()
            self._shelf.cancel()
            for task in tasks:
                task.cancel()

    def stop(self) -> None:
        """The first time: no new offers, and running jobs have 10 s. The second time: at once."""
        if self._hurry.is_set():
            self._stopped.set()
        self._hurry.set()
        self.drain()

    def drain(self) -> None:
        """No new offers, and the end once nothing runs or can be delivered."""
        self._draining = True
        self._link.say(Leave())
        self._touch()

    def pause(self, until: int | None) -> None:
        """No new offers until this time in ms since 1970 UTC, or until `resume`; raises PauseError."""
        self._guard.pause(until)

    def resume(self) -> None:
        """The pause that was asked for is over; raises PauseError."""
        self._guard.resume()

    def rests(self) -> None:
        """The guard has another verdict."""
        self._link.say(Inventory(self._capabilities()))
        self._touch()

    def cut(self, reason: str) -> None:
        """Gives up what runs, so that another worker goes on."""
        self._jobs.cut(reason)

    def park(self, away: bool) -> None:
        """Lets the models leave the memory, or has them back."""
        self._shelf.park(away)

    def engines(self) -> list[int]:
        """The process ids of the engines that run."""
        return self._shelf.pids()

    def traffic(self) -> tuple[int, int]:
        """Bytes of the link sent and received since the start."""
        return self._link.sent, self._link.received

    def report(self) -> Report:
        """The state now."""
        state = "online" if self._welcome else "connecting"
        if self._draining:
            state = "stopping" if self._hurry.is_set() else "draining"
        return self._reporting.made(
            state, self._server_pk, self._welcome, self._standing, self._shelf.served, self._jobs, self._guard
        )  # fmt: skip

    def hello(self) -> tuple[Capabilities, list[Held]]:
        """What this worker is and can, and the attempts that it still holds."""
        return self._capabilities(), self._jobs.held()

    def challenged(self, server_pk: str, skew_ms: int) -> str | None:
        """Pins the coordinator's key at the first meeting; a sentence if it is not the one expected."""
        host, fleet = self._link.host, (self._chosen.coordinator, *self._chosen.elsewhere)
        known = (pinned_key(self._home, one) for one in (host, *(urlsplit(url).netloc for url in fleet)))
        expected = self._chosen.server_key or next(filter(None, known), "")
        if not fits_pin(expected, server_pk):
            return (
                f"the coordinator at {host} shows the key {fingerprint(server_pk)}, which is not the one expected; if "
                "its operator confirms the new key, give it with --server-key"
            )
        if not self._chosen.server_key and pinned_key(self._home, host) is None:
            pin(self._home, host, server_pk)
            _LOG.info("coordinator_key_pinned", host=host, fingerprint=fingerprint(server_pk))
        self._server_pk, self._skew_ms = server_pk, skew_ms
        return None

    def welcomed(self, welcome: Welcome) -> None:
        """The session is open: held attempts go on as decided."""
        self._welcome = welcome
        _LOG.info("welcomed", session=welcome.session, tier=welcome.tier)
        self._jobs.resumed(welcome.resume)
        if self._draining:
            self._link.say(Leave())
        self._touch()

    def heard(self, message: ToWorker) -> None:
        """What each message does."""
        match message:
            case Offer():
                self._jobs.offered(message, self._terms(), self._group)
            case Cancel():
                self._jobs.cancel(message)
            case Ack():
                self._jobs.acknowledged(message)
            case Drain():
                self._link.reconnect_after(message.reconnect_ms)
            case Standing():
                self._standing = message, self._clock()
                if message.unsigned:
                    self._group.create_task(self._jobs.sign(message.unsigned))
                self._touch()
            case Wanted():
                if self._is_open:
                    self._shelf.wanted(message)
            case Pong() | Welcome():
                return
            case _:
                assert_never(message)

    def lost(self) -> None:
        """The session is over; running attempts go on."""
        self._welcome = None
        self._touch()

    def _terms(self) -> Terms:
        now = self._clock() - self._skew_ms
        is_open = self._is_open and self._jobs.room
        return Terms(self._who.pk, self._server_pk or "", now, self._jobs.digests, is_open, self._wishes)

    @property
    def _is_open(self) -> bool:
        return self._chosen.jobs and not self._draining and self._guard.rest is None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._welcome.heartbeat_ms / 1000 if self._welcome else HEARTBEAT_S)
            free = self._jobs.slots.free if self._is_open else 0
            self._link.say(Heartbeat(free, self._jobs.running()))

    async def _deliver(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_S / 2)
            if self._link.open:
                self._jobs.deliver(asyncio.get_running_loop().time())

    async def _drained(self) -> None:
        """Ends the daemon once it was told to and nothing runs or can be delivered."""
        await self._quiet.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._link.flushed()
        self._stopped.set()

    async def _hurried(self) -> None:
        """Ends the daemon 10 s after it was told to stop."""
        await self._hurry.wait()
        await asyncio.sleep(DRAIN_S)
        self._stopped.set()

    def _is_quiet(self) -> bool:
        return not self._jobs.slots.running and not (self._jobs.waiting and self._link.open)

    def _models_changed(self) -> None:
        self._guard.engines_changed()
        self._link.say(Inventory(self._capabilities()))
        self._touch()

    def _touch(self) -> None:
        self._reporting.touch()
        if self._draining and self._is_quiet():
            self._quiet.set()

    def _capabilities(self) -> Capabilities:
        return self._shelf.capabilities(self._probe, is_open=self._is_open)

    def _now(self) -> datetime:
        """The local time by this worker's clock."""
        return datetime.fromtimestamp(self._clock() / 1000, UTC).astimezone()


def _expected(several: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The first error that a person can act on."""
    found: BaseException | None = several.subgroup(HiveError)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
