"""`hive worker pause`, `resume`, `drain` and `status`: how the running worker of this home is told and asked."""

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from shared.crypto import fingerprint
from shared.home import hive_home
from shared.tiers import tier_name
from shared.words import counted, gns
from worker.comfort.pauses import Asked, keep_pause, length, next_time
from worker.commands.shown import Json, WorkerCommandError, builtins_of, is_screen
from worker.control import ControlError, ask
from worker.report import Report, lives, read_report
from worker.signals import on_stop


def pause(
    for_: Annotated[str | None, typer.Option("--for", help='How long, such as "30m" or "2h".')] = None,
    until: Annotated[str | None, typer.Option(help='A time of the day, such as "18:00".')] = None,
) -> None:
    """Take no work for a while, or until `resume`; running answers are finished. It outlives a restart."""
    if for_ is not None and until is not None:
        raise WorkerCommandError("a pause has either --for or --until")
    now = datetime.now().astimezone()
    end = now + length(for_) if for_ else next_time(until, now) if until else None
    until_ms = int(end.timestamp() * 1000) if end else None
    home = hive_home()
    words = "until `hive worker resume`" if end is None else f"until {end:%H:%M}, or `hive worker resume`"
    if ask(home, "pause", until_ms) is None:
        keep_pause(home, Asked(until_ms))
        typer.echo(f"No worker is running here; one that starts is paused {words}.")
    else:
        typer.echo(f"Paused {words}.")


def resume() -> None:
    """Take work again."""
    home = hive_home()
    report = ask(home, "resume")
    if report is None:
        keep_pause(home, None)
        typer.echo("No worker is running here; `hive worker join` starts one, and it is not paused.")
    elif report.rest:
        typer.echo(f"Your pause is over; it still rests, because {report.rest}.")
    else:
        typer.echo("Working again.")


def drain() -> None:
    """End the worker once its running answers are finished, however long they take."""
    if ask(hive_home(), "drain") is None:
        raise WorkerCommandError("no worker is running here; `hive worker join` starts one")
    typer.echo("It takes no more jobs, and ends when the running ones have ended.")


def status(
    as_json: Json = False, watch: Annotated[bool, typer.Option("--watch", help="Show its live picture.")] = False
) -> None:
    """What this machine's worker is doing."""
    home = hive_home()
    report = read_report(home)
    running = report is not None and lives(report)
    if running and watch and is_screen(sys.stdout):
        asyncio.run(_watch(home))
        return
    if as_json:
        typer.echo(json.dumps({"running": running, **(builtins_of(report) if report and running else {})}))
    elif report is None or not running:
        typer.echo("No worker is running here; `hive worker join` starts one.")
    else:
        typer.echo(_described(report))
    if not running:
        raise typer.Exit(1)


class _Afar:
    """A worker of another process."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def pause(self, until: int | None) -> None:
        ask(self._home, "pause", until)

    def resume(self) -> None:
        ask(self._home, "resume")

    def drain(self) -> None:
        ask(self._home, "drain")

    def stop(self) -> None:
        ask(self._home, "quit")

    def report(self) -> Report:
        found = ask(self._home, "status")
        if found is None:
            raise ControlError("the worker has ended")
        return found


async def _watch(home: Path) -> None:
    from worker.dash.screen import Screen  # noqa: PLC0415 - the other commands draw nothing

    over = asyncio.Event()
    showing = asyncio.create_task(Screen(_Afar(home), close=over.set).run())
    closing = asyncio.create_task(over.wait())
    with on_stop(over.set):
        await asyncio.wait([showing, closing], return_when=asyncio.FIRST_COMPLETED)
    for task in (showing, closing):
        task.cancel()
    for outcome in await asyncio.gather(showing, closing, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def _described(report: Report) -> str:
    rows = {
        "state": report.state if report.rest is None else f"{report.state}, paused: {report.rest}",
        "coordinator": report.coordinator,
        "server key": fingerprint(report.server_pk) if report.server_pk else "-",
        "cell": report.cell,
        "tier": tier_name(report.tier) if report.tier is not None else "-",
        "models": ", ".join(report.models),
        "slots": f"{report.free} free of {report.slots}",
        "done": f"{counted(report.jobs_done, 'job')}, {counted(report.tokens_made, 'token')}",
        "waiting": counted(report.waiting_results, "result"),
    }
    if report.standing is not None:
        it = report.standing
        rows["earned"] = (
            f"{gns(it.earned_today)} GNS today; {gns(it.held)} held, {gns(it.pending)} pending, {gns(it.paid)} paid"
        )
        rows["swarm"] = f"{it.workers_online} workers online"
    if report.unchecked:
        rows["not checked"] = "; ".join(report.unchecked)
    return "\n".join(f"{name:<13}{value}" for name, value in rows.items())
