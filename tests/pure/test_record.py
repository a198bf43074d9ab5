"""A worker's record: one loss is none, many are, and both are forgotten."""

import pytest
from hypothesis import given, strategies as st

from coordinator.match import record as records
from coordinator.match.record import HALF_MS, Records


def test_who_is_not_known_and_who_loses_nothing_is_of_the_first_class() -> None:
    it = Records()
    assert it.rank("a", 0) == 0
    assert {it.ended("a", n) for n in range(1000)} == {0}
    assert it.lost("a", 1000) == 0, "one of a thousand"


def test_the_more_is_lost_the_worse_the_class_and_it_mends() -> None:
    it = Records()
    assert [it.lost("a", 0) for _ in range(20)] == sorted(it.lost("b", 0) for _ in range(20))
    assert it.rank("a", 0) == 3
    for _ in range(60):
        it.ended("a", 0)
    assert it.rank("a", 0) == 2
    assert it.rank("a", 12 * HALF_MS) == 0, "time mends it too, for who gets no jobs could not mend it else"
    assert it.lost("a", 12 * HALF_MS) < 2


def test_the_clock_may_go_back() -> None:
    it = Records()
    assert it.lost("a", HALF_MS * 10) == it.rank("a", 0) == 1
    assert it.lost("a", 0) == 1


def test_only_the_last_workers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST", 2)
    it = Records()
    for _ in range(9):
        it.lost("a", 0)
    for pk in "bcd":
        it.ended(pk, 0)
    assert it.rank("a", 0) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3 * HALF_MS)), max_size=60))
def test_a_loss_never_helps_and_an_end_never_harms(events: list[tuple[bool, int]]) -> None:
    it, now = Records(), 0
    for lost, later in events:
        now += later
        before = it.rank("a", now)
        if lost:
            assert it.lost("a", now) >= before
        else:
            assert it.ended("a", now) <= before
