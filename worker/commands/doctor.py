"""`hive worker doctor`: what is well on this machine, what is not, and what to do."""

import json
import os

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.home import hive_home
from worker.commands.shown import Json, builtins_of

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(as_json: Json = False) -> None:
    """Check this machine, its settings, its models and its way to the coordinator; exit code 1 if something fails."""
    from worker.doctor.examine import checks  # noqa: PLC0415 - the daemon loads this file, and does without httpx
    from worker.doctor.finding import examined, worst  # noqa: PLC0415 - the same

    with Console(stderr=True).status("looking") as line:
        found = examined(checks(hive_home(), os.environ), line.update)
    if as_json:
        typer.echo(json.dumps({"state": worst(found), "checks": [builtins_of(finding) for finding in found]}))
    else:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for finding in found:
            table.add_row(Text(finding.state, _COLOURS[finding.state]), Text(finding.name), Text(finding.sentence))
        Console(highlight=False).print(table)
    if worst(found) == "fail":
        raise typer.Exit(1)
