"""H3 cells as 64-bit integers: reading, naming, relating. Resolution 7 (about 5 km²) is the finest that Hive keeps."""

import math
from typing import Final

import h3.api.basic_int as h3
from h3 import H3BaseException

WORKER_RESOLUTION: Final = 7
PUBLIC_RESOLUTION: Final = 4
COARSEST_WIDENING: Final = 5


class InvalidCell(ValueError):
    """The text or number is not an H3 cell."""


def parse_cell(text: str) -> int:
    """Read an H3 cell of resolution 0 to 15 in any case; finer than 7 is read at 7. InvalidCell if it is none."""
    named = text.strip()
    if not (named.isascii() and named.isalnum() and 15 <= len(named) <= 16):
        raise InvalidCell(f"not an H3 cell: {text[:32]!r}")
    try:
        return _coarse(int(named, 16))
    except ValueError:
        raise InvalidCell(f"not an H3 cell: {text[:32]!r}") from None


def is_cell(number: int) -> bool:
    """Tell whether an integer of any size is an H3 cell."""
    return 0 < number < 1 << 63 and bool(h3.is_valid_cell(number))


def format_cell(cell: int) -> str:
    """Name a cell in H3's 15 lowercase hex digits."""
    return f"{cell:x}"


def resolution(cell: int) -> int:
    """Give the resolution, 0 (coarsest) to 15."""
    return int(h3.get_resolution(cell))


def at(cell: int, res: int) -> int:
    """Give the ancestor at resolution `res`, the cell itself if it is as coarse already."""
    return cell if h3.get_resolution(cell) <= res else int(h3.cell_to_parent(cell, res))


def is_in(cell: int, area: int) -> bool:
    """Tell whether `cell` is `area` or descends from it. Descent is H3's hierarchy, not geometry."""
    wanted = h3.get_resolution(area)
    return bool(h3.get_resolution(cell) >= wanted and h3.cell_to_parent(cell, wanted) == area)


def parents(cell: int) -> tuple[int, int, int]:
    """Give the cell at resolutions 7, 6 and 5: itself where it is coarser than that."""
    return at(cell, WORKER_RESOLUTION), at(cell, 6), at(cell, COARSEST_WIDENING)


def public_cell(cell: int) -> int:
    """Give the cell at resolution 4 (about 1 770 km²), the finest that any public record shows."""
    return at(cell, PUBLIC_RESOLUTION)


def cell_of(latitude: float, longitude: float) -> int:
    """Give the cell of resolution 7 around a point in degrees. InvalidCell if it is not on Earth."""
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise InvalidCell(f"not a place on Earth: {latitude}, {longitude}")
    return int(h3.latlng_to_cell(latitude, longitude, WORKER_RESOLUTION))


def centre(cell: int) -> tuple[float, float]:
    """Give the latitude and longitude of a cell's centre, in degrees."""
    latitude, longitude = h3.cell_to_latlng(cell)
    return latitude, longitude


def ring_distance(one: int, other: int) -> int:
    """Count the rings between two cells, at the coarser one's resolution.

    H3's own grid distance where it is defined; elsewhere (far apart, or across a pentagon) the great circle in average
    steps between neighbours, so that far stays far and the order of candidates is total.
    """
    res = min(h3.get_resolution(one), h3.get_resolution(other))
    here, there = at(one, res), at(other, res)
    try:
        return int(h3.grid_distance(here, there))
    except H3BaseException:
        step = float(h3.average_hexagon_edge_length(res, unit="km")) * math.sqrt(3)
        kilometres = float(h3.great_circle_distance(centre(here), centre(there), unit="km"))
        return max(1, round(kilometres / step))


def _coarse(number: int) -> int:
    if not is_cell(number):
        raise InvalidCell(f"not an H3 cell: {number:x}")
    return at(number, WORKER_RESOLUTION)
