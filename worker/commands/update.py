"""`hive worker update`: installs a newer release that the trusted key signed, and only when told."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from shared.home import hive_home
from shared.release import Release, ReleaseError, chosen, newer, trusted
from shared.words import size
from worker.report import lives, read_report

if TYPE_CHECKING:
    from shared.release import ReleaseFile


def update(
    source: Annotated[
        str | None, typer.Option("--from", help="An https address or a folder with release.json.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The release key to trust, or its fingerprint.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also an older release, or the same again.")] = False,
) -> None:
    """Install a newer, signed release of Hive into this Python."""
    from packaging.tags import sys_tags  # noqa: PLC0415 - the daemon loads this file, and does without

    from worker import update as updating  # noqa: PLC0415 - the same

    home = hive_home()
    wanted = updating.wanted(home, os.environ, source, key)
    present = updating.installed()
    release = trusted(updating.manifest(wanted.source), wanted.key)
    newer(release.version, present, force=force)
    file = chosen(release, map(str, sys_tags()))
    _agreed(release, file, present, yes=yes)
    with tempfile.TemporaryDirectory(prefix="hive-update-") as folder, Console(stderr=True).status("fetching") as line:
        wheel = updating.fetch(
            wanted.source, file, Path(folder), lambda done: line.update(f"fetching: {size(done)} of {size(file.size)}")
        )
        line.update("installing")
        updating.install(wheel)
    typer.echo(f"Hive {release.version} is installed. {_next(home)}")


def _agreed(release: Release, file: "ReleaseFile", present: str, *, yes: bool) -> None:
    asked = f"Install Hive {release.version} ({size(file.size)}) over {present}?"
    if yes:
        return
    if not sys.stdin.isatty():
        raise ReleaseError(f"{asked} Nobody is here to answer, so nothing was done; --yes says yes")
    if not typer.confirm(asked):
        raise typer.Abort


def _next(home: Path) -> str:
    report = read_report(home)
    if report is None or not lives(report):
        return "`hive worker join` starts the worker."
    return f"The worker (process {report.pid}) still runs the old one: end it and start it again."
