"""Where this machine is: an H3 cell, a point, or an address looked up in the owner's own MaxMind file. Nobody is asked."""

import math
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from shared.errors import HiveError
from shared.geo.cells import at, cell_of, format_cell
from worker.settings import CELL_RESOLUTION

VAGUE_KM: Final = 100
EXACT_KM: Final = 2
_KM_PER_DEGREE: Final = 111.2
_BEARINGS: Final = 24
_NOBODY: Final = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))
"""Addresses for documentation, which nobody has: choosing a way to them sends nothing."""

Address = IPv4Address | IPv6Address


class WhereError(HiveError):
    """It cannot be said where this machine is; the message says what to give."""

    code = "where"
    retryable = False


class Place(msgspec.Struct, frozen=True):
    """An H3 cell at resolution 7 as text, and a sentence for the owner where it is less than certain."""

    cell: str
    caution: str = ""


class _Location(msgspec.Struct, frozen=True):
    """Of a record of a city database: degrees, and within how many km the machine probably is."""

    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    accuracy_radius: Annotated[int, msgspec.Meta(ge=0, le=20_040)] | None = None


class _Record(msgspec.Struct, frozen=True):
    location: _Location | None = None


def place(
    cell: str | None, lat: float | None, lon: float | None, geoip: Path | None = None, ip: str | None = None
) -> Place | None:
    """The place that one of the three ways gives, None for none of them; the cell of `--cell` is not checked here.
    Raises WhereError."""
    ways = (cell is not None) + (lat is not None or lon is not None) + (geoip is not None)
    if ways > 1 or (lat is None) != (lon is None):
        raise WhereError("a place is either --cell, or --lat and --lon together, or --geoip")
    if geoip is not None:
        return _by_address(geoip, _address(ip) if ip else own_address())
    if ip is not None:
        raise WhereError("--ip is looked up in a MaxMind file, so give that with --geoip FILE")
    if lat is not None and lon is not None:
        return Place(_cell(lat, lon))
    return Place(cell) if cell is not None else None


def own_address(way_to: Callable[[str, socket.AddressFamily], str | None] | None = None) -> Address:
    """This machine's public address, if an interface has it; WhereError behind a router that keeps it to itself."""
    for target, family in _NOBODY:
        found = (way_to or _way_to)(target, family)
        if found and (address := ip_address(found.partition("%")[0])).is_global:
            return address
    raise WhereError(
        "this machine does not know its public address (a router has it); give it with --ip, or use --cell"
    )


def looked_up(latitude: float, longitude: float, radius_km: int | None, address: Address) -> Place:
    """What a database's answer for this address is worth; raises WhereError if it is too vague for a cell."""
    around = f"--geoip finds {address} within {radius_km} km of {latitude:.2f}, {longitude:.2f}"
    if radius_km is None:
        raise WhereError(f"the file does not say how exactly it knows {address}; give --cell, or --lat and --lon")
    if radius_km > VAGUE_KM:
        raise WhereError(f"{around}, which is too vague; give --cell, or --lat and --lon")
    cell = _cell(latitude, longitude)
    if radius_km <= EXACT_KM:
        return Place(cell)
    if others := _others_within(latitude, longitude, radius_km):
        other = ", ".join(sorted(others))
        raise WhereError(f"{around}, and {other} is as near, which jobs may exclude; give --cell, or --lat and --lon")
    return Place(cell, f"{around}, and a cell is some 2 km wide; --lat and --lon say it exactly.")


def _by_address(file: Path, address: Address) -> Place:
    record = _record(file, address)
    if record.location is None:
        raise WhereError(f"{file.name} does not know where {address} is; give --cell, or --lat and --lon")
    return looked_up(record.location.latitude, record.location.longitude, record.location.accuracy_radius, address)


def _record(file: Path, address: Address) -> _Record:
    import maxminddb  # noqa: PLC0415 - a worker that was told its cell does without

    damaged = WhereError(f"{file.name} is no MaxMind database of cities (.mmdb), or is damaged; get it anew")
    try:
        with maxminddb.open_database(file) as database:
            if "City" not in database.metadata().database_type:
                raise WhereError(f"{file.name} knows no places; take a City database, such as GeoLite2-City.mmdb")
            found: Any = database.get(address)
        return msgspec.convert(found or {}, _Record)
    except FileNotFoundError as error:
        raise WhereError(f"there is no file {file}; --geoip takes a MaxMind database (.mmdb)") from error
    except (maxminddb.InvalidDatabaseError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise damaged from error
    except ValueError as error:
        raise WhereError(f"{file.name} cannot look up {address} ({error}); give another --ip") from error


def _address(text: str) -> Address:
    try:
        address = ip_address(text.strip())
    except ValueError as error:
        raise WhereError(f"{text[:60]} is no IP address; one looks like 203.0.113.7 or 2001:db8::7") from error
    if not address.is_global:
        raise WhereError(f"{address} is not a public address, so no file knows where it is; give the public one")
    return address


def _cell(latitude: float, longitude: float) -> str:
    return format_cell(at(cell_of(latitude, longitude), CELL_RESOLUTION))


def _others_within(latitude: float, longitude: float, radius_km: int) -> frozenset[str]:
    """The countries at points around that the point itself is not in: what a database may as well have meant."""
    from shared.geo.index import DATA_FILE, unpack  # noqa: PLC0415 - 9 MB, which go again when this function ends

    index = unpack(DATA_FILE.read_bytes())
    found: set[str] = set()
    for ring in (radius_km / 2, radius_km):
        for step in range(_BEARINGS):
            turn = 2 * math.pi * step / _BEARINGS
            north = latitude + ring / _KM_PER_DEGREE * math.cos(turn)
            wide = _KM_PER_DEGREE * max(0.01, math.cos(math.radians(latitude)))
            east = longitude + ring / wide * math.sin(turn)
            found |= index.countries(cell_of(max(-90.0, min(90.0, north)), (east + 180) % 360 - 180))
    return frozenset(found) - index.countries(cell_of(latitude, longitude))


def _way_to(target: str, family: socket.AddressFamily) -> str | None:
    """The address of the interface that packets to there would leave by; none is sent."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect((target, 9))
        return str(way.getsockname()[0])
    return None
