"""`hive worker install-service` and `uninstall-service`: the worker starts by itself."""

import os
import sys
import time
from typing import Annotated

import typer

from shared.home import hive_home
from worker.report import lives, read_report
from worker.services.install import install, plan_here, run_command, uninstall
from worker.services.plan import ServiceError
from worker.settings import settings


def install_service(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be installed, and where.")] = False,
) -> None:
    """Let this machine's worker start by itself: a systemd user unit, a launch agent, or a Windows task."""
    home = hive_home()
    plan = plan_here(home, sys.platform, os.environ)
    if dry_run:
        typer.echo(f"# {plan.file}")
        typer.echo(plan.content.decode("utf-16" if plan.file.suffix == ".xml" else "utf-8"), nl=False)
        return
    settings(home, {}, {})  # what a service starts with: no flags and no environment
    report = read_report(home)
    if report is not None and lives(report) and not plan.file.exists():
        raise ServiceError(
            f"a worker of {home} is running (process {report.pid}); end it with Ctrl-C and run this again"
        )
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    install(plan, run_command, lambda: time.sleep(1))
    typer.echo(f"The worker starts by itself from now on, and has started ({plan.file}).\n{plan.hint}")


def uninstall_service() -> None:
    """Take back what install-service made; the worker's identity, models and settings stay."""
    plan = plan_here(hive_home(), sys.platform, os.environ)
    there = uninstall(plan, run_command)
    typer.echo(f"The service is gone ({plan.file})." if there else "No service is installed here.")
