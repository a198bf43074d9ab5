"""The CPU variant that is chosen runs here."""

from worker.engine.variants import best


def test_the_highest_score_wins() -> None:
    assert best({"x64": 1, "haswell": 64, "zen4": 1984, "alderlake": 0}) == "zen4"


def test_amx_is_left_out_whatever_it_scores() -> None:
    assert best({"sapphirerapids": 4032, "icelake": 1472}) == "icelake"


def test_nothing_fits_nothing() -> None:
    assert best({"haswell": 0}) is None
    assert best({}) is None
