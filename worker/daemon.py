"""The worker's wiring: engines, link, heartbeat, outbox and report in one task group."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, assert_never
from urllib.parse import urlsplit

import msgspec
import psutil
import structlog

from shared.crypto import fingerprint
from shared.errors import HiveError
from shared.files import write_private
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
from worker.identity import Identity
from worker.jobs import AGAIN_S, Jobs
from worker.known import pin, pinned_key
from worker.link import Link
from worker.models import LocalModel
from worker.outbox import Outbox
from worker.report import Report, forget_report, is_ready, write_report
from worker.served import capabilities, engine_build, serve
from worker.settings import Settings, fits_pin, websocket_url
from worker.slots import Terms

DRAIN_S: Final = 10.0
REPORT_S: Final = 5.0
REST_S: Final = 0.25
HEARTBEAT_S: Final = 5.0
_LOG: Final = structlog.get_logger("worker")


class Daemon:
    """A worker at work, and the listener of its link. `clock` gives ms since 1970 UTC; `show` gets each new report."""

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
    ) -> None:
        self._home, self._chosen, self._who, self._clock = home, chosen, who, clock
        self._probe, self._ready_file, self._show = probe, ready_file, show
        self._url = websocket_url(chosen.coordinator)
        self.served = {model.id: serve(model, chosen, self._engine_changed) for model in models}
        self._link = Link(self._url, who.key, self, clock)
        self._jobs = Jobs(
            self.served, Outbox(home / "outbox"), who.key,
            slots=chosen.slots, say=self._link.say, changed=self._touch, clock=clock,
        )  # fmt: skip
        self._server_pk: str | None = None
        self._skew_ms = 0
        self._welcome: Welcome | None = None
        self._draining = False
        self._changed, self._quiet = asyncio.Event(), asyncio.Event()
        self._leaving, self._stopped = asyncio.Event(), asyncio.Event()
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Works until `stop`, SIGINT or SIGTERM; raises HiveError where it cannot go on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        try:
            async with self._group as group:
                tasks = [group.create_task(served.engine.run()) for served in self.served.values()]
                loops = (self._link.run, self._beat, self._deliver, self._tell, self._drained)
                tasks += [group.create_task(loop()) for loop in loops]
                await self._stopped.wait()
                self._jobs.cancel_all()
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as several:
            if (expected := _expected(several)) is None:
                raise
            raise expected from None
        finally:
            await asyncio.gather(*(served.engine.stop() for served in self.served.values()))
            forget_report(self._home)

    def stop(self) -> None:
        """The first time: no new offers, and running jobs have 10 s. The second time: at once."""
        if self._draining:
            self._stopped.set()
        self._draining = True
        self._link.say(Leave())
        self._leaving.set()
        self._touch()

    def hello(self) -> tuple[Capabilities, list[Held]]:
        """What this worker is and can, and the attempts that it still holds."""
        return self._capabilities(), self._jobs.held()

    def challenged(self, server_pk: str, skew_ms: int) -> str | None:
        """Pins the coordinator's key at the first meeting; a sentence if it is not the one expected."""
        host = urlsplit(self._url).netloc
        expected = self._chosen.server_key or pinned_key(self._home, host) or ""
        if not fits_pin(expected, server_pk):
            return (
                f"the coordinator at {host} shows the key {fingerprint(server_pk)}, which is not the one expected; if "
                "its operator confirms the new key, give it with --server-key"
            )
        if not expected:
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
            case Pong() | Welcome() | Standing() | Wanted():
                return
            case _:
                assert_never(message)

    def lost(self) -> None:
        """The session is over; running attempts go on."""
        self._welcome = None
        self._touch()

    def _terms(self) -> Terms:
        is_open = self._chosen.jobs and not self._draining and self._jobs.room
        now = self._clock() - self._skew_ms
        return Terms(self._who.pk, self._server_pk or "", now, self._jobs.digests, is_open)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._welcome.heartbeat_ms / 1000 if self._welcome else HEARTBEAT_S)
            free = 0 if self._draining else self._jobs.slots.free
            self._link.say(Heartbeat(free, self._jobs.running()))

    async def _deliver(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_S / 2)
            if self._link.open:
                self._jobs.deliver(asyncio.get_running_loop().time())

    async def _tell(self) -> None:
        """Keeps the report current: soon after a change, at most four times a second, and every 5 s. The ready file is
        written once."""
        while True:
            self._changed.clear()
            report = self._report()
            try:
                await asyncio.to_thread(write_report, self._home, report)
            except OSError as error:
                _LOG.warning("report_not_written", reason=error.strerror)
            if self._ready_file is not None and is_ready(report):
                await asyncio.to_thread(write_private, self._ready_file, msgspec.json.encode(report))
                self._ready_file = None
            self._show(report)
            await asyncio.sleep(REST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_S):
                    await self._changed.wait()

    async def _drained(self) -> None:
        """Ends the daemon once it was told to and nothing runs or can be delivered, or after 10 s."""
        await self._leaving.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._quiet.wait()
            async with asyncio.timeout(1.0):
                await self._link.flushed()
        self._stopped.set()

    def _is_quiet(self) -> bool:
        return not self._jobs.slots.running and not (self._jobs.waiting and self._link.open)

    def _engine_changed(self) -> None:
        self._link.say(Inventory(self._capabilities()))
        self._touch()

    def _touch(self) -> None:
        self._changed.set()
        if self._draining and self._is_quiet():
            self._quiet.set()

    def _capabilities(self) -> Capabilities:
        is_open = self._chosen.jobs and not self._draining
        return capabilities(self.served.values(), self._chosen, self._probe, is_open=is_open)

    def _report(self) -> Report:
        state = "draining" if self._draining else "online" if self._welcome else "connecting"
        return Report(
            pid=os.getpid(),
            process_started=psutil.Process().create_time(),
            pk=self._who.pk,
            handle=self._chosen.handle,
            cell=self._chosen.cell,
            coordinator=self._chosen.coordinator,
            server_pk=self._server_pk,
            state=state,
            session=self._welcome.session if self._welcome else None,
            tier=self._welcome.tier if self._welcome else None,
            models=list(self.served),
            loaded=[name for name, served in self.served.items() if served.loaded],
            engine_build=engine_build(self.served.values()),
            slots=self._jobs.slots.total,
            free=self._jobs.slots.free,
            waiting_results=self._jobs.waiting,
            jobs_done=self._jobs.done,
            tokens_made=self._jobs.tokens,
            updated_at=self._clock(),
        )


def _expected(several: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The first error that a person can act on."""
    found: BaseException | None = several.subgroup(HiveError)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
