"""Where claims begin: past what was found already, never past a job that waits."""

from uuid import UUID

from hypothesis import given, strategies as st

from coordinator.queue.floors import MOST, Floors
from coordinator.queue.order import LOWEST
from coordinator.store.rows import Ask, Claimed
from tests.pure.test_assign import job as claimed

KIND = Ask(kind_id=1, limit=8)


def at(tag: int, kind_id: int = 1) -> Claimed:
    made = claimed(kind_id=kind_id)
    return Claimed(**{name: getattr(made, name) for name in made.__struct_fields__} | {"tag": tag})


def floor_of(floors: Floors, kind_id: int = 1) -> int:
    (ask,) = floors.over([Ask(kind_id=kind_id, limit=8)])
    return ask.floor


def test_a_claim_begins_where_the_last_one_left_off() -> None:
    floors, found = Floors(), [at(tag) for tag in (10, 20, 30)]
    assert floor_of(floors) == LOWEST
    floors.claimed([KIND], found, {one.id for one in found})
    assert floor_of(floors) == 30
    assert floor_of(floors, 2) == LOWEST


def test_what_was_let_go_is_found_again() -> None:
    floors, found = Floors(), [at(tag) for tag in (10, 20, 30)]
    floors.claimed([KIND], found, {found[0].id, found[2].id})
    assert floor_of(floors) == 20


def test_what_was_passed_over_as_too_young_is_found_again() -> None:
    floors, found = Floors(), [at(10)]
    floors.claimed([Ask(kind_id=1, limit=8, min_age_ms=500)], found, {found[0].id})
    assert floor_of(floors) == LOWEST


def test_a_job_that_is_put_in_during_a_claim_or_a_look_is_found() -> None:
    floors, found = Floors(), [at(30)]
    floors.over([KIND])
    floors.put(1, 15)
    floors.claimed([KIND], found, {found[0].id})
    assert floor_of(floors) == 15
    floors.began()
    floors.put(1, 12)
    floors.seen({1: 40})
    assert floor_of(floors) == 12


def test_a_look_sets_all_right() -> None:
    floors, found = Floors(), [at(30)]
    floors.claimed([KIND], found, {found[0].id})
    floors.began()
    floors.seen({1: 7})
    assert floor_of(floors) == 7
    floors.began()
    floors.seen({})
    assert floor_of(floors) == 7


def test_jobs_that_came_back_are_looked_for_as_far_as_the_last_look_saw() -> None:
    floors, found = Floors(), [at(30)]
    floors.seen({1: 5})
    floors.claimed([KIND], found, {found[0].id})
    floors.again([1, 2])
    assert (floor_of(floors), floor_of(floors, 2)) == (5, LOWEST)


def test_no_more_floors_are_kept_than_there_is_room_for() -> None:
    floors = Floors()
    for kind_id in range(MOST + 2):
        floors.claimed([], [at(9, kind_id)], set())
    floors.seen({3: 9})
    assert (floor_of(floors, 3), floor_of(floors, 4)) == (9, LOWEST)


def waiting(floors: Floors, many: int) -> Floors:
    for kind_id in range(many):
        floors.waits(kind_id, f"m{kind_id % 3}")
    return floors


def in_line(floors: Floors, *models: str) -> list[int]:
    return list(floors.line.in_order(models or ("m0", "m1", "m2")))


def test_the_kinds_whose_first_jobs_stand_foremost_are_first_whatever_their_model() -> None:
    floors = waiting(Floors(), 9)
    floors.seen({n: 100 - n for n in range(9)})
    assert in_line(floors) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert in_line(floors, "m1", "none") == [7, 4, 1]
    floors.put(2, 5)
    assert in_line(floors)[:2] == [2, 8]


def test_what_is_asked_is_out_of_the_line_until_it_waits_again() -> None:
    floors = waiting(Floors(), 3)
    floors.over([Ask(kind_id=1, limit=1)])
    assert in_line(floors) == [0, 2]
    floors.waits(1, "m1")
    assert in_line(floors) == [0, 1, 2]


def test_kinds_that_gave_nothing_are_not_in_the_way_of_others() -> None:
    """Each is asked once; when all were, there is nothing more to ask for until something happens."""
    floors = waiting(Floors(), 6)
    for asked, left in (((0, 1), True), ((2, 3), True), ((4, 5), False)):
        assert tuple(in_line(floors)[:2]) == asked
        asks = floors.over([Ask(kind_id=n, limit=1) for n in asked])
        floors.claimed(asks, [at(1, ask.kind_id) for ask in asks], set())
        for n in asked:
            floors.waits(n, f"m{n % 3}")
        assert floors.more(["m0", "m1", "m2"], asked) is left
    assert in_line(floors) == [0, 1, 2, 3, 4, 5]
    floors.put(4, 7)
    assert in_line(floors)[0] == 4
    assert floors.more(["m0", "m1", "m2"], ())
    assert not floors.more(["m0", "m2"], ())


@given(
    st.lists(
        st.tuples(st.sampled_from(["waits", "put", "take", "vain", "seen"]), st.integers(0, 9), st.integers(0, 50)),
        max_size=40,
    )
)
def test_the_line_is_what_sorting_all_that_waits_would_give(steps: list[tuple[str, int, int]]) -> None:
    floors, waits = Floors(), set[int]()
    for step, kind_id, tag in steps:
        if step == "waits":
            floors.waits(kind_id, f"m{kind_id % 3}")
            waits.add(kind_id)
        elif step == "put":
            floors.put(kind_id, tag)
        elif step == "vain":
            floors.vain([kind_id])
        elif step == "seen":
            floors.seen({kind_id: tag, kind_id + 1: tag + 1})
        else:
            floors.line.take([kind_id])
            waits.discard(kind_id)
        for models in (["m0"], ["m1", "m2"], ["m0", "m1", "m2"]):
            of_models = [kind_id for kind_id in waits if f"m{kind_id % 3}" in models]
            assert in_line(floors, *models) == sorted(of_models, key=lambda one: (floors._place(one), one))
        assert floors.line.kind_ids == waits


STEPS = st.lists(
    st.one_of(st.tuples(st.just("put"), st.integers(0, 50)), st.tuples(st.just("claim"), st.integers(1, 4)))
)


@given(STEPS, STEPS)
def test_one_coordinator_alone_never_passes_over_a_job(
    before: list[tuple[str, int]], during: list[tuple[str, int]]
) -> None:
    """Whatever is put in and claimed, also while a claim is on its way: the floor is never above the first that waits."""
    floors, waiting = Floors(), {UUID(int=n): tag for n, tag in enumerate((4, 9, 9))}
    for step, number in [*before, ("claim", 2), *during]:
        if step == "put":
            waiting[UUID(int=1000 + len(waiting) + number)] = number
            floors.put(1, number)
            continue
        floor = floor_of(floors)
        first = sorted((tag, id_) for id_, tag in waiting.items() if tag >= floor)[:number]
        assert not waiting or [tag for tag, _ in first][:1] == [min(waiting.values())]
        for step_, number_ in during:
            if step_ == "put":
                waiting[UUID(int=2000 + len(waiting) + number_)] = number_
                floors.put(1, number_)
        rows = []
        for tag, _ in first:
            rows.append(at(tag))
        given_ = {row.id for row in rows[::2]}
        for row, (_, id_) in zip(rows, first, strict=True):
            if row.id in given_:
                del waiting[id_]
        floors.claimed([KIND], rows, given_)
