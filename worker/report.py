"""What a running worker tells the other commands on its machine: HIVE_HOME/worker.json."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import psutil

from shared.files import write_private
from shared.protocol.messages import Standing

FILE: Final = "worker.json"


class Trouble(msgspec.Struct, frozen=True):
    """A warning or an error of the log: when (ms since 1970 UTC), and what."""

    at: int
    what: str


class Report(msgspec.Struct, frozen=True):
    """The state of a worker's daemon; times in ms since 1970 UTC, `process_started` in seconds as the system has it.

    `tokens_made` counts those of running answers too; `rest` is why no work is taken, `paused` whether the owner asked for
    it; `unchecked` are the owner's rules that nobody can check on this machine; `standing` is what the coordinator said
    last of earnings and the swarm.
    """

    pid: int
    process_started: float
    pk: str
    handle: str | None
    cell: str
    coordinator: str
    server_pk: str | None
    state: str
    session: str | None
    tier: int | None
    models: list[str]
    warm: list[str]
    loaded: list[str]
    engine_build: str
    slots: int
    free: int
    waiting_results: int
    jobs_done: int
    tokens_made: int
    updated_at: int
    rest: str | None = None
    paused: bool = False
    unchecked: list[str] = []
    standing: Standing | None = None
    standing_at: int = 0
    trouble: list[Trouble] = []
    started_at: int = 0
    sent_today: int = 0
    received_today: int = 0


def write_report(home: Path, report: Report) -> None:
    """Replaces the report in one step."""
    write_private(home / FILE, msgspec.json.format(msgspec.json.encode(report)))


def read_report(home: Path) -> Report | None:
    """The last report; None if there is none that can be read."""
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return None


def is_ready(report: Report) -> bool:
    """Whether the worker could take jobs for all its models when it wrote this."""
    return report.session is not None and report.loaded == report.warm


def lives(report: Report) -> bool:
    """Whether the daemon that wrote it still runs; another process with its number does not count."""
    try:
        return bool(abs(psutil.Process(report.pid).create_time() - report.process_started) < 1.0)
    except psutil.Error:
        return False


def forget_report(home: Path) -> None:
    """Removes the report once this daemon has ended, but not that of another one that runs in the same home."""
    report = read_report(home)
    if report is None or report.pid == os.getpid() or not lives(report):
        with suppress(OSError):
            (home / FILE).unlink()
