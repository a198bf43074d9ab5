"""`hive jobs why` as people see it: the sentence first, then what it comes from."""

from typing import Any

import msgspec
import pytest

from client.jobs.explaining import told
from client.shapes.jobs import Explained, WhyJob
from tests.pure.test_jobs_shown import text

WAITS: dict[str, Any] = {
    "id": "11111111-0000-4000-8000-000000000000", "status": "pending",
    "sentence": "The only worker that may take it is busy; 3 jobs of its kind go before it.",
    "would_help": "A free slot at a worker in IT.", "waited_ms": 1234, "counts": {"registered": 4, "has_model": 1234, "free": 0},
    "parked": None, "ahead": 3, "ready_at": None, "widening": None, "avoids": 0, "attempts": [], "children": [],
}  # fmt: skip


def shown(**different: Any) -> list[str]:
    lines = text(told(msgspec.convert({**WAITS, **different}, WhyJob))).splitlines()
    return [" ".join(line.split()) for line in lines]


def test_a_job_that_waits() -> None:
    assert shown() == [
        "11111111 pending The only worker that may take it is busy; 3 jobs of its kind go before it.",
        "What would help: A free slot at a worker in IT.",
        "waited 1.2 s",
        "before it 3 of its kind",
        "workers registered 4, has model 1,234, free 0",
    ]


@pytest.mark.parametrize(
    ("different", "line"),
    [
        ({"parked": {"under_way": 2, "at_once": 2, "ahead": 7}}, "parked 2 of 2 under way, 7 of its key before it"),
        ({"avoids": 2}, "avoids 2 that lost or declined it"),
        ({"widening": {"cells": ["87a", "86a"], "next": None}}, "searched 87a, 86a"),
        ({"widening": {"cells": ["87a"], "next": {"cell": "86a", "at": "10:00"}}}, "next 86a at 10:00"),
    ],
)
def test_what_keeps_it_is_a_line(different: dict[str, Any], line: str) -> None:
    assert line in shown(**different)


def test_attempts_are_told_with_their_reasons_and_without_control_characters() -> None:
    one = {"attempt": 1, "assigned_at": "10:00", "ended_at": "10:01", "outcome": "decline", "reason": "no\x1b[2J room"}
    two = {"attempt": 2, "assigned_at": "10:02", "ended_at": None, "outcome": None, "reason": ""}
    lines = shown(status="computing", counts=None, would_help=None, ahead=None, attempts=[one, two])
    assert lines[2:] == ["attempt 1 10:00 decline (no[2J room)", "attempt 2 10:02 under way"]


def test_of_a_parent_each_child_is_told() -> None:
    child = {name: value for name, value in WAITS.items() if name != "children"}
    parent = msgspec.convert({**WAITS, "sentence": "1 of its 1 answers waits.", "ahead": None, "counts": None}, WhyJob)
    whole = msgspec.structs.replace(parent, children=[msgspec.convert(child, Explained)])
    lines = text(told(whole)).splitlines()
    assert lines[0].startswith("11111111 pending 1 of its 1 answers waits.")
    assert any(line.startswith("11111111 pending The only worker") for line in lines)
