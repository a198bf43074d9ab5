"""The doctor's round: every check, in the order in which a person would look."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from worker.anywhere import settings_anywhere
from worker.doctor import coordinator, judge, machine
from worker.doctor.devices import PATIENCE_S, found_by_a_child
from worker.doctor.finding import Check, Finding
from worker.doctor.upstreams import upstreams
from worker.report import Report, lives, read_report
from worker.settings import Settings, SettingsError, settings, written

QUICK_S: Final = 10.0
MODELS_S: Final = 3600.0


def checks(home: Path, environment: Mapping[str, str]) -> list[Check]:
    """Every check for this home; what cannot be looked at without settings is left out where they are wrong."""
    chosen, said = _settings(home, environment)
    return [
        Check("settings", QUICK_S, lambda _: [said]),
        Check("identity", QUICK_S, lambda _: machine.identity(home)),
        Check("worker", QUICK_S, lambda _: machine.daemon(home)),
        *(_with(home, chosen) if chosen else []),
        Check("disk", QUICK_S, lambda _: machine.disk(home)),
        Check("engine", PATIENCE_S + 5, lambda _: _engine(home, chosen)),
        Check("sensors", QUICK_S, lambda _: machine.sensors(chosen)),
        Check("outbox", QUICK_S, lambda _: machine.outbox(home)),
        *(_models(home, chosen) if chosen else []),
    ]


def _with(home: Path, chosen: Settings) -> list[Check]:
    return [
        Check("reach", 2 * QUICK_S, lambda _: coordinator.trips(chosen.coordinator)),
        Check("socket", 2 * QUICK_S, lambda _: coordinator.met(home, chosen, _clock)),
        Check("memory", QUICK_S, lambda _: machine.memory(home, chosen)),
    ]


def _models(home: Path, chosen: Settings) -> list[Check]:
    return [
        Check("models", MODELS_S, lambda show: machine.models(home, chosen, show)),
        Check("upstreams", 2 * QUICK_S, lambda _: upstreams(home, chosen)),
    ]


def _engine(home: Path, chosen: Settings | None) -> list[Finding]:
    found = found_by_a_child()
    placed = machine.offload(home, chosen, found.gpus) if chosen else []
    return [*judge.devices(found, machine.drivers()), *placed]


def _settings(home: Path, environment: Mapping[str, str]) -> tuple[Settings | None, Finding]:
    """What to look at, and what is to be said of it: a worker that runs was told some of it by flags."""
    report = read_report(home)
    flags = {} if report is None or not lives(report) else _told(home, report)
    try:
        chosen = settings(home, environment, flags)
        return chosen, Finding(
            "settings", "ok", f"They are read: cell {chosen.cell}, coordinator {chosen.coordinator}."
        )
    except SettingsError as error:
        wrong = Finding("settings", "fail", f"They cannot be used: {error.message}.")
    try:
        return settings_anywhere(home, environment), wrong
    except SettingsError:
        return None, wrong


def _told(home: Path, report: Report) -> dict[str, Any]:
    """What a running worker was started with; which of its models another server holds stands in the file alone."""
    told: dict[str, Any] = {"cell": report.cell, "coordinator": report.coordinator, "slots": report.slots}
    return told if written(home).get("openai") else {**told, "models": tuple(report.models)}


def _clock() -> int:
    return time.time_ns() // 1_000_000
