"""`hive worker why`: why no jobs come."""

import json
import os
import time

import typer
from rich.console import Console
from rich.text import Text

from shared.errors import HiveError
from shared.home import hive_home
from worker.anywhere import settings_anywhere
from worker.commands.earnings import Coordinator
from worker.commands.shown import Json
from worker.identity import existing_identity
from worker.report import lives, read_report
from worker.settings import SettingsError


def why(coordinator: Coordinator = None, as_json: Json = False) -> None:
    """Why this machine's worker gets no jobs, what matters most first."""
    from worker.asking import ask, coordinator_of  # noqa: PLC0415 - the daemon loads this file, and does without httpx
    from worker.told import Why, read  # noqa: PLC0415 - the same
    from worker.why import causes  # noqa: PLC0415 - the same

    home = hive_home()
    report = read_report(home)
    running = report if report is not None and lives(report) else None
    answer, told, problem = None, None, None
    try:
        with Console(stderr=True).status("asking the coordinator"):
            answer = ask(coordinator or coordinator_of(home, os.environ), existing_identity(home), "why", _clock)
        told = read(answer, Why)
    except HiveError as error:
        problem = error.message
    found = causes(running, told, problem, takes_jobs=_takes_jobs(), now=_clock())
    if as_json:
        typer.echo(json.dumps({"running": running is not None, "causes": found, "coordinator": answer}))
        return
    console = Console(highlight=False)
    for sentence in found:
        console.print(Text(f"- {sentence}"))


def _takes_jobs() -> bool:
    try:
        return settings_anywhere(hive_home(), os.environ).jobs
    except SettingsError:
        return True


def _clock() -> int:
    return time.time_ns() // 1_000_000
