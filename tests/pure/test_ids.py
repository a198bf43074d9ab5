"""Job ids carry their day; amounts are exact."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from shared.ids import MAX_STROOPS, chat_id, day_of, new_job_id, to_gns, to_stroops


@given(st.datetimes(datetime(1970, 1, 1), datetime(2149, 6, 6)), st.binary(min_size=16, max_size=16))  # noqa: DTZ001
def test_an_id_tells_its_day_and_is_a_version_8_uuid(moment: datetime, entropy: bytes) -> None:
    job_id = new_job_id(moment.replace(tzinfo=UTC), entropy)
    assert day_of(job_id) == moment.date()
    assert (job_id.version, job_id.variant) == (8, "specified in RFC 4122")


@given(st.binary(min_size=16, max_size=16), st.integers(0, 127))
def test_all_bits_but_the_day_version_and_variant_are_chance(entropy: bytes, bit: int) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    flipped = (int.from_bytes(entropy, "big") ^ (1 << (127 - bit))).to_bytes(16, "big")
    fixed = 32 <= bit < 52 or 64 <= bit < 66
    assert (new_job_id(moment, entropy) == new_job_id(moment, flipped)) == fixed


def test_the_day_is_the_day_in_utc() -> None:
    late = datetime(2026, 1, 2, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert day_of(new_job_id(late, bytes(16))) == date(2026, 1, 1)


def test_the_label_on_the_openai_face() -> None:
    assert (
        chat_id(new_job_id(datetime(2026, 1, 2, tzinfo=UTC), bytes.fromhex("a1b2c3d4") + bytes(12))) == "hive-a1b2c3d4"
    )


@pytest.mark.parametrize(
    ("gns", "stroops"),
    [(0, 0), (1, 10_000_000), ("0.0000001", 1), (0.1, 1_000_000), (Decimal("12.5"), 125_000_000), ("1e2", 10**9)],
)
def test_amounts_become_stroops(gns: Any, stroops: int) -> None:
    assert to_stroops(gns) == stroops


@pytest.mark.parametrize(
    "gns", ["-1", -0.5, "x", "", "NaN", "sNaN", "Infinity", "0.00000001", "1e400", "900719926", None]
)
def test_what_is_no_amount_is_an_error(gns: Any) -> None:
    with pytest.raises(ValueError, match="is not an amount of GNS"):
        to_stroops(gns)


@given(st.integers(0, MAX_STROOPS))
def test_amounts_go_there_and_back(stroops: int) -> None:
    assert to_stroops(to_gns(stroops)) == stroops
