"""Where a worker is: by cell, point or the owner's own database, and never by guessing across a border."""

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from shared.geo.cells import cell_of, format_cell
from tests.support_mmdb import database
from worker.where import Place, WhereError, own_address, place

ROME = (41.9, 12.5)
CELL = format_cell(cell_of(*ROME))
ADDRESS, ADDRESS6 = "193.204.0.7", "2a00:1620::7"


def located(latitude: float, longitude: float, radius: int | None) -> dict[str, Any]:
    location: dict[str, Any] = {"latitude": latitude, "longitude": longitude}
    return {"location": location if radius is None else {**location, "accuracy_radius": radius}}


def file_with(folder: Path, record: Any, **how: Any) -> Path:
    file = folder / "city.mmdb"
    file.write_bytes(database({"193.204.0.0/16": record, "2a00:1620::/32": record}, **how))
    return file


def test_a_cell_or_a_point_is_taken_as_it_is() -> None:
    assert place(CELL, None, None) == Place(CELL)
    assert place(None, *ROME) == Place(CELL)
    assert place(None, None, None) is None


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ((CELL, 1.0, 2.0, None, None), "either"),
        ((None, 1.0, None, None, None), "together"),
        ((CELL, None, None, Path("f"), None), "either"),
        ((CELL, None, None, None, ADDRESS), "--geoip FILE"),
        ((None, None, None, Path("no-such.mmdb"), ADDRESS), "there is no file"),
        ((None, None, None, Path("f"), "10.0.0.1"), "not a public address"),
        ((None, None, None, Path("f"), "kitchen"), "no IP address"),
    ],
)
def test_what_does_not_go_together_is_said(given_: tuple[Any, ...], says: str) -> None:
    with pytest.raises(WhereError, match=says):
        place(*given_)


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS6])
def test_an_address_is_looked_up_and_its_exactness_told(tmp_path: Path, address: str) -> None:
    exact = place(None, None, None, file_with(tmp_path, located(*ROME, 1)), address)
    assert exact == Place(CELL)
    near = place(None, None, None, file_with(tmp_path, located(48.7, 19.7, 20)), address)
    assert near is not None
    assert near.cell == format_cell(cell_of(48.7, 19.7))
    assert "within 20 km" in near.caution


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (located(*ROME, 101), "too vague"),
        (located(*ROME, None), "how exactly"),
        (located(46.15, 8.95, 40), "IT is as near"),
        ({"country": {"iso_code": "IT"}}, "does not know where"),
        (located(141.9, 12.5, 1), "damaged"),
        ({"location": "Rome"}, "damaged"),
    ],
)
def test_what_is_too_vague_or_across_a_border_is_refused(tmp_path: Path, record: Any, says: str) -> None:
    with pytest.raises(WhereError, match=says):
        place(None, None, None, file_with(tmp_path, record), ADDRESS)


def test_an_address_that_the_file_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(WhereError, match="does not know where"):
        place(None, None, None, file_with(tmp_path, located(*ROME, 1)), "8.8.8.8")


def test_another_kind_of_database_and_one_for_ipv4_alone(tmp_path: Path) -> None:
    with pytest.raises(WhereError, match="City database"):
        place(None, None, None, file_with(tmp_path, located(*ROME, 1), kind="GeoLite2-ASN"), ADDRESS)
    only4 = tmp_path / "only4.mmdb"
    only4.write_bytes(database({"193.204.0.0/16": located(*ROME, 1)}, version=4))
    assert place(None, None, None, only4, ADDRESS) == Place(CELL)
    with pytest.raises(WhereError, match="give another --ip"):
        place(None, None, None, only4, ADDRESS6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.integers(0, 4000), st.integers(0, 255), st.booleans())
def test_a_damaged_file_is_a_sentence(tmp_path: Path, at: int, byte: int, cut: bool) -> None:
    whole = bytearray(database({"193.204.0.0/16": located(*ROME, 1)}))
    at %= len(whole)
    whole[at] = byte
    file = tmp_path / "damaged.mmdb"
    file.write_bytes(whole[:at] if cut else whole)
    with contextlib.suppress(WhereError):
        assert place(None, None, None, file, ADDRESS) is not None


def test_the_machines_own_address_is_used_if_it_is_public() -> None:
    assert str(own_address(lambda _, family: ADDRESS if family is socket.AF_INET else None)) == ADDRESS
    assert str(own_address(lambda _, family: "192.168.1.7" if family is socket.AF_INET else ADDRESS6)) == ADDRESS6
    with pytest.raises(WhereError, match="--ip"):
        own_address(lambda _, family: "192.168.1.7" if family is socket.AF_INET else "fe80::1%eth0")
