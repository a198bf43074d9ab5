"""How far back a sweep looks: all the way at first and once a minute, and never past what it has not seen."""

from datetime import UTC, datetime, timedelta

from coordinator.queue.limits import HANDOVER
from coordinator.queue.reach import EVER, FULL, RECENT, SHARE, Reach

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_the_first_goes_all_the_way_and_then_once_a_minute() -> None:
    reach, far = Reach(), []
    for second in range(150):
        now = NOW + second * SECOND
        since = reach.since(now)
        far += [second] if since == EVER else []
        reach.swept(since, now, now)
    assert far == [0, 60, 120]


def test_what_came_due_since_the_last_is_in_reach_and_what_is_left_to_its_coordinator_too() -> None:
    reach = Reach()
    reach.swept(EVER, NOW, NOW + SECOND)
    assert reach.since(NOW + 30 * SECOND) == NOW - RECENT < NOW - HANDOVER


def test_one_that_left_something_is_made_again() -> None:
    reach = Reach()
    assert reach.since(NOW) == reach.since(NOW + SECOND) == EVER


def test_one_all_the_way_that_took_long_is_made_less_often() -> None:
    reach = Reach()
    ended = NOW + 10 * SECOND
    reach.swept(EVER, NOW, ended)
    assert reach.since(ended + FULL) != EVER
    assert reach.since(ended + SHARE * 10 * SECOND) == EVER
