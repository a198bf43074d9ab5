"""`hive worker`: the daemon and its tools."""

import asyncio
import json
import logging
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import structlog
import typer
from rich.console import Console

from shared.crypto import fingerprint
from shared.errors import HiveError
from shared.geo.cells import at, cell_of, format_cell
from shared.home import hive_home
from shared.processes import run_server
from shared.tiers import tier_name
from worker import models as model_files
from worker.commands.doctor import doctor
from worker.commands.models import models
from worker.commands.service import install_service, uninstall_service
from worker.commands.shown import Json, builtins_of
from worker.commands.update import update
from worker.daemon import Daemon
from worker.hardware import hardware
from worker.identity import existing_identity, identity
from worker.leaving import Leaving
from worker.report import Report, lives, read_report
from worker.settings import CELL_RESOLUTION, Settings, SettingsError, settings, websocket_url

STOP_S = 15.0
app = typer.Typer(help="Lend this machine to the swarm.", no_args_is_help=True)
app.add_typer(models, name="models")
for command in (doctor, install_service, uninstall_service, update):
    app.command()(command)


class WorkerCommandError(HiveError):
    """A command cannot do what was asked; the message says why and what to do."""

    code = "worker_command"
    retryable = False


@app.command()
def join(
    coordinator: Annotated[str | None, typer.Option(help="The coordinator's address.")] = None,
    server_key: Annotated[str | None, typer.Option(help="Its key, or the key's fingerprint.")] = None,
    handle: Annotated[str | None, typer.Option(help="A name for this worker, such as @kitchen-mac.")] = None,
    cell: Annotated[str | None, typer.Option(help="The H3 cell of this machine, resolution 7.")] = None,
    lat: Annotated[float | None, typer.Option(help="Latitude in degrees, with --lon.", min=-90, max=90)] = None,
    lon: Annotated[float | None, typer.Option(help="Longitude in degrees, with --lat.", min=-180, max=180)] = None,
    no_jobs: Annotated[bool, typer.Option("--no-jobs", help="Be there, but take no work.")] = False,
    model: Annotated[list[str] | None, typer.Option(help="A model to serve; repeatable.")] = None,
    slots: Annotated[int | None, typer.Option(help="How many answers at once.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads (0: by the machine and the model).")] = None,
    max_tps: Annotated[float | None, typer.Option(help="At most this many tokens per second.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written once the worker is ready.")] = None,
) -> None:
    """Join a swarm and work until Ctrl-C; a second Ctrl-C does not wait for running answers."""
    home = hive_home()
    flags = {
        "coordinator": coordinator, "server_key": server_key, "handle": handle, "cell": _place(cell, lat, lon),
        "jobs": False if no_jobs else None, "models": tuple(model) if model else None, "slots": slots,
        "threads": threads, "max_tps": max_tps, "log_level": log_level,
    }  # fmt: skip
    chosen = settings(home, os.environ, flags)
    before = read_report(home)
    if before is not None and lives(before):
        raise WorkerCommandError(f"a worker of {home} is running (process {before.pid}); `hive worker leave` stops it")
    _log_to_stderr(chosen.log_level)
    run_server(_work(home, chosen, ready_file))


@app.command()
def leave() -> None:
    """Stop this machine's worker and take it off the coordinator's register."""
    home = hive_home()
    who = existing_identity(home)
    report = read_report(home)
    if report is not None and lives(report):
        process = psutil.Process(report.pid)
        process.terminate()
        try:
            process.wait(STOP_S)
        except psutil.TimeoutExpired as error:
            raise WorkerCommandError(f"the worker (process {report.pid}) does not stop; end it by hand") from error
    chosen = settings(home, os.environ, {"cell": report.cell} if report else {})
    url = websocket_url(report.coordinator if report else chosen.coordinator)
    _log_to_stderr("error")
    asyncio.run(_leave(home, who, url, chosen.cell))
    typer.echo("This worker has left the swarm; its identity stays, and `hive worker join` brings it back.")


@app.command()
def status(as_json: Json = False) -> None:
    """What this machine's worker is doing."""
    report = read_report(hive_home())
    running = report is not None and lives(report)
    if as_json:
        typer.echo(json.dumps({"running": running, **(builtins_of(report) if report and running else {})}))
    elif report is None or not running:
        typer.echo("No worker is running here; `hive worker join` starts one.")
    else:
        typer.echo(_described(report))
    if not running:
        raise typer.Exit(1)


@app.command()
def whoami(as_json: Json = False) -> None:
    """This worker's public identity."""
    who = existing_identity(hive_home())
    shown = {"pk": who.pk, "fingerprint": fingerprint(who.pk), "created_at": who.created_at}
    typer.echo(json.dumps(shown) if as_json else "\n".join(f"{name:<12}{value}" for name, value in shown.items()))


async def _work(home: Path, chosen: Settings, ready_file: Path | None) -> None:
    who = identity(home, now=_clock(), entropy=secrets.token_bytes(32))
    served = model_files.verified(home, chosen.models)
    console = Console(stderr=True)
    with console.status("starting") as line:
        show = (lambda report: line.update(_line(report))) if console.is_terminal else (lambda _: None)
        daemon = Daemon(
            home, chosen, who, served, clock=_clock, probe=hardware([]), ready_file=ready_file, show=show
        )  # fmt: skip
        await daemon.run()


async def _leave(home: Path, who: Any, url: str, cell: str) -> None:
    await Leaving(home, who, url, cell, _clock).say()


def _place(cell: str | None, lat: float | None, lon: float | None) -> str | None:
    if (lat is None) != (lon is None) or (cell is not None and lat is not None):
        raise SettingsError("a place is either --cell, or --lat and --lon together")
    if lat is None or lon is None:
        return cell
    return format_cell(at(cell_of(lat, lon), CELL_RESOLUTION))


def _log_to_stderr(level: str) -> None:
    """Events with their fields, one a line; prompts, results and keys are never among them."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _line(report: Report) -> str:
    busy = report.slots - report.free
    return (
        f"{report.state} · {busy} of {report.slots} slots busy · {report.jobs_done} jobs · {report.tokens_made} tokens"
    )


def _described(report: Report) -> str:
    rows = {
        "state": report.state,
        "coordinator": report.coordinator,
        "server key": fingerprint(report.server_pk) if report.server_pk else "-",
        "cell": report.cell,
        "tier": tier_name(report.tier) if report.tier is not None else "-",
        "models": ", ".join(report.models),
        "slots": f"{report.free} free of {report.slots}",
        "done": f"{report.jobs_done} jobs, {report.tokens_made} tokens",
        "waiting": f"{report.waiting_results} results",
    }
    return "\n".join(f"{name:<13}{value}" for name, value in rows.items())


def _clock() -> int:
    """Now, in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000
