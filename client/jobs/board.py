"""All jobs that have not ended, as a table that changes while they go on."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from client.drawing import while_drawing
from client.events import Event
from client.hive import AsyncHive
from client.jobs.lines import event_json, event_line
from client.jobs.shown import age, short, status, utc_now
from client.jobs.watched import Watched
from client.printed import printable
from client.shapes.jobs import Job
from shared.errors import HiveError
from shared.reach import Reach

LOOK_S: Final = 1.0
DRAW_S: Final = 0.25
PAGE: Final = 100
MOST_FOLLOWED: Final = 20
"""Of so many jobs the events are read, each over a connection of its own; of the others the list says enough."""

_ORDER: Final = ("computing", "assigned", "pending")
Tell = Callable[[UUID, Event], None]


def watch_all(there: Reach, *, as_json: bool) -> None:
    """Until none is left that has not ended: a table on a terminal, else a line for each event."""
    console = Console(highlight=False)
    asyncio.run(_watch_all(AsyncHive(there.url, there.key), console, as_json=as_json))


async def _watch_all(hive: AsyncHive, console: Console, *, as_json: bool) -> None:
    async with hive:
        if as_json or not console.is_terminal:
            line = event_json if as_json else event_line
            board = Board(hive, lambda job_id, event: _print(line(job_id, event)))
            await board.run()
        else:
            board = Board(hive, lambda _, __: None)
            with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
                most = max(console.height - 5, 1)
                await while_drawing(board.run(), lambda: live.update(board.table(most), refresh=True), DRAW_S)
                live.update(board.table(most), refresh=True)


class Board:
    """The jobs that are watched, and who follows them; `tell` is called with each of their events."""

    def __init__(self, hive: AsyncHive, tell: Tell) -> None:
        self._hive, self._tell = hive, tell
        self._watched: dict[UUID, Watched] = {}
        self._followed: set[UUID] = set()
        self._looked = False

    async def run(self) -> None:
        """Until all have ended; raises HiveError if no Hive answers any more."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                if not await self.look(tasks):
                    return
                await asyncio.sleep(LOOK_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self, tasks: set[asyncio.Task[None]]) -> bool:
        """One look at what has not ended; whether there is any."""
        unfinished = {job.id: job for name in _ORDER for job in await self._jobs(name)}
        for job_id, job in unfinished.items():
            watched = self._watched.setdefault(job_id, Watched(job))
            if job_id in self._followed:
                continue
            watched.listed(job)
            if len(self._followed) < MOST_FOLLOWED:
                self._followed.add(job_id)
                tasks.add(asyncio.create_task(self._follow(watched)))
        for watched in list(self._watched.values()):
            if not watched.has_ended and watched.job.id not in unfinished and watched.job.id not in self._followed:
                watched.listed(await self._hive.job(watched.job.id))
        self._looked = True
        return any(not watched.has_ended for watched in self._watched.values())

    async def _jobs(self, name: Any) -> list[Job]:
        return (await self._hive.jobs(status=name, limit=PAGE)).data

    async def _follow(self, watched: Watched) -> None:
        with suppress(HiveError):  # the list goes on telling of it
            async for event in self._hive.events(watched.job.id):
                watched.take(event, time.monotonic())
                self._tell(watched.job.id, event)
        self._followed.discard(watched.job.id)

    def table(self, most: int) -> RenderableType:
        """What is known of them, those that are computed first, in at most so many rows."""
        if not self._watched:
            return Text("No job is waiting or being computed." if self._looked else "looking …", "dim")
        rows = sorted(self._watched.values(), key=_rank)
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("job", "status", "model", "worker", "where", "tokens", "tokens/s", "age"):
            table.add_column(name, justify="right" if name in ("tokens", "tokens/s", "age") else "left", no_wrap=True)
        now = utc_now()
        for one in rows[:most]:
            tokens = f"{one.tokens:,}/{one.job.max_tokens:,}"
            cells = (Text(printable(one.job.model_id)), Text(one.worker), Text(one.where), tokens, one.speed or "–")
            table.add_row(short(one.job.id), status(one.status), *cells, age(one.job.created_at, now))
        left = len(rows) - most
        return Group(table, Text(f"and {left} more", "dim")) if left > 0 else table


def _rank(watched: Watched) -> tuple[int, str]:
    rank = _ORDER.index(watched.status) if watched.status in _ORDER else len(_ORDER)
    return rank, watched.job.created_at or ""


def _print(line: str) -> None:
    if line:
        print(line, flush=True)
