"""Which models are in memory: all that fit, and who leaves for whom."""

from hypothesis import given, strategies as st

from worker.warmth import Held, Warmth, fitting, given_up


class Model:
    def __init__(self, need: int) -> None:
        self.need, self.warm, self.busy = need, True, False

    def park(self) -> None:
        assert not self.busy
        self.warm = False

    def wake(self) -> None:
        self.warm = True


def test_earlier_models_come_first_and_the_first_in_any_case() -> None:
    assert fitting([("a", 5), ("b", 6), ("c", 4)], 10) == ["a", "c"]
    assert fitting([("a", 50), ("b", 6)], 10) == ["a"]
    assert fitting([], 10) == []


def test_what_was_not_used_for_longest_leaves_first_and_no_more_than_needed() -> None:
    models = {"new": Held(4, False, False, 0), "old": Held(3, True, False, 1), "older": Held(3, True, False, 0)}
    assert given_up("new", models, 8) == ["older"]
    assert given_up("new", models, 5) == ["older", "old"]
    assert given_up("new", models, 10) == []


def test_a_busy_model_never_leaves() -> None:
    models = {"new": Held(4, False, False, 0), "old": Held(5, True, True, 1)}
    assert given_up("new", models, 8) is None


def test_a_model_that_fits_nowhere_alone_is_tried_alone() -> None:
    models = {"new": Held(40, False, False, 0), "old": Held(5, True, False, 1)}
    assert given_up("new", models, 8) == ["old"]


def test_a_model_that_a_job_was_accepted_for_stays_although_its_engine_does_not_know_yet() -> None:
    """Two offers in one moment: the second one would send the first one's model away, and then both were loaded."""
    models, taken = {"a": Model(5), "b": Model(5)}, set[str]()
    warmth = Warmth(models, lambda: 8, lambda: taken)
    warmth.begin()
    assert warmth.use("b")
    taken.add("b")
    assert not warmth.use("a")
    assert (models["a"].warm, models["b"].warm) == (False, True)
    taken.clear()
    assert warmth.use("a")


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.lists(st.tuples(st.integers(0, 5), st.booleans())))
def test_memory_is_kept_to_whatever_is_used(needs: list[int], uses: list[tuple[int, bool]]) -> None:
    models = {str(i): Model(need) for i, need in enumerate(needs)}
    warmth = Warmth(models, lambda: 8)
    warmth.begin()
    for which, busy in uses:
        name = str(which % len(needs))
        taken = warmth.use(name)
        assert models[name].warm or not taken
        models[name].busy = busy and models[name].warm
        assert sum(model.need for model in models.values() if model.warm) <= 8
