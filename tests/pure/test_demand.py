"""What was asked for within an hour, and what kept a worker from it."""

from hypothesis import given, strategies as st

from coordinator.match.demand import MINUTE_MS, MINUTES, MOST_KINDS, Demand, Skipped
from coordinator.match.rules import Reason, why_not
from coordinator.store.rows import KindSpec
from tests.pure.test_rules import kind, worker

HOUR_MS = MINUTES * MINUTE_MS
SPEC = KindSpec(model="other", context=256)


def test_each_job_counts_for_the_first_rule_that_it_breaks() -> None:
    demand = Demand(1000)
    demand.asked(kind(id=1), 3, 2000)
    demand.asked(kind(id=2, min_tier=4), 2, 3000)
    demand.asked(kind(id=2, min_tier=4), 1, MINUTE_MS + 5)
    demand.refused(SPEC, 4000)
    hour = demand.of(worker(), MINUTE_MS + 6)
    assert (hour.since, hour.jobs, hour.refused, hour.could_take, hour.others) == (1000, 6, 1, 3, 0)
    assert hour.skipped == [Skipped(Reason.MODEL, 0, 1), Skipped(Reason.TIER, 3, 0)]


def test_of_a_worker_that_nobody_knows_the_sums_are_told() -> None:
    demand = Demand(0)
    demand.asked(kind(id=1), 3, 2000)
    hour = demand.of(None, 3000)
    assert (hour.jobs, hour.could_take, hour.skipped) == (3, 0, [])


def test_what_is_older_than_an_hour_is_forgotten_and_kinds_without_end_take_no_memory() -> None:
    demand = Demand(0)
    for number in range(MOST_KINDS + 7):
        demand.asked(kind(id=number), 1, 0)
        demand.refused(KindSpec(model="other", context=256 + number), 0)
    hour = demand.of(worker(), HOUR_MS - 1)
    assert (hour.jobs, hour.refused, hour.others) == (MOST_KINDS, MOST_KINDS, 14)
    assert demand.of(worker(), HOUR_MS).jobs == 0
    assert demand.of(worker(), HOUR_MS).since == 0
    assert demand.of(worker(), HOUR_MS + 5).since == 5


@given(
    st.lists(st.tuples(st.integers(0, 3 * HOUR_MS), st.integers(1, 5), st.integers(0, 4)), max_size=40),
    st.integers(0, 4 * HOUR_MS),
)
def test_an_hour_holds_what_came_in_its_minutes_and_no_more(came: list[tuple[int, int, int]], now: int) -> None:
    demand, kinds = Demand(0), [kind(id=tier, min_tier=tier) for tier in range(5)]
    seen = sorted(one for one in came if one[0] <= now)
    for at, many, tier in seen:
        demand.asked(kinds[tier], many, at)
    hour = demand.of(worker(), now)
    within = [(many, tier) for at, many, tier in seen if at - at % MINUTE_MS > now - HOUR_MS]
    assert hour.jobs == sum(many for many, _ in within)
    taken = sum(many for many, tier in within if not isinstance(why_not(worker(), kinds[tier]), Reason))
    assert hour.could_take == taken == hour.jobs - sum(one.jobs for one in hour.skipped)
