"""The worker's picture: what it says, that it fits, and its chart."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from shared.protocol.messages import Standing
from worker.dash.keys import characters
from worker.dash.lines import in_lines
from worker.dash.picture import View, ago, headline, picture
from worker.dash.rates import KEPT, Rates, chart
from worker.dash.screen import KEYS
from worker.report import Report, Trouble

NOW = datetime(2025, 11, 24, 12, 0, tzinfo=UTC)
REPORT = Report(
    pid=1, process_started=0.0, pk="ab" * 32, handle="@kitchen", cell="871e8052affffff", coordinator="https://hive.example",
    server_pk=None, state="online", session="s", tier=1, models=["hive-nano"],
    warm=["hive-nano"], loaded=["hive-nano"], engine_build="b",
    slots=4, free=4, waiting_results=0, jobs_done=12345, tokens_made=678901, updated_at=7_380_000,
    standing=Standing(0, 12_500_000, 1, 2, 3, 42), trouble=[Trouble(0, "engine crashed: starts 2")],
    unchecked=["when.metered: whether the network is metered", "when.idle_only: for how long"],
)  # fmt: skip


def report(**changed: Any) -> Report:
    return msgspec.structs.replace(REPORT, **changed)


def drawn(
    it: Report, width: int = 80, height: int = 24, *, helping: bool = False, rates: Rates | None = None
) -> list[str]:
    console = Console(width=width, height=height, file=StringIO(), force_terminal=False, legacy_windows=False)
    with console.capture() as got:
        console.print(picture(it, rates or Rates(), View(width, height, NOW, KEYS, helping)), height=height)
    return got.get().rstrip("\n").split("\n")


def test_everything_is_on_a_plain_terminal() -> None:
    text = "\n".join(drawn(REPORT))
    for words in (
        "ready, waiting for jobs", "42 workers online", "hive.example · @kitchen · explorer", "up 2 h 3 min",
        "12,345 jobs, 678,901 tokens", "1.25 GNS", "0.0000001 GNS", "engine crashed: starts 2", "0 of 4", "q quit",
        "cannot be checked here: when.idle_only",
    ):  # fmt: skip
        assert words in text, text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 21), (59, 21), (60, 20), (200, 60), (20, 5), (10, 1)])
@pytest.mark.parametrize("helping", [False, True])
def test_it_fits(width: int, height: int, helping: bool) -> None:
    long = report(
        handle="@" + "x" * 31, models=[f"model-{n}-{'y' * 60}" for n in range(9)], rest="z" * 300, slots=64, free=0,
        trouble=[Trouble(0, "t" * 500)] * 8, coordinator="https://" + "h" * 200 + ".example",
    )  # fmt: skip
    for it in (REPORT, long, report(standing=None, trouble=[], unchecked=[], loaded=[])):
        lines = drawn(it, width, height, helping=helping)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "ready, waiting for jobs"),
        ({"free": 3}, "working on 1 answer"),
        ({"free": 1}, "working on 3 answers"),
        ({"loaded": []}, "loading hive-nano"),
        ({"loaded": [], "warm": []}, "ready, waiting for jobs"),
        ({"rest": "cs2 is running", "free": 3}, "paused: cs2 is running"),
        ({"state": "connecting"}, "looking for the coordinator"),
        ({"state": "connecting", "rest": "x"}, "looking for the coordinator (paused: x)"),
        ({"state": "draining"}, "draining"),
        ({"state": "stopping"}, "Ctrl-C again ends at once"),
    ],
)
def test_the_first_line_says_what_it_does(changed: dict[str, Any], says: str) -> None:
    assert says in headline(report(**changed)).plain


@pytest.mark.parametrize(
    ("changed", "says"), [({}, "ready"), ({"loaded": []}, "loading …"), ({"loaded": [], "warm": []}, "on disk")]
)
def test_each_model_is_told_of(changed: dict[str, Any], says: str) -> None:
    assert f"hive-nano  {says}" in "\n".join(drawn(report(**changed)))


def test_lines_are_said_when_they_change() -> None:
    said: list[str] = []
    show = in_lines(said.append)
    steps: list[dict[str, Any]] = [
        {"state": "connecting"},
        {"loaded": []},
        {},
        {"jobs_done": 9},
        {"rest": "x"},
        {"state": "draining"},
    ]
    for changed in steps:
        show(report(**changed))
    assert said == ["connecting", "online, loading hive-nano", "online", "paused: x", "draining"]


def test_rates_are_of_each_second() -> None:
    rates = Rates()
    for second, tokens in ((0, 0), (1, 10), (2, 30), (4, 50), (5, 0), (6, 5)):
        rates.sample(second, tokens)
    assert rates.last(10) == [10, 20, 10, 10, 0, 5]
    assert rates.now == 5
    assert rates.last(2) == [0, 5]
    assert Rates().last(0) == []
    rates.sample(10_000, 5)
    assert len(rates.last(2 * KEPT)) == KEPT


@given(st.lists(st.floats(0, 1e6), max_size=50), st.integers(1, 40), st.integers(1, 8))
def test_a_chart_has_its_size_and_its_largest_is_full(values: list[float], width: int, height: int) -> None:
    lines = chart(values, width, height)
    assert (len(lines), {len(line) for line in lines}) == (height, {width})
    if values and max(values[-width:]) == max(values) > 0:
        assert "█" in lines[0]
    for column, value in enumerate([0.0] * (width - len(values[-width:])) + values[-width:]):
        assert (lines[-1][column] == " ") == (value == 0)


def test_lengths_of_time_for_people() -> None:
    assert [ago(ms) for ms in (0, 59_999, 60_000, 3_600_000, 90_000_000)] == [
        "0 min",
        "0 min",
        "1 min",
        "1 h 0 min",
        "1 d 1 h",
    ]


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"p", "p"), (b"pd", "pd"), (b"\x1b[A", ""), (b"\x1b[A?", "?"), (b"\x1b[15~q\x1b[1;5Cd", "qd"), (b"\x1bOPq", "q"),
        (b"\x1b", ""), (b"\xff", ""), ("é".encode(), "é"), (b"\x0c", "\x0c"),
    ],
)  # fmt: skip
def test_cursor_and_function_keys_are_no_letters(data: bytes, keys: str) -> None:
    assert characters(data) == keys
