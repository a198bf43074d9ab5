"""The order of the queue: who asks for little does not wait for who asks for much, and nobody waits for ever."""

import heapq
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from coordinator.queue.order import BATCH_YIELDS, SLOWEST, TOKEN, Flow, Lane, Order, Pool, moment, start_of, tag

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POOL, OTHER = Pool("m", "", None), Pool("m", "EU", None)


def flow(number: int, lane: Lane = "interactive") -> Flow:
    return Flow(UUID(int=number), lane)


class Came(msgspec.Struct, frozen=True):
    """A job that came: after how many seconds, whose, how large."""

    at: float
    flow: Flow
    tokens: int
    weight: int = 1


class Gave(msgspec.Struct, frozen=True):
    """A job that a worker got; `waiting` are the flows of which some waited just before."""

    at: float
    job: Came
    waiting: frozenset[Flow]


def served(came: Sequence[Came], slots: int, rate: float) -> list[Gave]:
    """Plays a queue with so many slots, each of `rate` tokens a second, over jobs in the order of their coming; once a
    second it is looked what waits."""
    order = Order()
    queue: list[tuple[int, int, Came]] = []
    free, gave, left = [0.0] * slots, [], list(reversed(came))
    waits: dict[Flow, int] = {}
    looked, number = -1.0, count()
    while left or queue:
        at = min(free) if queue else max(min(free), left[-1].at)
        while left and left[-1].at <= at:
            job = left.pop()
            now = NOW + job.at * SECOND
            if job.at >= looked + 1:
                looked = job.at
                order.told(0, [(POOL, start_of(place, one.flow.lane)) for place, _, one in queue[:1]], now)
            start = order.start(job.flow, POOL, job.tokens, job.weight, now)
            heapq.heappush(queue, (tag(start, job.flow.lane), next(number), job))
            waits[job.flow] = waits.get(job.flow, 0) + 1
        waiting = frozenset(waits)
        place, _, job = heapq.heappop(queue)
        waits[job.flow] -= 1
        if not waits[job.flow]:
            del waits[job.flow]
        order.given(start_of(place, job.flow.lane))
        heapq.heapreplace(free, max(at, job.at) + job.tokens / rate)
        gave.append(Gave(at, job, waiting))
    return gave


ARRIVALS = st.lists(
    st.tuples(
        st.floats(0, 5), st.integers(1, 4), st.integers(1, 500), st.integers(1, 12)
    ), min_size=1, max_size=40,
)  # fmt: skip
WEIGHTS = {1: 1, 2: 1, 3: 2, 4: 4}


def arriving(drawn: list[tuple[float, int, int, int]]) -> list[Came]:
    at, came = 0.0, []
    for gap, whose, tokens, many in drawn:
        at += gap
        came += [Came(at, flow(whose), tokens, WEIGHTS[whose])] * many
    return came


@settings(max_examples=300, deadline=None)
@given(ARRIVALS, st.integers(1, 4), st.sampled_from([0.5, 5, 50, 5000]))
def test_who_waits_gets_its_share_whatever_others_ask_for(
    drawn: list[tuple[float, int, int, int]], slots: int, rate: float
) -> None:
    """While two flows have jobs waiting, what they got, over their weights, never differs by more than their largest jobs."""
    gave = served(arriving(drawn), slots, rate)
    for one in range(1, 5):
        for two in range(one + 1, 5):
            most = sum(
                max((g.job.tokens for g in gave if g.job.flow == flow(n)), default=0) / WEIGHTS[n] for n in (one, two)
            )
            apart, least, largest = 0.0, 0.0, 0.0
            for g in gave:
                if not {flow(one), flow(two)} <= g.waiting:
                    apart = least = largest = 0.0
                    continue
                sign = (g.job.flow == flow(one)) - (g.job.flow == flow(two))
                apart += sign * g.job.tokens / g.job.weight
                least, largest = min(least, apart), max(largest, apart)
            assert largest - least <= most + 1e-6


@given(ARRIVALS, st.integers(1, 4), st.sampled_from([0.5, 50, 5000]))
def test_nothing_is_lost_and_a_flow_keeps_the_order_of_its_coming(
    drawn: list[tuple[float, int, int, int]], slots: int, rate: float
) -> None:
    came = arriving(drawn)
    gave = [g.job for g in served(came, slots, rate)]
    for whose in range(1, 5):
        assert [job for job in gave if job.flow == flow(whose)] == [job for job in came if job.flow == flow(whose)]


@pytest.mark.parametrize("lane", ["interactive", "batch"])
@pytest.mark.parametrize("rate", [2, 5000])
def test_a_neighbours_chat_beside_100_000_jobs_gets_the_next_slot(lane: Lane, rate: float) -> None:
    batch = [Came(0, flow(1, lane), 300)] * 100_000
    chats = [Came(at, flow(2), 300) for at in range(10, 4000, 700)]
    gave = served(batch + chats, slots=3, rate=rate)
    taken = [place for place, g in enumerate(gave) if g.job.flow == flow(2)]
    assert len(taken) == len(chats)
    before = [sum(g.at > gave[place].job.at for g in gave[:place]) for place in taken]
    assert max(before) <= 3  # what runs; not one of those that wait


def test_whoever_keeps_asking_shares_with_who_asked_for_much_before() -> None:
    """A caller that has one job at a time, always, gets every other slot and no more."""
    order = Order()
    batch = [order.start(flow(1), POOL, 100, 1, NOW) for _ in range(50)]
    got = []
    for _ in range(40):
        mine = order.start(flow(2), POOL, 100, 1, NOW)
        while batch and batch[0] < mine:
            order.given(batch.pop(0))
            got.append(1)
        order.given(mine)
        got.append(2)
    assert 19 <= got[:40].count(1) <= 21


