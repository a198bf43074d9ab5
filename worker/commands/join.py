"""`hive worker join`, `leave` and `whoami`: into the swarm, out of it for good, and as whom."""

import asyncio
import json
import os
import secrets
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from shared.crypto import fingerprint
from shared.home import hive_home
from shared.processes import run_server
from shared.words import size
from worker import first_run, models as model_files
from worker.commands.shown import Json, WorkerCommandError, is_screen
from worker.control import ask
from worker.daemon import Daemon
from worker.dash.lines import in_lines
from worker.hardware import hardware
from worker.identity import existing_identity, identity
from worker.leaving import Leaving
from worker.log import Recent, aside, log_to
from worker.models import LocalModel, planned_context
from worker.places import city_of_zone, local_zone
from worker.report import lives, read_report
from worker.settings import FILE, Settings, assigned, settings, websocket_url
from worker.where import place

STOP_S = 15.0


def join(
    coordinator: Annotated[str | None, typer.Option(help="The coordinator's address.")] = None,
    server_key: Annotated[str | None, typer.Option(help="Its key, or the key's fingerprint.")] = None,
    handle: Annotated[str | None, typer.Option(help="A name for this worker, such as @kitchen-mac.")] = None,
    cell: Annotated[str | None, typer.Option(help="The H3 cell of this machine, resolution 7.")] = None,
    lat: Annotated[float | None, typer.Option(help="Latitude in degrees, with --lon.", min=-90, max=90)] = None,
    lon: Annotated[float | None, typer.Option(help="Longitude in degrees, with --lat.", min=-180, max=180)] = None,
    geoip: Annotated[Path | None, typer.Option(help="A MaxMind file of cities, to look the address up in.")] = None,
    ip: Annotated[str | None, typer.Option(help="The address to look up, with --geoip.")] = None,
    no_jobs: Annotated[bool, typer.Option("--no-jobs", help="Be there, but take no work.")] = False,
    model: Annotated[list[str] | None, typer.Option(help="A model to serve; repeatable.")] = None,
    slots: Annotated[int | None, typer.Option(help="How many answers at once.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads (0: by the machine and the model).")] = None,
    max_tps: Annotated[float | None, typer.Option(help="At most this many tokens per second.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, as when.idle_only=true.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing at the first start: what stands ready is right.")
    ] = False,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written once the worker is ready.")] = None,
) -> None:
    """Join a swarm and work until Ctrl-C; a second Ctrl-C does not wait for running answers."""
    found = place(cell, lat, lon, geoip, ip)
    if found is not None and found.caution:
        typer.echo(found.caution, err=True)
    flags = assigned(set_ or []) | {
        "coordinator": coordinator, "server_key": server_key, "handle": handle, "cell": found.cell if found else None,
        "jobs": False if no_jobs else None, "models": tuple(model) if model else None, "slots": slots,
        "threads": threads, "max_tps": max_tps, "log_level": log_level,
    }  # fmt: skip
    _start(hive_home(), flags, ready_file, yes=yes)


def leave() -> None:
    """Stop this machine's worker and take it off the coordinator's register."""
    home = hive_home()
    who = existing_identity(home)
    report = read_report(home)
    if report is not None and lives(report):
        _end(home, psutil.Process(report.pid))
    chosen = settings(home, os.environ, {"cell": report.cell} if report else {})
    url = websocket_url(report.coordinator if report else chosen.coordinator)
    log_to(sys.stderr, "error", Recent())
    asyncio.run(Leaving(home, who, url, chosen.cell, _clock).say())
    typer.echo("This worker has left the swarm; its identity stays, and `hive worker join` brings it back.")


def whoami(as_json: Json = False) -> None:
    """This worker's public identity."""
    who = existing_identity(hive_home())
    shown = {"pk": who.pk, "fingerprint": fingerprint(who.pk), "created_at": who.created_at}
    typer.echo(json.dumps(shown) if as_json else "\n".join(f"{name:<12}{value}" for name, value in shown.items()))


def _start(home: Path, flags: dict[str, Any], ready_file: Path | None, *, yes: bool) -> None:
    before = read_report(home)
    if before is not None and lives(before):
        raise WorkerCommandError(f"a worker of {home} is running (process {before.pid}); `hive worker leave` stops it")
    _first_run(home, flags, yes=yes)
    chosen = settings(home, os.environ, flags)
    on_screen = is_screen(sys.stdout)
    with aside(home) if on_screen else nullcontext(False) as in_a_file:
        recent = Recent()
        log_to(sys.stderr, chosen.log_level, recent, bounded=in_a_file)
        run_server(_work(home, chosen, ready_file, recent, on_screen=on_screen))


def _first_run(home: Path, flags: dict[str, Any], *, yes: bool) -> None:
    """Asks a new owner what is not known; who gives the place, has a config.toml or no terminal is asked nothing."""
    if (home / FILE).exists() or flags["cell"] or os.environ.get("HIVE_CELL"):
        return
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    memory = psutil.virtual_memory().total
    found = first_run.Found(psutil.cpu_count() or 1, memory, city_of_zone(local_zone()))
    given = {"coordinator": flags["coordinator"] or os.environ.get("HIVE_COORDINATOR")}
    if yes:
        answers = first_run.ready_answers(found, given)
    else:
        typer.echo("Three questions, and never again. Enter takes what stands in brackets.\n")
        answers = first_run.ask(found, given, _question, typer.echo)
    file = first_run.write(home, answers, found)
    typer.echo(f"Written to {file}, where all of it can be changed.")


def _question(words: str, ready: str) -> str:
    return str(typer.prompt(words, default=ready, show_default=bool(ready)))


async def _work(home: Path, chosen: Settings, ready_file: Path | None, recent: Recent, *, on_screen: bool) -> None:
    who = identity(home, now=_clock(), entropy=secrets.token_bytes(32))
    served = model_files.verified(home, chosen.models)
    _check_memory(chosen, served)
    show = in_lines(typer.echo) if sys.stdout.isatty() and not on_screen else lambda _: None
    daemon = Daemon(
        home, chosen, who, served, clock=_clock, probe=hardware([]), ready_file=ready_file, show=show, recent=recent
    )  # fmt: skip
    if on_screen:
        from worker.dash.screen import Screen  # noqa: PLC0415 - a service has nobody to show a picture to

        await daemon.run(Screen(daemon).run)
    else:
        await daemon.run()


def _check_memory(chosen: Settings, served: list[LocalModel]) -> None:
    """Refuses a model that alone needs more than the owner allows; smaller ones take turns."""
    most = chosen.limits.memory
    for model in served:
        context = planned_context(model.context, chosen.context)
        need = model.need.of(context, chosen.slots) if model.need is not None else model.size_bytes
        if most and need > most:
            raise WorkerCommandError(
                f"{model.id} needs {size(need)} with {chosen.slots} slots of {context} tokens, and limits.memory is "
                f"{size(most)}; take fewer slots, less context or a smaller model, or allow more"
            )


def _end(home: Path, process: psutil.Process) -> None:
    """Ends the worker by its own door, else by a signal."""
    if ask(home, "quit") is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except psutil.TimeoutExpired as error:
        raise WorkerCommandError(f"the worker (process {process.pid}) does not stop; end it by hand") from error


def _clock() -> int:
    """Now, in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000
