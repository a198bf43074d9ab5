"""The coordinator's answers as a worker reads and shows them."""

from io import StringIO
from typing import Any

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from worker.asking import AskingError
from worker.commands.earnings import tables
from worker.told import Earned, Why, amount, read, stroops

HASH = "c0ffee" * 10 + "beef"
ANSWER: dict[str, Any] = {
    "today": "0.0012000", "held": "0.0000000", "pending": "1.5000000", "paid": "20.0000001", "credited": "0.0000000",
    "days": [
        {"day": "2026-11-25", "jobs": 1, "tokens_in": 10, "tokens_out": 5, "earned": "0.0000007"},
        {"day": "2026-11-26", "jobs": 3, "tokens_in": 12_000, "tokens_out": 700, "earned": "0.0012000"},
    ],
    "models": [{"model": "hive-nano", "jobs": 4, "tokens_in": 12_010, "tokens_out": 705, "earned": "0.0012007"}],
    "payments": [{"amount": "20.0000001", "hash": HASH, "state": "confirmed", "at": 1_800_000_000_000}],
    "owner": "@ada", "of_tomorrow": [1],
}  # fmt: skip


def shown(answer: dict[str, Any], since: str = "2026-11-01") -> str:
    console = Console(file=StringIO(), width=160, highlight=False)
    for table in tables(read(answer, Earned), since):
        console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_days_add_up_and_hashes_stand_whole() -> None:
    text = shown(ANSWER)
    assert "20.0000001 GNS" in text
    assert [line.split() for line in text.splitlines() if line.startswith("total")] == [
        ["total", "4", "12,010", "705", "0.0012007"]
    ]
    assert HASH in text
    assert "2027-01-15 08:00" in text
    assert "@ada" in text


def test_older_days_are_left_out_of_the_total() -> None:
    assert [line.split()[1:] for line in shown(ANSWER, "2026-11-26").splitlines() if line.startswith("total")] == [
        ["3", "12,000", "700", "0.0012000"]
    ]


def test_a_new_worker_is_sent_to_why() -> None:
    nothing = {**ANSWER, "days": [], "models": [], "payments": [], "owner": None}
    assert "hive worker why" in shown(nothing)


def test_a_terminal_is_not_obeyed() -> None:
    nasty = {**ANSWER, "models": [{**ANSWER["models"][0], "model": "\x1b[2J[red]x[/red]\u202e"}]}
    assert "[2J[red]x[/red]" in shown(nasty)
    assert not {"\x1b", "\u202e"} & set(shown(nasty))


@pytest.mark.parametrize(
    "answer", [None, [], {}, {**ANSWER, "paid": 1.5}, {**ANSWER, "paid": "1.5"}, {**ANSWER, "days": [{"day": 1}]}]
)
def test_another_answer_is_a_sentence(answer: Any) -> None:
    with pytest.raises(AskingError, match="not understood"):
        read(answer, Earned)


def test_a_time_beyond_reason_is_no_time() -> None:
    assert HASH in shown({**ANSWER, "payments": [{**ANSWER["payments"][0], "at": 10**18}]})


@given(st.integers(0, 10**18))
def test_amounts_are_exact(count: int) -> None:
    assert stroops(amount(count)) == count


def test_what_the_coordinator_says_of_why_is_read() -> None:
    found = read(
        {"registered": True, "online": True, "tier": "new", "waiting": {"jobs": 12}, "could_take": 3, "reasons": [],
         "free_slots": 4, "last_job_at": None}, Why,
    )  # fmt: skip
    assert (found.waiting.jobs, found.could_take, found.last_job_at) == (12, 3, None)
