"""Who gets which job: free slots, the score, and workers that lost the job before."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import UUID, uuid4

import msgspec
from hypothesis import given, strategies as st

from coordinator.match import free as frees
from coordinator.match.assign import LOOKED, MORE, MOST, Asked, Pairing, asks, assign
from coordinator.match.free import Free
from coordinator.match.roster import Fits
from coordinator.match.score import LEAST, Bench, Fit, saves, score
from coordinator.store.rows import Ask, Claimed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEAR = Fit(0, loaded=True)


def job(age_ms: int = 0, avoid: tuple[str, ...] = (), kind_id: int = 1) -> Claimed:
    made = NOW - timedelta(milliseconds=age_ms)
    return Claimed(
        id=uuid4(), attempt=0, kind_id=kind_id, account_id=UUID(int=1), request=b"", seed="1", salt="00" * 32, hold=1,
        reward=None, tokens_in=1, max_tokens=1, avoid=list(avoid), lost=len(avoid), since=made,
        deadline_at=made + timedelta(hours=1), attached=False,
    )  # fmt: skip


def fits_of(fits: dict[int, dict[str, Fit]]) -> Callable[[int], Fits]:
    made = {kind_id: Fits() for kind_id in fits}
    for kind_id, workers in fits.items():
        for pk, fit in workers.items():
            made[kind_id].put(pk, fit)
    return made.__getitem__


def free_of(benches: dict[str, Bench]) -> Free:
    free = Free()
    for pk, bench in benches.items():
        free.put(pk, bench, ["m"])
    return free


def paired(
    jobs: list[Claimed], fits: dict[int, dict[str, Fit]], benches: dict[str, Bench], begun: Collection[UUID] = ()
) -> list[Pairing]:
    return assign(jobs, fits_of(fits), free_of(benches), NOW, begun)


def given_to(jobs: list[Claimed], fits: dict[str, Fit], benches: dict[str, Bench]) -> list[str | None]:
    pairs = {pair.job.id: pair.worker_pk for pair in paired(jobs, {1: fits}, benches)}
    return [pairs.get(one.id) for one in jobs]


def asked_of(fits: dict[int, dict[str, Fit]], benches: dict[str, Bench], spare: dict[int, int] | None = None) -> Asked:
    return asks(lambda models: iter(fits if "m" in models else ()), fits_of(fits), free_of(benches), spare or {})


def test_jobs_go_out_in_their_order_and_no_worker_gets_more_than_its_slots() -> None:
    benches = {"a": Bench(2, 1, 0), "b": Bench(1, 0, 0)}
    assert given_to([job(), job(), job()], {"a": NEAR, "b": NEAR}, benches) == ["b", "a", None]


def test_a_nearer_worker_goes_before_a_warm_one_that_only_widening_reaches() -> None:
    fits = {"wide": Fit(1000, loaded=True), "there": Fit(0, loaded=False)}
    benches = {"wide": Bench(1, 0, 0), "there": Bench(1, 0, 0)}
    assert given_to([job(5000), job(5000)], fits, benches) == ["there", "wide"]


def test_a_job_waits_until_its_search_has_widened() -> None:
    fits, benches = {"a": Fit(1000, loaded=True)}, {"a": Bench(1, 0, 0)}
    assert given_to([job(999)], fits, benches) == [None]
    assert given_to([job(1000)], fits, benches) == ["a"]


def test_who_lost_a_job_gets_it_again_only_while_nobody_else_may() -> None:
    benches = {"a": Bench(1, 0, 0), "b": Bench(1, 1, 0)}
    assert given_to([job(avoid=("a",))], {"a": NEAR, "b": NEAR}, benches) == [None]
    assert given_to([job(avoid=("a",))], {"a": NEAR}, benches) == ["a"]


def test_a_callers_own_slots_are_for_its_own_jobs_first() -> None:
    own = Fit(0, loaded=True, own=True)
    others, mine = job(kind_id=1), job(kind_id=2)
    fits = {1: {"mine": NEAR}, 2: {"mine": own, "theirs": NEAR}}
    benches = {"mine": Bench(1, 0, 0), "theirs": Bench(1, 0, 0)}
    assert paired([others, mine], fits, benches) == [Pairing(mine, "mine")]
    more = job(kind_id=2)
    pairs = paired([others, mine, more], fits, benches)
    assert pairs == [Pairing(mine, "mine"), Pairing(more, "theirs")]


def test_nobody_weak_goes_on_from_the_tokens_of_another() -> None:
    weak, seeded = Fit(0, loaded=True, weak=True), Fit(0, loaded=False)
    begun = job(avoid=("b",))
    benches = {"a": Bench(1, 0, 0), "b": Bench(1, 0, 0)}
    fits = {1: {"a": weak, "b": seeded}}
    assert paired([begun], fits, benches) == [Pairing(begun, "a")]
    assert paired([begun], fits, benches, {begun.id}) == [Pairing(begun, "b")]
    assert paired([begun], {1: {"a": weak}}, benches, {begun.id}) == []


def test_the_score_prefers_own_then_warm_then_fast_by_load_record_and_cache_then_long_idle() -> None:
    idle = Bench(2, 0, 5)
    order = [
        score(Fit(0, loaded=False, own=True), Bench(2, 1, 0), "a"),
        score(Fit(0, loaded=True, pace=15), idle, "a", 4),
        score(Fit(0, loaded=True, pace=16), Bench(2, 1, 0), "a", 3),
        score(Fit(0, loaded=True, pace=16), idle, "a"),
        score(Fit(0, loaded=True, pace=16, record=1), Bench(2, 0, 1), "a"),
        score(Fit(0, loaded=True, pace=15), Bench(2, 0, 2), "a"),
        score(Fit(0, loaded=True, pace=15), idle, "a"),
        score(Fit(0, loaded=True, pace=15), idle, "b"),
        score(Fit(0, loaded=True, pace=16), Bench(2, 1, 0), "a"),
        score(Fit(0, loaded=True, pace=16, record=3), idle, "a"),
        score(Fit(0, loaded=False, loading=True, pace=9), idle, "a"),
        score(Fit(0, loaded=False, pace=9), idle, "a"),
        score(Fit(0, loaded=False), idle, "a", 99),
        score(Fit(1000, loaded=True), idle, "a"),
    ]
    assert order == sorted(order)


def test_what_was_read_before_counts_by_what_is_left_to_do() -> None:
    assert [saves(2000, cached) for cached in (0, LEAST - 1, LEAST, 1000, 1900, 2000)] == [0, 0, 1, 1, 3, 3]
    assert saves(200, 150) == 1
    assert saves(30_000, 29_000) > saves(30_000, 15_000) > saves(30_000, 1000) == 1
    assert saves(100, 500) == saves(100, 100), "counted otherwise elsewhere"


def test_a_conversation_goes_where_it_was_read_but_waits_for_nobody() -> None:
    fast, slow, slowest = (Fit(0, loaded=True, pace=pace) for pace in (16, 15, 10))
    turn, other = (msgspec.structs.replace(job(), tokens_in=2000) for _ in range(2))
    fits = {1: {"fast": fast, "slow": slow, "slowest": slowest}}
    idle = {"fast": Bench(1, 0, 0), "slow": Bench(1, 0, 0)}

    def given_away(benches: dict[str, Bench], *cached: tuple[Claimed, dict[str, int]]) -> list[str]:
        told = {one.id: tokens for one, tokens in cached}
        pairs = assign([turn, other], fits_of(fits), free_of(benches), NOW, cached=told)
        assert [pair.job for pair in pairs] == [turn, other][: len(pairs)], "in their order"
        return [pair.worker_pk for pair in pairs]

    assert given_away(idle) == ["fast", "slow"]
    assert given_away(idle, (turn, {"slow": 1900})) == ["slow", "fast"]
    assert given_away(idle, (turn, {"slow": 100})) == ["fast", "slow"], "half as fast for next to nothing"
    assert given_away(idle, (turn, {"slow": 1900, "fast": 1900})) == ["fast", "slow"]
    assert given_away(idle, (other, {"fast": 1900})) == ["fast", "slow"]
    assert given_away(idle | {"slow": Bench(1, 1, 0)}, (turn, {"slow": 1900, "gone": 1900})) == ["fast"]
    assert given_away(idle | {"slowest": Bench(1, 0, 0)}, (turn, {"slowest": 2000})) == ["fast", "slow"]


def test_no_rule_gives_way_to_what_was_read() -> None:
    later, weak, free = Fit(1000, loaded=True), Fit(0, loaded=True, weak=True), Fit(0, loaded=False)
    benches = {"later": Bench(1, 0, 0), "weak": Bench(1, 0, 0), "free": Bench(1, 0, 0), "lost": Bench(1, 0, 0)}
    fits = {1: {"later": later, "weak": weak, "free": free, "lost": NEAR}}
    begun = job(avoid=("lost",))
    cached = {begun.id: dict.fromkeys(("later", "weak", "lost", "nobody"), 9999)}
    pairs = assign([begun], fits_of(fits), free_of(benches), NOW, {begun.id}, cached)
    assert pairs == [Pairing(begun, "free")]
    own = {1: {"mine": Fit(0, loaded=True, own=True), "read": NEAR}}
    mine, both = job(), {"mine": Bench(1, 0, 0), "read": Bench(1, 0, 0)}
    assert assign([mine], fits_of(own), free_of(both), NOW, cached={mine.id: {"read": 9999}}) == [Pairing(mine, "mine")]


def test_load_is_weighed_with_speed_whoever_stands_where() -> None:
    fits = {
        "fast": Fit(0, loaded=True, pace=16),
        "half": Fit(0, loaded=True, pace=15),
        "slow": Fit(0, loaded=True, pace=12),
    }
    benches = {"fast": Bench(8, 0, 0), "half": Bench(8, 0, 0), "slow": Bench(8, 0, 0)}
    given_ = given_to([job() for _ in range(12)], fits, benches)
    assert given_[:4] == ["fast"] * 4
    assert {pk: given_.count(pk) for pk in fits} == {"fast": 8, "half": 4, "slow": 0}


def test_what_is_asked_for_fits_the_free_slots_and_their_ages() -> None:
    fits = {
        1: {"a": NEAR, "b": Fit(1000, loaded=True)},
        2: {"b": Fit(1000, loaded=True)},
        3: {"c": NEAR},
        4: {},
    }
    benches = {"a": Bench(3, 1, 0), "b": Bench(20, 0, 0), "c": Bench(1, 1, 0)}
    assert asked_of(fits, benches).asks == [Ask(kind_id=1, limit=11), Ask(kind_id=2, limit=11, min_age_ms=1000)]
    assert asked_of({1: {"a": NEAR}}, benches, {1: 5}).asks == [Ask(kind_id=1, limit=7)]
    assert asked_of({1: {"b": NEAR}}, {"b": Bench(100, 0, 0)}).asks == [Ask(kind_id=1, limit=MOST)]


def test_kinds_for_the_same_slots_are_not_all_claimed_from_and_leave_others_their_turn() -> None:
    """A few more than there are slots, for some may have nothing."""
    fits = {n: {"a": NEAR} for n in range(100)} | {100: {"b": NEAR}}
    benches = {"a": Bench(2, 0, 0), "b": Bench(1, 0, 0)}
    assert [ask.kind_id for ask in asked_of(fits, benches).asks] == [0, 1, 100, *range(2, 2 + MORE)]


def test_kinds_that_nobody_free_can_do_are_passed_over_and_told_of_when_they_hide_others() -> None:
    none: dict[int, dict[str, Fit]] = {n: {} for n in range(LOOKED)}
    benches = {"a": Bench(1, 0, 0)}
    few = {n: none[n] for n in range(9)} | {LOOKED: {"a": NEAR}}
    assert asked_of(few, benches) == Asked([Ask(kind_id=LOOKED, limit=1)], list(range(9)), full=False)
    assert asked_of(none | {LOOKED: {"a": NEAR}}, benches) == Asked([], list(none), full=True)


benches_ = st.dictionaries(
    st.sampled_from("abcdef"), st.builds(Bench, st.integers(1, 3), st.integers(0, 3), st.just(0))
)
jobs_ = st.lists(st.tuples(st.integers(0, 3000), st.sets(st.sampled_from("abcdef"))), max_size=12)


@given(benches_, jobs_, st.data())
def test_every_assignment_keeps_the_rules_and_no_slot_stays_free_without_reason(
    benches: dict[str, Bench], asked: list[tuple[int, set[str]]], data: st.DataObject
) -> None:
    fits = {pk: Fit(data.draw(st.sampled_from([0, 1000, 2000])), loaded=True) for pk in benches}
    jobs = [job(age, tuple(sorted(avoid))) for age, avoid in asked]
    pairs = paired(jobs, {1: fits}, benches)
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


def plainly(
    claimed: list[Claimed], fits: dict[int, dict[str, Fit]], benches: dict[str, Bench], begun: Collection[UUID]
) -> list[Pairing]:
    """What `assign` promises, over all workers and without any index."""
    taken, pairs = dict(benches), dict[UUID, Pairing]()
    for own in (True, False):
        for one in claimed:
            workers = {pk: fit for pk, fit in fits[one.kind_id].items() if one.id not in begun or not fit.weak}
            others = workers.keys() - one.avoid
            age_ms = (NOW - one.since) // timedelta(milliseconds=1)
            candidates = [
                score(fit, taken[pk], pk)
                for pk, fit in workers.items()
                if fit.after_ms <= age_ms and taken[pk].taken < taken[pk].slots and (pk in others or not others)
                if fit.own or not own
            ]
            if candidates and one.id not in pairs:
                pk = min(candidates)[-1]
                taken[pk] = Bench(taken[pk].slots, taken[pk].taken + 1, taken[pk].last_ms)
                pairs[one.id] = Pairing(one, pk)
    return list(pairs.values())


workers_ = st.sampled_from("abcdefgh")
fit_ = st.builds(
    Fit, st.sampled_from([0, 1000]), st.booleans(), st.integers(0, 1), st.booleans(), st.booleans(), st.booleans(),
    st.integers(0, 1),
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {pk: st.builds(Bench, st.integers(1, 3), st.integers(0, 3), st.integers(0, 2)) for pk in "abcdefgh"}
    ),
    st.fixed_dictionaries({kind_id: st.dictionaries(workers_, fit_) for kind_id in (1, 2, 3)}),
    st.lists(st.tuples(st.integers(0, 2000), st.sets(workers_), st.integers(1, 3), st.booleans()), max_size=12),
    st.sampled_from([0, frees.FEW]),
)
def test_the_index_of_free_workers_decides_as_all_of_them_would(
    benches: dict[str, Bench],
    fits: dict[int, dict[str, Fit]],
    asked: list[tuple[int, set[str], int, bool]],
    few: int,
) -> None:
    jobs = [job(age, tuple(sorted(avoid)), kind_id) for age, avoid, kind_id, _ in asked]
    begun = {one.id for one, (*_, begun) in zip(jobs, asked, strict=True) if begun}
    with patch.object(frees, "FEW", few):
        assert paired(jobs, fits, benches, begun) == plainly(jobs, fits, benches, begun)
