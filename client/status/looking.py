"""Looking at the swarm, once or again and again."""

import time
from contextlib import suppress
from typing import Final

import msgspec
from rich.console import Console
from rich.live import Live

from client.hive import Hive
from client.options import reached
from client.printed import json_text
from client.shapes.swarm import Model, SwarmStatus, Worker
from client.status.shown import shown

PACE_S: Final = 2.0


class Look(msgspec.Struct, frozen=True):
    """The swarm at one moment."""

    status: SwarmStatus
    models: list[Model]
    workers: list[Worker]


def look(url: str | None, *, as_json: bool) -> None:
    """Shows the swarm as it is now."""
    there = reached(url)
    with Hive(there.url, there.key) as hive:
        _show(Console(highlight=False), there.url, _seen(hive), as_json=as_json)


def look_on(url: str | None, *, as_json: bool) -> None:
    """Shows the swarm until Ctrl-C: as one picture on a terminal, else again and again."""
    there, console = reached(url), Console(highlight=False)
    with Hive(there.url, there.key) as hive, suppress(KeyboardInterrupt):
        if as_json or not console.is_terminal:
            while True:
                _show(console, there.url, _seen(hive), as_json=as_json)
                time.sleep(PACE_S)
        seen = _seen(hive)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(shown(there.url, seen.status, seen.models, seen.workers), refresh=True)
                time.sleep(PACE_S)
                seen = _seen(hive)


def _seen(hive: Hive) -> Look:
    return Look(hive.status(), hive.models().data, hive.workers().data)


def _show(console: Console, url: str, seen: Look, *, as_json: bool) -> None:
    if as_json:
        print(json_text(seen), flush=True)
    else:
        console.print(shown(url, seen.status, seen.models, seen.workers))
