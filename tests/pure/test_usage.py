"""What callers ask of their usage, and how it is written down."""

import csv
import io
from datetime import date
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from coordinator.api.usage import Used, parts, period, to_csv
from coordinator.store.usage import Part
from shared.errors import RequestError

TODAY = date(2026, 3, 1)
OWN: Final[tuple[Part, ...]] = ("day", "key", "model")


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({}, (date(2026, 1, 31), TODAY)),
        ({"from": "2026-02-28"}, (date(2026, 2, 28), TODAY)),
        ({"to": "2026-01-30"}, (date(2026, 1, 1), date(2026, 1, 30))),
        ({"from": "2025-03-01", "to": "2026-03-01"}, (date(2025, 3, 1), TODAY)),
        ({"from": "2027-01-01", "to": "2027-01-01"}, (date(2027, 1, 1), date(2027, 1, 1))),
    ],
)
def test_a_period_is_of_whole_days(query: dict[str, str], days: tuple[date, date]) -> None:
    assert period(query, TODAY) == days


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": ""}, "to"),
        ({"to": "0001-01-01"}, "to"),
        ({"from": "2026-03-02"}, "from"),
        ({"from": "2025-02-28"}, "from"),
    ],
)
def test_what_is_no_period_is_refused_by_name(query: dict[str, str], param: str) -> None:
    with pytest.raises(RequestError) as refused:
        period(query, TODAY)
    assert refused.value.param == param


def test_any_of_the_parts_may_be_asked_for() -> None:
    assert parts(None, OWN) == OWN
    assert parts("model, day", OWN) == ("day", "model")
    assert parts("", OWN) == parts(",", OWN) == ()
    for strange in ("hour", "day;key", "account"):
        with pytest.raises(RequestError, match="by takes day, key, model"):
            parts(strange, OWN)


@given(
    st.lists(st.tuples(st.text(max_size=8), st.integers(0, 10**12)), max_size=4), st.sampled_from(["", "day", "model"])
)
def test_a_csv_says_what_the_rows_say(rows: list[tuple[str, int]], by: str) -> None:
    asked = parts(by, OWN)
    used = [Used(1, n, 2, 3, "0.0010000", None, TODAY, UUID(int=n), "sk", model) for model, n in rows]
    head, *lines = csv.reader(io.StringIO(to_csv(used, asked), newline=""))
    assert head == [*asked, "jobs", "tokens_in", "cached", "tokens_out", "cost"]
    told = {"day": str(TODAY)}
    assert lines == [[*((told | {"model": m})[p] for p in asked), "1", str(n), "2", "3", "0.0010000"] for m, n in rows]


def test_a_key_is_told_with_its_prefix() -> None:
    one = Used(1, 2, 0, 3, "0.0010000", key=UUID(int=7), key_prefix="sk-hive-abc")
    assert to_csv([one], ("key",)).splitlines()[1] == f"{UUID(int=7)},sk-hive-abc,1,2,0,3,0.0010000"
