"""Lengths of time as people write them."""

from datetime import timedelta

import pytest

from shared.durations import duration_of


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("90s", timedelta(seconds=90)),
        (" 30 M ", timedelta(minutes=30)),
        ("24h", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta()),
        ("", None),
        ("12", None),
        ("-1h", None),
        ("1.5h", None),
        ("12345s", None),
        ("٣h", None),
    ],
)
def test_a_length_of_time_is_read(written: str, found: timedelta | None) -> None:
    assert duration_of(written) == found
