"""Why no job comes: the sentences, and their order."""

from typing import Any

import pytest

from worker.report import Report
from worker.told import Kept, LastHour, Queue, Rule, Why
from worker.why import causes

NOW = 1_800_000_000_000
HOUR = 3_600_000
ALL_WELL = Why(True, True, Queue(0), 0, [], 4, NOW - HOUR)


def report(**changed: Any) -> Report:
    fields: dict[str, Any] = {
        "pid": 1, "process_started": 0.0, "pk": "ab", "handle": None, "cell": "c", "coordinator": "https://hive",
        "server_pk": None, "state": "online", "session": "s", "tier": 0, "models": ["a", "b"],
        "warm": ["a", "b"], "loaded": ["a", "b"],
        "engine_build": "", "slots": 4, "free": 4, "waiting_results": 0, "jobs_done": 0, "tokens_made": 0, "updated_at": NOW,
    }  # fmt: skip
    return Report(**{**fields, **changed})


def told(
    there: Report | None = None, why: Why | None = ALL_WELL, problem: str | None = None, takes: bool = True
) -> list[str]:
    return causes(there, why, problem, takes_jobs=takes, now=NOW)


def test_a_well_worker_without_demand_hears_that() -> None:
    assert told(report()) == [
        "No job waits at the coordinator now: what comes is taken at once, or little is asked.",
        "Its last job was 60 minutes ago.",
    ]


@pytest.mark.parametrize(
    ("changed", "takes", "first"),
    [
        ({"state": "draining"}, True, "The worker is about to stop"),
        (
            {"session": None, "state": "connecting"},
            True,
            "The worker is not connected to https://hive; `hive worker doctor`",
        ),
        ({}, False, "The worker was told to take no jobs"),
        ({"rest": "paused until 18:00"}, True, "The worker rests: paused until 18:00."),
        ({"loaded": []}, True, "No model is there yet (a, b)"),
        ({"loaded": ["a"]}, True, "Not in memory yet: b."),
        ({"free": 0}, True, "All 4 slots are busy"),
    ],
)
def test_what_this_machine_keeps_away_comes_first(changed: dict[str, Any], takes: bool, first: str) -> None:
    assert told(report(**changed), takes=takes)[0].startswith(first)


def test_a_worker_that_does_not_run_is_told_how_to_start_and_what_would_come() -> None:
    first, second, *_ = told(None, Why(True, False, Queue(12), 3, [], 0))
    assert first.startswith("The worker is not running; `hive worker join`")
    assert second == "3 of 12 jobs that wait could come here once this is put right."


def test_rules_are_told_by_how_much_they_keep_away() -> None:
    rules = [Rule("tier", 1, "They ask for a higher tier."), Rule("model", 5, "They ask for another model.")]
    assert told(report(), Why(True, True, Queue(6), 0, rules, 4)) == [
        "Of 6 jobs that wait, this worker may take none.",
        "5 jobs: They ask for another model.",
        "1 job: They ask for a higher tier.",
        "This worker has had no job lately.",
    ]


@pytest.mark.parametrize(("minutes", "since"), [(60, "60 minutes"), (2, "2 minutes"), (1, "minute"), (0, "minute")])
def test_what_was_skipped_within_the_hour_is_told_by_how_much_it_was(minutes: int, since: str) -> None:
    hour = LastHour(
        NOW - minutes * 60_000, 9, 4, 3,
        [Kept("tier", 1, 0, "They ask for a higher tier."), Kept("model", 5, 4, "They ask for another model.")],
    )  # fmt: skip
    found = told(report(), Why(True, True, Queue(0), 0, [], 4, None, hour))
    assert found[1:] == [
        f"Skipped for 9 jobs of the last {since}, 4 of them refused for want of a worker: They ask for another model.",
        f"Skipped for 1 job of the last {since}: They ask for a higher tier.",
        "This worker has had no job lately.",
    ]


def test_a_coordinator_that_does_not_know_or_answer_is_said() -> None:
    assert "has not seen this worker for a day" in told(report(), Why(False, False, Queue(0), 0, [], 0))[0]
    assert "does not have this worker on the line" in told(report(), Why(True, False, Queue(0), 0, [], 0))[0]
    assert told(report(), None, "it is away") == ["The coordinator cannot be asked: it is away."]


@pytest.mark.parametrize(
    ("ago", "says"),
    [
        (-5, "less than a minute"),
        (60_000, "1 minute "),
        (119 * 60_000, "119 minutes"),
        (2 * HOUR, "2 hours"),
        (48 * HOUR, "2 days"),
    ],
)
def test_how_long_ago(ago: int, says: str) -> None:
    assert says in told(report(), Why(True, True, Queue(0), 0, [], 4, NOW - ago))[-1]
