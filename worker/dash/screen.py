"""The live picture of a worker: drawn when something has changed, at most once a second; its keys act."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

import msgspec
from rich.console import Console
from rich.live import Live

from shared.errors import HiveError
from worker.control import Controlled
from worker.dash.keys import keys
from worker.dash.picture import View, ago, picture
from worker.dash.rates import Rates
from worker.report import Report

PACE_S: Final = 1.0
SLOW_S: Final = 10
KEYS: Final = (
    ("p", "pause: take no jobs until p again"),
    ("d", "drain: finish the running jobs, then end"),
    ("q", "quit: the same within 10 s, q again ends at once"),
    ("?", "help"),
)
WATCH_KEYS: Final = (*KEYS[:2], ("q", "close: the worker goes on"), ("?", "help"))
GoneBy = Callable[[], None]


class Screen:
    """Draws `worker` on `console` until it is cancelled. With `close`, the key q calls that instead of ending the worker."""

    def __init__(self, worker: Controlled, close: GoneBy | None = None, console: Console | None = None) -> None:
        self._worker, self._close = worker, close
        self._keys = WATCH_KEYS if close else KEYS
        self._console = console or Console(file=sys.stdout, highlight=False)
        self._rates = Rates()
        self._touched = asyncio.Event()
        self._drawn: object = None
        self._helping = False
        self._note = ""

    async def run(self) -> None:
        """Draws once a second at most; at the end the terminal is as it was, with a line of what was done."""
        report = self._worker.report()
        try:
            with _live(self._console) as live, keys(self._pressed):
                while True:
                    report = self._one_round(live)
                    self._touched.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(PACE_S):
                            await self._touched.wait()
        finally:
            self._console.print(_summary(report))

    def _one_round(self, live: Live) -> Report:
        report = self._worker.report()
        self._rates.sample(time.monotonic(), report.tokens_made)
        width, height = self._console.size
        view = View(width, height, datetime.now().astimezone(), self._keys, self._helping, self._note)
        if (now := self._seen(report, view)) != self._drawn:
            self._drawn = now
            live.update(picture(report, self._rates, view), refresh=True)
        return report

    def _seen(self, report: Report, view: View) -> object:
        """What the eye sees of it: while nothing is made, time passes by the minute, and the chart moves every 10 s."""
        moves = any(self._rates.last(view.width))
        pace = 1 if self._rates.now else SLOW_S if moves else 60
        still = msgspec.structs.replace(report, updated_at=0, sent_today=0, received_today=0, standing_at=0)
        return still, view.width, view.height, view.helping, view.note, int(time.monotonic() / pace)

    def _pressed(self, key: str) -> None:
        try:
            self._note = self._act(key.lower())
        except HiveError as error:
            self._note = error.message
        self._touched.set()

    def _act(self, key: str) -> str:
        match key:
            case "p" if self._worker.report().paused:
                self._worker.resume()
                return "resumed"
            case "p":
                self._worker.pause(None)
                return "paused"
            case "d":
                self._worker.drain()
                return "draining"
            case "q" if self._close is not None:
                self._close()
            case "q":
                self._worker.stop()
                return "ending"
            case "?" | "h":
                self._helping = not self._helping
            case "\x0c":
                self._drawn = None
        return ""


def _live(console: Console) -> Live:
    """Drawn by us alone: no thread of Rich's, and nothing printed in between."""
    return Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)


def _summary(report: Report) -> str:
    done = f"{report.jobs_done} jobs, {report.tokens_made} tokens"
    return f"hive worker: up {ago(report.updated_at - report.started_at)}, {done}"
