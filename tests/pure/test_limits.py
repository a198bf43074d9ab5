"""Plans, and the arithmetic of their limits: what fits, what is left, when it is back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from coordinator.submit.limits import DAY, MINUTE, SECOND, charges, headers, left, refusal, share, taken, token_ns
from coordinator.submit.plans import NO_PLAN, PLANS, UNLIMITED, Limits, limits_of
from shared.errors import RateLimited, RequestError

NOW = datetime(2026, 3, 20, 12, 0, 0, tzinfo=UTC)


def admitted(limits: Limits, calls: list[tuple[datetime, int]], marks: dict[str, int] | None = None) -> list[bool]:
    """Which of these calls (when, tokens) are let in, one after the other."""
    marks, said = marks or {}, []
    for at, tokens in calls:
        said.append(refusal(limits, tokens, marks, at) is None)
        if said[-1]:
            marks = taken(limits, tokens, marks, at)
    return said


def test_the_plans_are_those_of_the_contract() -> None:
    assert limits_of("free") == Limits(requests=50, daily=True, at_once=1)
    assert limits_of("pro") == Limits(requests=120, at_once=10)
    assert limits_of("enterprise") == UNLIMITED == Limits()
    assert limits_of(None) == Limits(requests=60, tokens=150_000) == NO_PLAN
    assert limits_of("gold") == NO_PLAN


def test_what_is_set_for_a_key_goes_before_its_plan() -> None:
    assert limits_of("enterprise", 5, 1000, 2) == Limits(requests=5, tokens=1000, at_once=2)
    assert limits_of("pro", rpm=7) == Limits(requests=7, at_once=10)
    assert limits_of("free", rpm=7) == Limits(requests=7, at_once=1)
    assert limits_of(None, tpm=1) == Limits(requests=60, tokens=1)


@pytest.mark.parametrize("limit", [1, 7, 60, 120, 999, 1_000_000])
def test_a_minute_holds_exactly_its_requests(limit: int) -> None:
    (charge,) = charges(Limits(requests=limit), 0, NOW)
    full = charge.start + charge.cost * (limit - 1)
    assert charge.over(full) == 0
    assert charge.over(charge.after(full)) == share(limit)


def test_a_request_comes_back_each_second_at_sixty_a_minute() -> None:
    calls = [(NOW, 0)] * 61 + [(NOW + timedelta(seconds=1), 0)] * 2 + [(NOW + timedelta(seconds=90), 0)] * 61
    assert admitted(Limits(requests=60), calls) == [True] * 60 + [False] + [True, False] + [True] * 60 + [False]


@given(
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 180_000_000), st.integers(1, 20)), max_size=200),
)
def test_no_stretch_of_time_holds_one_too_many(limit: int, calls: list[tuple[int, int]]) -> None:
    times = sorted(NOW + timedelta(microseconds=us) for us, n in calls for _ in range(n))
    let_in = [
        at for at, yes in zip(times, admitted(Limits(requests=limit), [(at, 0) for at in times]), strict=True) if yes
    ]
    for first, at in enumerate(let_in):
        for last in range(first, len(let_in)):
            stretch = (let_in[last] - at) / timedelta(minutes=1)
            assert last - first + 1 <= limit + stretch * limit + 1e-9


@given(st.integers(1, 2**31), st.integers(0, 2**31), st.integers(0, 2**31))
def test_what_is_given_back_is_what_was_taken(limit: int, tokens: int, used: int) -> None:
    limits = Limits(tokens=limit)
    marks = taken(limits, max(tokens, used), {}, NOW)
    marks["tokens"] -= (max(tokens, used) - used) * token_ns(limits)
    assert marks == taken(limits, used, {}, NOW)
    assert token_ns(UNLIMITED) == 0


def test_a_day_begins_at_midnight_utc() -> None:
    free, late = PLANS["free"], NOW.replace(hour=23, minute=59, second=59)
    assert admitted(free, [(NOW, 1)] * 50 + [(late, 1), (late + timedelta(seconds=1), 1)]) == [True] * 50 + [
        False,
        True,
    ]
    marks: dict[str, int] = {}
    for _ in range(50):
        marks = taken(free, 1, marks, NOW)
    refused = refusal(free, 1, marks, NOW.replace(hour=22))
    assert isinstance(refused, RateLimited)
    assert refused.retry_after_s == 2 * 3600
    assert "50 requests a UTC day" in refused.message
    shown = left(free, marks, NOW)["requests"]
    assert (shown.remaining, shown.reset) == (0, NOW.replace(hour=0) + timedelta(days=1))


def test_a_refused_call_says_how_long_to_wait_in_whole_seconds_rounded_up() -> None:
    limits = Limits(requests=7)
    marks = taken(limits, 0, {"requests": charges(limits, 0, NOW)[0].start + 6 * share(7)}, NOW)
    refused = refusal(limits, 0, marks, NOW)
    assert isinstance(refused, RateLimited)
    assert (refused.status, refused.code, refused.retry_after_s) == (429, "rate_limit_exceeded", 9)
    assert admitted(limits, [(NOW + timedelta(seconds=9), 0)], marks) == [True]
    assert admitted(limits, [(NOW + timedelta(seconds=8.5), 0)], marks) == [False]


def test_tokens_that_can_never_fit_are_refused_for_good() -> None:
    refused = refusal(Limits(tokens=1000), 1001, {}, NOW)
    assert isinstance(refused, RequestError)
    assert (refused.status, refused.param) == (400, "max_tokens")
    assert "never fit" in refused.message
    assert refusal(Limits(tokens=1000), 1000, {}, NOW) is None


def test_tokens_are_waited_for_as_long_as_they_take() -> None:
    limits = Limits(tokens=600)
    marks = taken(limits, 600, {}, NOW)
    refused = refusal(limits, 25, marks, NOW)
    assert isinstance(refused, RateLimited)
    assert refused.retry_after_s == 3
    assert admitted(limits, [(NOW + timedelta(seconds=2.5), 25)], marks) == [True]


def test_the_headers_say_what_is_left_and_when_all_is_back() -> None:
    limits = Limits(requests=60, tokens=150_000)
    marks = taken(limits, 30_001, {}, NOW)
    assert headers(limits, marks, NOW) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "2026-03-20T12:00:01Z",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "119999",
        "x-ratelimit-reset-tokens": "2026-03-20T12:00:13Z",
    }
    later = headers(limits, marks, NOW + timedelta(seconds=20))
    assert (later["x-ratelimit-remaining-requests"], later["x-ratelimit-remaining-tokens"]) == ("60", "150000")
    assert later["x-ratelimit-reset-tokens"] == "2026-03-20T12:00:20Z"


def test_an_unlimited_key_is_told_a_thousand_million() -> None:
    shown = headers(UNLIMITED, {}, NOW)
    assert {shown[f"x-ratelimit-{what}-{of}"] for what in ("limit", "remaining") for of in ("requests", "tokens")} == {
        "1000000000"
    }
    assert shown["x-ratelimit-reset-requests"] == "2026-03-20T12:00:00Z"


def test_all_limits_of_a_key_are_charged_or_none() -> None:
    limits = Limits(requests=2, tokens=100)
    assert admitted(limits, [(NOW, 60), (NOW, 60), (NOW, 40), (NOW, 0)]) == [True, False, True, False]


def test_numbers_stay_within_64_bits() -> None:
    limits = Limits(requests=10**9, tokens=10**9)
    far = datetime(2200, 1, 1, tzinfo=UTC)
    for charge in charges(limits, 10**9, far):
        assert charge.start + charge.cost + charge.room < 2**63
    assert (MINUTE, DAY) == (60 * SECOND, 86_400 * SECOND)
