"""Finds, for every H3 cell of resolution 7 on Earth, the countries whose land it touches."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import shapely  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numpy.typing import NDArray

from deploy.geo.natural_earth import Land, tiles

Codes = frozenset[str]
Floats = NDArray[np.float64]

EARTH_KM = 6371.0088
# Natural Earth's 1:10m lines lie up to 1.8 km, mostly under 1 km, from some twenty border bridges. A bridge is rarely
# at the very edge of its cell, so this much besides the cell itself catches them.
ALLOWANCE_KM = 1.5
# No descendant at resolution 7 reaches further than this from the centre of its ancestor at resolution 5.
DESCENDANT_REACH_KM = 14.0
UNIT_RESOLUTION, PLAIN_RESOLUTION, FINE_RESOLUTION = 2, 5, 7
WINDOW_DEGREES = 3.0


class Surveyor:
    """Answers which countries' land lies in the cells below one unit, a cell of resolution 2, by plane geometry."""

    def __init__(self, land: Sequence[Land]) -> None:
        """Cut the land and its edges into tiles and index them."""
        cut = [(piece, whole.codes) for whole in land for piece in tiles(whole.shape)]
        edges = [piece for whole in land for piece in tiles(_edge(whole.shape))]
        self._codes = [codes for _, codes in cut]
        self._land = shapely.STRtree([piece for piece, _ in cut])
        self._edges = shapely.STRtree(edges)

    def survey(self, unit: int) -> Iterator[tuple[int, Codes]]:
        """Give (cell, codes) in H3 order: cells of resolution 5 far from any edge of land, else of resolution 7."""
        windows = _windows(*h3.cell_to_latlng(unit))
        near = np.unique(self._land.query(windows, predicate="intersects")[1])
        plain_cells = sorted(h3.cell_to_children(unit, PLAIN_RESOLUTION))
        if not len(near):
            yield from ((cell, frozenset()) for cell in plain_cells)
            return
        plane = _Plane(*h3.cell_to_latlng(unit))
        pieces = shapely.STRtree(plane.flatten(self._land.geometries[near]))
        codes = [self._codes[index] for index in near]
        edges = self._edges.geometries[np.unique(self._edges.query(windows, predicate="intersects")[1])]
        mixed = _within(plane, plain_cells, shapely.STRtree(plane.flatten(edges)))
        fine = [child for cell in sorted(mixed) for child in sorted(h3.cell_to_children(cell, FINE_RESOLUTION))]
        touched = _touched(pieces, codes, plane.polygons(fine), ALLOWANCE_KM)
        inside = _touched(pieces, codes, plane.centres(plain_cells), 0.0)
        found = {cell: touched.get(index, frozenset()) for index, cell in enumerate(fine)}
        for index, cell in enumerate(plain_cells):
            if cell in mixed:
                yield from ((child, found[child]) for child in sorted(h3.cell_to_children(cell, FINE_RESOLUTION)))
            else:
                yield cell, inside.get(index, frozenset())


class _Plane:
    """The gnomonic plane, in km, that touches the Earth at one point: straight lines there are H3's geodesic edges."""

    def __init__(self, latitude: float, longitude: float) -> None:
        self._latitude, self._longitude = np.radians(latitude), np.radians(longitude)

    def flatten(self, shapes: Any) -> Any:
        return shapely.transform(shapes, self._project)

    def centres(self, cells: Sequence[int]) -> Any:
        return self.flatten(shapely.points([h3.cell_to_latlng(cell)[::-1] for cell in cells]))

    def polygons(self, cells: Sequence[int]) -> Any:
        if not cells:
            return np.array([], dtype=object)
        rings = [h3.cell_to_boundary(cell) for cell in cells]
        owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
        corners = np.array([corner[::-1] for ring in rings for corner in ring]).reshape(-1, 2)
        return shapely.polygons(shapely.linearrings(self._project(corners), indices=owner))

    def _project(self, degrees: Floats) -> Floats:
        east, north = np.radians(degrees[:, 0]) - self._longitude, np.radians(degrees[:, 1])
        sin, cos = np.sin(self._latitude), np.cos(self._latitude)
        depth = sin * np.sin(north) + cos * np.cos(north) * np.cos(east)
        x = np.cos(north) * np.sin(east)
        y = cos * np.sin(north) - sin * np.cos(north) * np.cos(east)
        flat: Floats = np.stack([x, y], axis=1) * (EARTH_KM / depth)[:, None]
        return flat


def _edge(shape: Any) -> Any:
    return shapely.boundary(shape) if shapely.area(shape) > 0 else shape


def _windows(latitude: float, longitude: float) -> Any:
    """Boxes in degrees that hold everything near a unit, once more on the other side of the date line."""
    south, north = latitude - WINDOW_DEGREES, latitude + WINDOW_DEGREES
    polar = max(-south, north) >= 88.0
    reach = 180.0 if polar else WINDOW_DEGREES / np.cos(np.radians(max(-south, north)))
    middles = np.array([longitude - 360.0, longitude, longitude + 360.0])
    return shapely.box(middles - reach, south, middles + reach, north)


def _within(plane: _Plane, cells: Sequence[int], edges: Any) -> frozenset[int]:
    """Give those cells of resolution 5 that have an edge of land near any of their descendants."""
    reach = DESCENDANT_REACH_KM + ALLOWANCE_KM
    hits = edges.query(plane.centres(cells), predicate="dwithin", distance=reach)[0]
    return frozenset(cells[index] for index in np.unique(hits))


def _touched(pieces: Any, codes: Sequence[Codes], shapes: Any, distance: float) -> dict[int, Codes]:
    """Give the codes of all pieces within `distance` km of each shape, by the shape's number; none is left out."""
    found: dict[int, Codes] = defaultdict(frozenset)
    for shape, piece in zip(*pieces.query(shapes, predicate="dwithin", distance=distance).tolist(), strict=True):
        found[shape] |= codes[piece]
    return dict(found)
