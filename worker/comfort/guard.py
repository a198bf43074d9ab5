"""Looks at the machine every few seconds, decides whether the worker works, and acts on it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import structlog

from worker.comfort.manners import give_way
from worker.comfort.pauses import Asked, keep_pause, read_pause
from worker.comfort.senses import Senses
from worker.comfort.usage import Usage, keep_usage, read_usage
from worker.comfort.verdict import Machine, Pause, Run, Verdict, unchecked, verdict
from worker.settings import Settings

PACE_S: Final = 10.0
KEEP_S: Final = 300.0
_LOG: Final = structlog.get_logger("worker.comfort")
Look = Callable[[list[int], int, int], Machine]


class Guarded(Protocol):
    """What the guard asks of the worker."""

    def rests(self) -> None:
        """The verdict has changed: tell the coordinator whether offers are welcome."""

    def cut(self, reason: str) -> None:
        """Give up what runs; another worker may go on with it."""

    def park(self, away: bool) -> None:
        """Let the models leave the memory, or have them back."""

    def engines(self) -> list[int]:
        """The process ids of the engines that run."""

    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since the start."""


class Guard:
    """Whether the worker works now. `now` gives the local time, aware of its zone; `look` is called in a thread."""

    def __init__(
        self, home: Path, chosen: Settings, worker: Guarded, now: Callable[[], datetime], look: Look | None = None
    ) -> None:
        self._home, self._when, self._limits, self._worker = home, chosen.when, chosen.limits, worker
        self._now = now
        self._look = look or Senses(chosen.when, chosen.limits).look
        self._asked = read_pause(home, now())
        self._usage, self._counted, self._kept = read_usage(home), (0, 0), now()
        self._machine = Machine()
        self._mannered: set[int] = set()
        self._poked = asyncio.Event()
        self._parked = False
        self.verdict: Verdict = verdict(self._machine, self._when, self._limits, now(), Run(), self._asked)
        self.unchecked: list[str] = []

    @property
    def rest(self) -> str | None:
        """Why the worker rests, as a sentence; None while it works."""
        return self.verdict.reason if isinstance(self.verdict, Pause) else None

    @property
    def asked(self) -> bool:
        """Whether the owner asked for a rest."""
        return self._asked is not None

    @property
    def usage(self) -> Usage:
        """Today's bytes of the link, as of the last look."""
        return self._usage

    async def run(self) -> None:
        """Keeps looking; soon after something was asked, else every 10 s."""
        try:
            while True:
                await self.one_round()
                self._poked.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._wait_s()):
                        await self._poked.wait()
        finally:
            self._keep_usage()

    async def one_round(self) -> None:
        """One look at the machine, and what follows from it."""
        self._count()
        engines = self._worker.engines()
        self._machine = await asyncio.to_thread(self._look, engines, self._usage.sent, self._usage.received)
        self.unchecked = unchecked(self._machine, self._when, self._limits)
        self._give_way(engines)
        self._decide()
        self._act()

    def pause(self, until: int | None) -> None:
        """The owner wants a rest, until this time in ms since 1970 UTC or until `resume`; raises PauseError."""
        self._ask(Asked(until))

    def resume(self) -> None:
        """The owner's rest is over; other reasons to rest stay. Raises PauseError."""
        self._ask(None)

    def engines_changed(self) -> None:
        """An engine has started or is gone."""
        self._give_way(self._worker.engines())

    def _ask(self, asked: Asked | None) -> None:
        keep_pause(self._home, asked)
        self._asked = asked
        self._decide()
        self._poked.set()

    def _decide(self) -> None:
        before, now = self.verdict, self._now()
        if self._asked is not None and self._asked.over(now):
            self._asked = None
            keep_pause(self._home, None)
        self.verdict = verdict(self._machine, self._when, self._limits, now, before, self._asked)
        if self.rest == (before.reason if isinstance(before, Pause) else None):
            return
        _LOG.info("resting", reason=self.rest) if self.rest else _LOG.info("working")
        self._worker.rests()

    def _act(self) -> None:
        """Cuts what runs once its grace is over, and lets models go after a while; brings them back for work."""
        now, found = self._now(), self.verdict
        if isinstance(found, Run):
            self._park(away=False)
            return
        if found.urgent_since is not None and now - found.urgent_since >= timedelta(seconds=self._when.grace):
            self._worker.cut(found.reason)
            if found.kind == "memory":
                self._park(away=True)
        if self._when.unload_after and now - found.since >= timedelta(seconds=self._when.unload_after):
            self._park(away=True)

    def _park(self, *, away: bool) -> None:
        if away != self._parked:
            self._parked = away
            self._worker.park(away)

    def _wait_s(self) -> float:
        """Until the next look: sooner where a grace ends sooner."""
        if not isinstance(self.verdict, Pause) or self.verdict.urgent_since is None:
            return PACE_S
        left = self.verdict.urgent_since + timedelta(seconds=self._when.grace) - self._now()
        return min(PACE_S, max(left.total_seconds(), 0.0) or PACE_S)

    def _give_way(self, engines: list[int]) -> None:
        for pid in set(engines) - self._mannered:
            give_way(pid, self._limits)
        self._mannered = set(engines)

    def _count(self) -> None:
        sent, received = self._worker.traffic()
        more = sent - self._counted[0], received - self._counted[1]
        self._counted = sent, received
        self._usage = self._usage.plus(*more, self._now())
        if self._now() - self._kept >= timedelta(seconds=KEEP_S):
            self._keep_usage()

    def _keep_usage(self) -> None:
        self._kept = self._now()
        if not (self._limits.upload_per_day or self._limits.download_per_day):
            return
        try:
            keep_usage(self._home, self._usage)
        except OSError as error:
            _LOG.warning("usage_not_kept", reason=error.strerror)
