"""Reading and relating H3 cells."""

from contextlib import nullcontext

import h3.api.basic_int as h3
import pytest
from h3 import H3FailedError
from hypothesis import given, strategies as st

from shared.geo.cells import (
    InvalidCell,
    at,
    cell_of,
    centre,
    format_cell,
    is_in,
    parents,
    parse_cell,
    public_cell,
    resolution,
    ring_distance,
)

POINTS = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
ROME, OSTIA, BERLIN, NEW_YORK = cell_of(41.9, 12.5), cell_of(41.73, 12.28), cell_of(52.52, 13.405), cell_of(40.7, -74.0)


@given(POINTS, st.integers(0, 15))
def test_any_resolution_is_read_and_none_finer_than_7_is_kept(point: tuple[float, float], res: int) -> None:
    named = h3.latlng_to_cell(*point, res)
    cell = parse_cell(format_cell(named))
    assert resolution(cell) == min(res, 7)
    assert cell == at(named, 7)
    assert parse_cell(format_cell(cell).upper()) == cell


@given(st.one_of(st.text(), st.text("0123456789abcdefABCDEF", min_size=15, max_size=16)))
def test_text_is_a_cell_or_refused(text: str) -> None:
    try:
        known = h3.is_valid_cell(int(text, 16)) and text.strip().isalnum() and len(text.strip()) in (15, 16)
    except (ValueError, OverflowError):  # not a number, or one beyond 64 bits
        known = False
    with nullcontext() if known else pytest.raises(InvalidCell, match="not an H3 cell"):
        assert h3.is_valid_cell(parse_cell(text))


@pytest.mark.parametrize(
    "text", ["", "Rome", "8", "861e8050ffffff", "861e8050fffffffff", "861e8050fffffzz", "-61e8050fffffff",
                                  "1_61e8050ffffff", "٨61e8050fffffff", "161e8050fffffff"],
)  # fmt: skip
def test_malformed_cells_are_refused(text: str) -> None:
    with pytest.raises(InvalidCell):
        parse_cell(text)


@given(POINTS, st.integers(0, 7))
def test_a_cell_is_in_its_ancestors_and_in_no_other(point: tuple[float, float], res: int) -> None:
    cell = cell_of(*point)
    area = at(cell, res)
    assert is_in(cell, area)
    assert is_in(area, cell) is (area == cell)
    assert not any(is_in(cell, other) for other in h3.grid_ring(area, 1))


def test_parents_are_7_6_and_5_and_coarse_cells_stay() -> None:
    assert parents(ROME) == (ROME, at(ROME, 6), at(ROME, 5))
    assert [resolution(cell) for cell in parents(ROME)] == [7, 6, 5]
    coarse = at(ROME, 3)
    assert parents(coarse) == (coarse, coarse, coarse)


def test_a_public_cell_is_at_4_or_coarser() -> None:
    assert resolution(public_cell(ROME)) == 4
    assert public_cell(at(ROME, 2)) == at(ROME, 2)


@given(POINTS)
def test_a_centre_lies_in_its_cell(point: tuple[float, float]) -> None:
    cell = cell_of(*point)
    assert cell_of(*centre(cell)) == cell


@pytest.mark.parametrize("point", [(91.0, 0.0), (0.0, 181.0), (float("nan"), 0.0), (0.0, float("inf"))])
def test_points_off_the_earth_are_refused(point: tuple[float, float]) -> None:
    with pytest.raises(InvalidCell, match="not a place on Earth"):
        cell_of(*point)


def test_rings_grow_with_distance_even_where_the_grid_has_none() -> None:
    with pytest.raises(H3FailedError):
        h3.grid_distance(ROME, NEW_YORK)
    near, far, farther = (ring_distance(ROME, other) for other in (OSTIA, BERLIN, NEW_YORK))
    assert 0 < near < far < farther
    assert 2500 < farther < 3500  # 6 890 km in steps of about 2.4 km


def test_rings_of_different_resolutions_are_counted_at_the_coarser() -> None:
    assert ring_distance(ROME, at(ROME, 5)) == 0
    assert ring_distance(ROME, at(OSTIA, 5)) == ring_distance(at(ROME, 5), at(OSTIA, 5))


@given(POINTS, POINTS)
def test_distance_is_zero_only_at_home_and_never_negative(one: tuple[float, float], other: tuple[float, float]) -> None:
    here, there = cell_of(*one), cell_of(*other)
    assert ring_distance(here, here) == 0
    assert (ring_distance(here, there) > 0) is (here != there)
