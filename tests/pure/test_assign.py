"""Who gets which job: free slots, the score, and workers that lost the job before."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given, strategies as st

from coordinator.match.assign import Pairing, asks, assign
from coordinator.match.score import Bench, Fit, score
from coordinator.store.rows import Ask, Claimed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEAR = Fit(0, loaded=True, rings=0)


def job(age_ms: int = 0, avoid: tuple[str, ...] = (), kind_id: int = 1) -> Claimed:
    made = NOW - timedelta(milliseconds=age_ms)
    return Claimed(
        id=uuid4(), attempt=0, kind_id=kind_id, account_id=UUID(int=1), request=b"", seed="1", salt="00" * 32, hold=1,
        reward=None, tokens_in=1, max_tokens=1, avoid=list(avoid), lost=len(avoid), since=made,
        deadline_at=made + timedelta(hours=1), attached=False,
    )  # fmt: skip


def given_to(jobs: list[Claimed], fits: dict[str, Fit], benches: dict[str, Bench]) -> list[str | None]:
    pairs = {pair.job.id: pair.worker_pk for pair in assign(jobs, {1: fits}, benches, NOW)}
    return [pairs.get(one.id) for one in jobs]


def test_jobs_go_out_in_their_order_and_no_worker_gets_more_than_its_slots() -> None:
    benches = {"a": Bench(2, 1, 0), "b": Bench(1, 0, 0)}
    assert given_to([job(), job(), job()], {"a": NEAR, "b": NEAR}, benches) == ["b", "a", None]


def test_a_nearer_worker_goes_before_a_warm_one_that_only_widening_reaches() -> None:
    fits = {"wide": Fit(1000, loaded=True, rings=0), "there": Fit(0, loaded=False, rings=9)}
    benches = {"wide": Bench(1, 0, 0), "there": Bench(1, 0, 0)}
    assert given_to([job(5000), job(5000)], fits, benches) == ["there", "wide"]


def test_a_job_waits_until_its_search_has_widened() -> None:
    fits, benches = {"a": Fit(1000, loaded=True, rings=0)}, {"a": Bench(1, 0, 0)}
    assert given_to([job(999)], fits, benches) == [None]
    assert given_to([job(1000)], fits, benches) == ["a"]


def test_who_lost_a_job_gets_it_again_only_while_nobody_else_may() -> None:
    benches = {"a": Bench(1, 0, 0), "b": Bench(1, 1, 0)}
    assert given_to([job(avoid=("a",))], {"a": NEAR, "b": NEAR}, benches) == [None]
    assert given_to([job(avoid=("a",))], {"a": NEAR}, benches) == ["a"]


def test_a_callers_own_slots_are_for_its_own_jobs_first() -> None:
    own = Fit(0, loaded=True, rings=0, own=True)
    others, mine = job(kind_id=1), job(kind_id=2)
    fits = {1: {"mine": NEAR}, 2: {"mine": own, "theirs": NEAR}}
    benches = {"mine": Bench(1, 0, 0), "theirs": Bench(1, 0, 0)}
    assert assign([others, mine], fits, benches, NOW) == [Pairing(mine, "mine")]
    more = job(kind_id=2)
    pairs = assign([others, mine, more], fits, benches, NOW)
    assert pairs == [Pairing(mine, "mine"), Pairing(more, "theirs")]


def test_nobody_weak_goes_on_from_the_tokens_of_another() -> None:
    weak, seeded = Fit(0, loaded=True, rings=0, weak=True), Fit(0, loaded=False, rings=5)
    begun = job(avoid=("b",))
    benches = {"a": Bench(1, 0, 0), "b": Bench(1, 0, 0)}
    fits = {1: {"a": weak, "b": seeded}}
    assert assign([begun], fits, benches, NOW) == [Pairing(begun, "a")]
    assert assign([begun], fits, benches, NOW, {begun.id}) == [Pairing(begun, "b")]
    assert assign([begun], {1: {"a": weak}}, benches, NOW, {begun.id}) == []


def test_the_score_prefers_own_then_warm_then_near_then_fast_then_idle_then_long_idle() -> None:
    idle = Bench(2, 0, 5)
    order = [
        score(Fit(0, loaded=False, rings=9, own=True), Bench(2, 1, 0), "a"),
        score(Fit(0, loaded=True, rings=1), idle, "a"),
        score(Fit(0, loaded=True, rings=2, pace=16), Bench(2, 1, 0), "a"),
        score(Fit(0, loaded=True, rings=2), Bench(2, 0, 1), "a"),
        score(Fit(0, loaded=True, rings=2), idle, "a"),
        score(Fit(0, loaded=True, rings=2), idle, "b"),
        score(Fit(0, loaded=True, rings=2), Bench(2, 1, 0), "a"),
        score(Fit(0, loaded=False, rings=0, loading=True), idle, "a"),
        score(Fit(0, loaded=False, rings=0), idle, "a"),
        score(Fit(1000, loaded=True, rings=0), idle, "a"),
    ]
    assert order == sorted(order)


def test_what_is_asked_for_fits_the_free_slots_and_their_ages() -> None:
    fits = {
        1: {"a": NEAR, "b": Fit(1000, loaded=True, rings=0)},
        2: {"b": Fit(1000, loaded=True, rings=0)},
        3: {"c": NEAR},
        4: {},
    }
    benches = {"a": Bench(3, 1, 0), "b": Bench(100, 0, 0), "c": Bench(1, 1, 0)}
    assert asks(fits, benches, most=64, spare={}) == [
        Ask(kind_id=1, limit=64), Ask(kind_id=2, limit=64, min_age_ms=1000)
    ]  # fmt: skip
    assert asks({1: {"a": NEAR}}, benches, most=64, spare={1: 5}) == [Ask(kind_id=1, limit=7)]


benches_ = st.dictionaries(
    st.sampled_from("abcdef"), st.builds(Bench, st.integers(1, 3), st.integers(0, 3), st.just(0))
)
jobs_ = st.lists(st.tuples(st.integers(0, 3000), st.sets(st.sampled_from("abcdef"))), max_size=12)


@given(benches_, jobs_, st.data())
def test_every_assignment_keeps_the_rules_and_no_slot_stays_free_without_reason(
    benches: dict[str, Bench], asked: list[tuple[int, set[str]]], data: st.DataObject
) -> None:
    fits = {pk: Fit(data.draw(st.sampled_from([0, 1000, 2000])), loaded=True, rings=0) for pk in benches}
    jobs = [job(age, tuple(sorted(avoid))) for age, avoid in asked]
    pairs = assign(jobs, {1: fits}, benches, NOW)
    taken = {pk: bench.taken for pk, bench in benches.items()}
    for pair in pairs:
        taken[pair.worker_pk] += 1
        assert fits[pair.worker_pk].after_ms <= (NOW - pair.job.since) / timedelta(milliseconds=1)
        assert pair.worker_pk not in pair.job.avoid or set(fits) <= set(pair.job.avoid)
    assert all(taken[pk] <= max(bench.slots, bench.taken) for pk, bench in benches.items())
    left = {one.id for one in jobs} - {pair.job.id for pair in pairs}
    free = [pk for pk, bench in benches.items() if taken[pk] < bench.slots]
    for one in jobs:
        if one.id in left:
            age = (NOW - one.since) / timedelta(milliseconds=1)
            assert not [
                pk for pk in free if fits[pk].after_ms <= age and (pk not in one.avoid or set(fits) <= set(one.avoid))
            ]
