"""The CPU variant that is chosen runs here."""

from worker.engine.variants import best


def test_the_highest_score_wins() -> None:
    assert best({"x64": 1, "haswell": 64, "zen4": 1984, "alderlake": 0}) == "zen4"


def test_amx_is_left_out_whatever_it_scores() -> None:
    assert best({"sapphirerapids": 4032, "icelake": 1472}) == "icelake"


def test_narrow_heads_are_not_given_to_registers_that_they_do_not_fill() -> None:
    assert best({"x64": 1, "haswell": 64, "icelake": 1472, "zen4": 1984}, narrow=True) == "haswell"


def test_nothing_fits_nothing() -> None:
    assert best({"haswell": 0}) is None
    assert best({}) is None