def test_batch_goes_after_chats_until_it_is_so_much_older() -> None:
    order = Order()
    late = tag(order.start(flow(1, "batch"), POOL, 1, 1, NOW), "batch")
    assert late > tag(order.start(flow(2), POOL, 10, 1, NOW), "interactive")
    after = NOW + BATCH_YIELDS + SECOND
    assert late < tag(order.start(flow(3), POOL, 10, 1, after), "interactive")


def test_batch_is_not_starved_by_chats_without_end() -> None:
    """Its pool serves nobody for hours while others come anew all the time: after so long none of them goes before it."""
    order, first = Order(), moment(NOW)
    late = tag(order.start(flow(1, "batch"), POOL, 10, 1, NOW), "batch")
    ages = range(0, SLOWEST * int(BATCH_YIELDS / SECOND) + 1, 60)
    places = []
    for age in ages:
        order.told(0, [(POOL, first)], NOW + age * SECOND)
        places.append(order.start(flow(2 + age), POOL, 10, 1, NOW + age * SECOND))
    assert [place < late for place in places] == sorted((place < late for place in places), reverse=True)
    assert places[60] < late < places[-1]


def test_those_who_came_first_do_not_wait_for_all_who_ever_come_where_a_pool_has_fallen_behind() -> None:
    order = Order()
    order.given(moment(NOW) + 10**9)
    order.told(0, [(POOL, moment(NOW))], NOW)
    waits = [order.start(flow(1), POOL, 50, 1, NOW) for _ in range(2)]
    anew = [order.start(flow(n), POOL, 50, 1, NOW) for n in range(2, 200)]
    assert sum(start < waits[1] for start in anew) <= 50


def test_where_a_pool_has_fallen_behind_a_newcomer_starts_with_the_first_that_wait_there() -> None:
    order = Order()
    first = order.start(flow(1), OTHER, 100, 1, NOW)
    hindmost = [order.start(flow(1), OTHER, 100, 1, NOW) for _ in range(1000)][-1]
    order.given(hindmost + 10**9)  # of another pool, which is faster
    order.told(0, [(OTHER, first), (POOL, hindmost + 10**9)], NOW)
    assert order.start(flow(2), OTHER, 100, 1, NOW) == first
    assert order.start(flow(3), POOL, 100, 1, NOW) == hindmost + 10**9


def test_what_a_caller_has_waiting_anywhere_counts_in_every_pool() -> None:
    order = Order()
    for _ in range(10):
        order.start(flow(1), OTHER, 100, 1, NOW)
    assert order.start(flow(1), POOL, 100, 1, NOW) == moment(NOW) + 1000 * TOKEN
    assert order.start(flow(2), POOL, 100, 1, NOW) == moment(NOW)


def test_what_was_not_made_costs_nothing() -> None:
    order = Order()
    for _ in range(10):
        order.start(flow(1), POOL, 100, 2, NOW)
        order.withdraw(flow(1), POOL, 100)
    assert order.start(flow(1), POOL, 100, 2, NOW) == moment(NOW)


def test_who_asks_for_much_and_takes_little_has_the_share_of_who_asked_for_what_it_takes() -> None:
    """Two callers with one job at a time beside a third that has asked for much: each job makes 100 tokens."""
    order, takes, got = Order(), 100, {1: 0, 2: 0, 3: 0}
    asks = {1: 2000, 2: takes}
    queue = [(order.start(flow(3), POOL, takes, 1, NOW), 3) for _ in range(1000)]
    queue += [(order.start(flow(one), POOL, asks[one], 1, NOW), one) for one in asks]
    for _ in range(900):
        start, whose = min(queue)
        queue.remove((start, whose))
        order.given(start)
        got[whose] += 1
        if whose in asks:
            order.unused(flow(whose), POOL, asks[whose] - takes)
            queue.append((order.start(flow(whose), POOL, asks[whose], 1, NOW), whose))
    assert max(got.values()) - min(got.values()) <= 2


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 500), st.booleans()), max_size=40))
def test_what_comes_back_lets_nobody_go_before_what_the_same_flow_asked_for_earlier(
    jobs: list[tuple[int, int, bool]],
) -> None:
    order, last = Order(), 0
    for tokens, unused, ends in jobs:
        start = order.start(flow(1), POOL, tokens, 1, NOW)
        assert start >= last
        last = start
        if ends:
            order.unused(flow(1), POOL, min(tokens, unused))


def test_two_coordinators_agree_within_a_second() -> None:
    here, there = Order(), Order()
    for _ in range(10):
        start = here.start(flow(1), POOL, 100, 1, NOW)
    here.given(start)
    assert here.take_moved()
    assert not here.take_moved()
    there.start(flow(1), POOL, 100, 1, NOW)
    assert there.take_newest() == {flow(1)}
    there.asked(flow(1), start, 100)
    there.told(here.virtual, [], NOW)
    assert there.start(flow(1), POOL, 100, 1, NOW) == start + 100 * TOKEN
    assert there.start(flow(2), POOL, 100, 1, NOW) == start


def test_what_has_been_passed_is_forgotten() -> None:
    order = Order()
    for number in range(1000):
        order.start(flow(number), POOL, 100, 1, NOW)
    order.told(0, [], NOW + timedelta(days=1))
    assert (order._courses, order._ends, order._heads) == ({}, {}, {})


def test_the_clock_carries_virtual_time_and_places_outlive_a_start() -> None:
    assert Order().start(flow(1), POOL, 100, 1, NOW) == moment(NOW)
    again = Order()
    again.told(moment(NOW) + 5, [], NOW)
    assert again.start(flow(1), POOL, 100, 1, NOW) == moment(NOW) + 5
