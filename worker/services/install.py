"""Putting a plan into the system and taking it out again: the only file here that runs the system's own commands."""

import getpass
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from shared.files import write_private
from worker.services import launchd, systemd, task
from worker.services.plan import SAYS_SO, STOP_S, Plan, ServiceError, Starting

COMMAND_S: Final = 60
_GPU_NODES: Final = ("nvidiactl", "kfd", "dri/renderD128")

Run = Callable[[list[str]], str | None]
"""Runs a command: None where it went well, else what it said."""


def plan_here(home: Path, system: str, environment: Mapping[str, str]) -> Plan:
    """What this system (as `sys.platform` names it) is given; raises ServiceError where it is none of three."""
    starting = Starting(Path(sys.executable), home.absolute(), gpu=any(Path("/dev", n).exists() for n in _GPU_NODES))
    if system == "linux":
        config = Path(environment.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
        return systemd.plan(starting, config, getpass.getuser())
    if system == "darwin":
        return launchd.plan(starting, Path.home(), os.getuid())
    if system == "win32":
        user = environment.get("USERNAME") or getpass.getuser()
        domain = environment.get("USERDOMAIN")
        return task.plan(starting, f"{domain}\\{user}" if domain else user)
    raise ServiceError(f"Hive knows no services of {system}; start `hive worker join` by what your system has for that")


def install(plan: Plan, run: Run, rest: Callable[[], None]) -> None:
    """Writes the file and starts it, over an older one or anew; what fails leaves nothing new behind. `rest` waits a
    second, since an older worker may take its time to end. Raises ServiceError."""
    _probe(plan, run)
    before = plan.file.read_bytes() if _is_ours(plan.file) else None
    if before is not None:
        _tried(plan.renew, run)
    write_private(plan.file, plan.content)
    try:
        for words in plan.start:
            _insisted(words, run, rest, STOP_S if before is not None and plan.renew else 0)
    except ServiceError:
        if before is None:
            _tried([*plan.renew, *plan.stop], run)
            plan.file.unlink(missing_ok=True)
            _tried(plan.tidy, run)
        raise


def uninstall(plan: Plan, run: Run) -> bool:
    """Stops it and removes the file; whether there was one. Raises ServiceError."""
    if not _is_ours(plan.file):
        return False
    _probe(plan, run)
    _tried(plan.renew, run)
    for words in plan.stop:
        _insisted(words, run, lambda: None, 0)
    plan.file.unlink()
    _tried(plan.tidy, run)
    return True


def run_command(words: list[str]) -> str | None:
    """Runs a command of the system, a minute at most."""
    try:
        told = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=COMMAND_S, check=False)
    except FileNotFoundError:
        return f"there is no {words[0]}"
    except subprocess.TimeoutExpired:
        return f"it did not end within {COMMAND_S} s"
    if told.returncode == 0:
        return None
    return " ".join((told.stderr or told.stdout).split()) or f"exit code {told.returncode}"


def _probe(plan: Plan, run: Run) -> None:
    if (problem := run(plan.probe)) is not None:
        raise ServiceError(f"{plan.without} ({plan.probe[0]}: {problem.rstrip('.')})")


def _insisted(words: list[str], run: Run, rest: Callable[[], None], again: int) -> None:
    while (problem := run(words)) is not None:
        if not again:
            raise ServiceError(f"`{' '.join(words)}` failed: {problem}")
        again -= 1
        rest()


def _tried(commands: list[list[str]], run: Run) -> None:
    for words in commands:
        run(words)


def _is_ours(file: Path) -> bool:
    """Whether the file is there; raises ServiceError where somebody else wrote it."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return False
    if SAYS_SO.encode() not in content and SAYS_SO.encode("utf-16-le") not in content:
        raise ServiceError(f"{file} was not written by Hive; move it away and run this again")
    return True
