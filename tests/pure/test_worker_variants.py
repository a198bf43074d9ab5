"""Which CPU variant of llama.cpp is loaded."""

import pytest

from worker.engine.variants import best


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ({"x64": 1, "haswell": 64, "sse42": 5}, "haswell"),
        ({"x64": 1, "haswell": 0}, "x64"),
        ({"icelake": 900, "sapphirerapids": 1000}, "icelake"),
        ({"haswell": 0}, None),
        ({}, None),
    ],
)
def test_the_best_that_can_run_and_never_amx(scores: dict[str, int], chosen: str | None) -> None:
    assert best(scores) == chosen
