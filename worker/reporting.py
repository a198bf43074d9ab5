"""The worker's report, kept current on disk and told to whoever watches."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
import structlog

from shared.files import write_private
from shared.protocol.messages import Standing, Welcome
from worker.comfort.guard import Guard
from worker.identity import Identity
from worker.jobs import Jobs
from worker.log import Recent
from worker.report import Report, is_ready, write_report
from worker.served import Served, engine_build
from worker.settings import Settings

REPORT_S: Final = 60.0
REST_S: Final = 0.25
TROUBLE: Final = 8
_LOG: Final = structlog.get_logger("worker")


class Reporting:
    """Makes reports out of the worker's parts; `clock` gives ms since 1970 UTC, `show` gets each new report."""

    def __init__(
        self,
        home: Path,
        chosen: Settings,
        who: Identity,
        recent: Recent,
        *,
        clock: Callable[[], int],
        ready_file: Path | None,
        show: Callable[[Report], None],
    ) -> None:
        self._home, self._recent, self._clock = home, recent, clock
        self._ready_file, self._show = ready_file, show
        self._changed = asyncio.Event()
        self._fixed: dict[str, Any] = {
            "pid": os.getpid(), "process_started": psutil.Process().create_time(), "started_at": clock(),
            "pk": who.pk, "handle": chosen.handle, "cell": chosen.cell, "coordinator": chosen.coordinator,
        }  # fmt: skip

    def touch(self) -> None:
        """Something has changed."""
        self._changed.set()

    def made(
        self, state: str, server_pk: str | None, welcome: Welcome | None, standing: tuple[Standing | None, int],
        served: dict[str, Served], jobs: Jobs, guard: Guard,
    ) -> Report:  # fmt: skip
        """The report of now."""
        return Report(
            **self._fixed,
            state=state,
            server_pk=server_pk,
            session=welcome.session if welcome else None,
            tier=welcome.tier if welcome else None,
            models=list(served),
            warm=[name for name, one in served.items() if one.warm],
            loaded=[name for name, one in served.items() if one.loaded],
            engine_build=engine_build(served.values()),
            slots=jobs.slots.total,
            free=jobs.slots.free,
            waiting_results=jobs.waiting,
            jobs_done=jobs.done,
            tokens_made=jobs.tokens + sum(held.tokens for held in jobs.running()),
            updated_at=self._clock(),
            rest=guard.rest,
            paused=guard.asked,
            unchecked=guard.unchecked,
            standing=standing[0],
            standing_at=standing[1],
            trouble=self._recent.last(TROUBLE),
            sent_today=guard.usage.sent,
            received_today=guard.usage.received,
        )

    async def run(self, report: Callable[[], Report]) -> None:
        """Keeps the file current: soon after a change, at most four times a second, and every minute. The ready file is
        written once."""
        while True:
            self._changed.clear()
            await self._tell(report())
            await asyncio.sleep(REST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_S):
                    await self._changed.wait()

    async def _tell(self, report: Report) -> None:
        try:
            await asyncio.to_thread(write_report, self._home, report)
        except OSError as error:
            _LOG.warning("report_not_written", reason=error.strerror)
        if self._ready_file is not None and is_ready(report):
            file, self._ready_file = self._ready_file, None
            try:
                await asyncio.to_thread(write_private, file, msgspec.json.encode(report))
            except OSError as error:
                _LOG.warning("ready_file_not_written", file=str(file), reason=error.strerror)
        self._show(report)
