"""Cities by name and by time zone, so that an owner can say where a machine is without a map: places.tsv.

The zones' cities are those of the IANA time zone database (zone.tab), which is in the public domain.
"""

import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from shared.errors import HiveError
from shared.geo.cells import WORKER_RESOLUTION, InvalidCell, cell_of, format_cell, parse_cell, resolution

FILE: Final = Path(__file__).with_name("places.tsv")
_ETC: Final = Path("/etc")


class PlaceError(HiveError):
    """Words that are no place that is known; the message says what would be."""

    code = "place"
    retryable = False


class City(NamedTuple):
    """A city with its country's ISO code, its centre in degrees, and the time zone that it names, if any."""

    name: str
    country: str
    latitude: float
    longitude: float
    zone: str

    @property
    def cell(self) -> str:
        """The H3 cell of its centre at resolution 7, as text."""
        return format_cell(cell_of(self.latitude, self.longitude))

    def __str__(self) -> str:
        return f"{self.name}, {self.country}"


def cities() -> list[City]:
    """All that are known, by name."""
    rows = (line.split("\t") for line in FILE.read_text("utf-8").splitlines())
    return [City(name, country, float(lat), float(lon), zone) for name, country, lat, lon, zone in rows]


def cell_of_words(words: str) -> str:
    """The H3 cell at resolution 7 of a city ("Rome", "Cambridge, GB"), of "latitude, longitude", or of a cell; raises
    PlaceError."""
    try:
        cell = parse_cell(words)
    except InvalidCell:
        return _point(words) or _city(words).cell
    if resolution(cell) < WORKER_RESOLUTION:
        raise PlaceError(f"{words.strip()} is too coarse: a worker names its cell at resolution {WORKER_RESOLUTION}")
    return format_cell(cell)


def city_of_zone(zone: str | None) -> City | None:
    """The city that names a time zone such as Europe/Rome."""
    return next((city for city in cities() if city.zone and city.zone == zone), None)


def local_zone(environment: Mapping[str, str] = os.environ, etc: Path = _ETC) -> str | None:
    """This machine's time zone by its IANA name, as its own settings have it; None where they have none."""
    if (named := environment.get("TZ", "").lstrip(":")) and not named.startswith("/"):
        return named
    try:
        target = (etc / "localtime").readlink().as_posix()
    except OSError:
        target = ""
    if "zoneinfo/" in target:
        return target.partition("zoneinfo/")[2]
    try:
        return (etc / "timezone").read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _point(words: str) -> str | None:
    parts = words.replace(",", " ").split()
    try:
        latitude, longitude = map(float, parts)
    except ValueError:
        return None
    try:
        return format_cell(cell_of(latitude, longitude))
    except InvalidCell as error:
        raise PlaceError(f"{words.strip()} is not on Earth: latitude is -90 to 90, longitude -180 to 180") from error


def _city(words: str) -> City:
    name, _, country = (_plain(part) for part in words.rpartition(",")) if "," in words else (_plain(words), "", "")
    found = [city for city in cities() if _plain(city.name) == name and country in ("", city.country.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise PlaceError(f"there are several: {'; '.join(map(str, found))}")
    near = [str(city) for city in cities() if len(name) >= 3 and _plain(city.name).startswith(name)][:4]
    hint = f"; there is {'; '.join(near)}" if near else ""
    raise PlaceError(
        f'"{words.strip()[:40]}" is no city that Hive knows{hint}: name a larger one nearby, or give latitude, longitude'
    )


def _plain(words: str) -> str:
    """In small letters without accents, as people type them."""
    split = unicodedata.normalize("NFKD", words.replace("ł", "l").replace("Ł", "L").replace("ø", "o"))
    return "".join(c for c in split if not unicodedata.combining(c)).casefold().strip()
