"""How long the swarm's numbers are shown before they are read again."""

import pytest

from coordinator.api.swarm import fresh_until


@pytest.mark.parametrize(("took", "shown"), [(0.0, 1.0), (0.04, 1.0), (0.1, 2.0), (0.2, 4.0), (3.0, 5.0)])
def test_what_takes_long_to_read_is_read_less_often(took: float, shown: float) -> None:
    assert fresh_until(100.0, 100.0 + took) == pytest.approx(100.0 + took + shown)
