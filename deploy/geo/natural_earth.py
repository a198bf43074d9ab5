"""Reads Natural Earth's countries (TopoJSON of npm `world-atlas`) as land with ISO codes, in degrees."""

import itertools
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely  # type: ignore[import-untyped, import-not-found, unused-ignore]

from deploy.geo.codes import codes_of
from deploy.geo.places import DISPUTED, MISSING, OWN_CODE, Part, Place

Point = tuple[float, float]
KM_PER_DEGREE = 111.195
TILE_DEGREES, TILE_VERTICES, STEP_DEGREES = 1.0, 64, 0.1
HAIR_DEGREES = 1e-9  # tiles overlap by a hair, else a line along a meridian or parallel would have no box to clip it


class Land(NamedTuple):
    """One polygon (or a point, where a tiny island collapsed) and the alpha-2 codes of the land in it."""

    codes: frozenset[str]
    shape: Any


def read_land(atlas: Path) -> list[Land]:
    """Decode every country of `atlas`, split the parts with codes of their own, add what is missing or disputed."""
    topology = json.loads(atlas.read_bytes())
    arcs = _arcs(topology)
    land = []
    for area in topology["objects"]["countries"]["geometries"]:
        polygons = [area["arcs"]] if area["type"] == "Polygon" else area["arcs"]
        codes = codes_of(area.get("id"), area["properties"]["name"])
        land += [Land(codes, shape) for rings in polygons for shape in _world_copies(_shape(arcs, rings))]
    for part in OWN_CODE + DISPUTED:
        land = [piece for whole in land for piece in _apply(part, whole)]
    simple = [Land(codes, shape) for codes, whole in land if codes for shape in _simple(whole)]
    return simple + [_disc(place) for place in MISSING]


def tiles(shape: Any) -> Iterator[Any]:
    """Cut a shape into pieces of about a degree at most and few vertices, their edges densified to a tenth of one."""
    west, south, east, north = shapely.bounds(shape)
    small = max(east - west, north - south) <= TILE_DEGREES
    if small and (shapely.get_num_coordinates(shape) <= TILE_VERTICES or max(east - west, north - south) < 0.02):
        yield shapely.segmentize(shape, STEP_DEGREES)
        return
    middle_x, middle_y = (west + east) / 2, (south + north) / 2
    for box in itertools.product(((west, middle_x), (middle_x, east)), ((south, middle_y), (middle_y, north))):
        (left, right), (low, high) = box
        widened = left - HAIR_DEGREES, low - HAIR_DEGREES, right + HAIR_DEGREES, high + HAIR_DEGREES
        for part in _simple(shapely.clip_by_rect(shape, *widened)):
            yield from tiles(part)


def _simple(shape: Any) -> Iterator[Any]:
    """Take collections apart, however deep, into points, lines and polygons; empty ones vanish."""
    parts = shapely.get_parts(shape)
    if len(parts) == 1 and parts[0] == shape:
        yield shape
        return
    for part in parts:
        yield from _simple(part)


def _arcs(topology: dict[str, Any]) -> list[list[Point]]:
    (scale_x, scale_y), (move_x, move_y) = topology["transform"]["scale"], topology["transform"]["translate"]
    decoded = []
    for arc in topology["arcs"]:
        xs, ys = (itertools.accumulate(deltas) for deltas in zip(*arc, strict=True))
        decoded.append([(x * scale_x + move_x, y * scale_y + move_y) for x, y in zip(xs, ys, strict=True)])
    return decoded


def _ring(arcs: list[list[Point]], indices: Iterable[int]) -> list[Point]:
    """Join arcs into a ring whose longitudes run on past 180 degrees; one around a pole is closed along it."""
    ring: list[Point] = []
    for index in indices:
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        for x, y in arc[1:] if ring else arc:
            ring.append((x - 360 * round((x - ring[-1][0]) / 360) if ring else x, y))
    (first, _), (last, latitude) = ring[0], ring[-1]
    if abs(last - first) > 180:
        pole = math.copysign(90.0, latitude)
        ring += [(last, pole), (first, pole), ring[0]]
    return ring


def _shape(arcs: list[list[Point]], polygon: list[list[int]]) -> Any:
    """Make a valid shape; a ring that quantisation collapsed stays as its points: it is still an island."""
    shell, *holes = (_ring(arcs, indices) for indices in polygon)
    if len(shell) < 4:
        return shapely.MultiPoint(shell)
    return shapely.make_valid(shapely.Polygon(shell, [hole for hole in holes if len(hole) >= 4]))


def _world_copies(shape: Any) -> Iterator[Any]:
    """Give the parts of a shape that lie between -180 and 180 degrees, moved there where it runs past them."""
    west, _, east, _ = shapely.bounds(shape)
    if west >= -180 and east <= 180:
        yield shape
        return
    for turn in (-360.0, 0.0, 360.0):
        moved = shapely.transform(shape, lambda xy, turn=turn: xy + np.array([turn, 0.0]))
        inside = shapely.intersection(moved, shapely.box(-180, -90, 180, 90))
        if not shapely.is_empty(inside):
            yield inside


def _apply(part: Part, land: Land) -> Iterator[Land]:
    """Give the land outside the part as it was and the land inside with the part's codes."""
    outline = shapely.Polygon(part.outline)
    if land.codes != {part.holder} or not shapely.intersects(outline, land.shape):
        yield land
        return
    outside = shapely.difference(land.shape, outline)
    if not shapely.is_empty(outside):
        yield Land(land.codes, outside)
    yield Land(frozenset(part.codes.split()), shapely.intersection(land.shape, outline))


def _disc(place: Place) -> Land:
    stretch = math.cos(math.radians(place.latitude))
    turns = [2 * math.pi * step / 24 for step in range(24)]
    reach = place.radius / KM_PER_DEGREE
    ring = [(place.longitude + reach * math.cos(t) / stretch, place.latitude + reach * math.sin(t)) for t in turns]
    return Land(frozenset({place.code}), shapely.Polygon(ring))
