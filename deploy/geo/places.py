"""What Natural Earth's 1:10m country polygons do not say: parts with codes of their own, disputes, small places.

Outlines are (longitude, latitude) in degrees, drawn coarse and on the generous side: an outline only ever changes land
that the named holder holds, so a wide one costs a few cells at the edge and never promises too much.
"""

from typing import Final, NamedTuple

Outline = tuple[tuple[float, float], ...]


class Part(NamedTuple):
    """Land held under `holder` inside `outline` carries `codes` (space-separated alpha-2) instead."""

    holder: str
    codes: str
    outline: Outline


class Place(NamedTuple):
    """Land that the data set leaves out: a disc of `radius` km around a point, carrying `code` as well."""

    name: str
    code: str
    latitude: float
    longitude: float
    radius: float


def _box(west: float, south: float, east: float, north: float) -> Outline:
    return ((west, south), (east, south), (east, north), (west, north))


def _outline(text: str) -> Outline:
    pairs = (corner.split() for corner in text.split(","))
    return tuple((float(longitude), float(latitude)) for longitude, latitude in pairs)


# Parts that ISO 3166-1 lists under codes of their own but Natural Earth draws inside their state.
OWN_CODE: Final = (
    Part("FR", "GF", _box(-55.0, 1.5, -51.0, 6.5)),
    Part("FR", "GP", _box(-62.0, 15.7, -60.8, 16.8)),
    Part("FR", "MQ", _box(-61.5, 14.2, -60.6, 15.1)),
    Part("FR", "RE", _box(54.8, -21.8, 56.3, -20.5)),
    Part("FR", "YT", _box(44.7, -13.3, 45.5, -12.4)),
    Part("NO", "SJ", _box(-12.0, 70.4, -6.0, 71.6)),
    Part("NO", "SJ", _box(5.0, 73.5, 40.0, 82.0)),
    Part("NO", "BV", _box(2.5, -55.5, 4.5, -53.5)),
    Part("NL", "BQ", _box(-70.0, 11.0, -62.0, 18.5)),
    Part("NZ", "TK", _box(-174.0, -10.5, -170.0, -7.5)),
    Part("CC", "CX", _box(104.0, -12.0, 107.0, -9.0)),
)

# Land that one state holds in the data set and another claims: it belongs to both.
DISPUTED: Final = (
    Part("RU", "RU UA", _outline("32.2 44.2, 36.75 44.7, 36.75 45.6, 35.2 46.3, 32.2 46.3")),
    Part(
        "UA",
        "RU UA",
        _outline(
            "31.4 46.0, 31.4 46.5, 32.2 46.65, 32.6 47.0, 33.2 47.55, 34.3 47.52, 34.8 47.6, 34.9 48.1, 36.5 48.1,"
            "36.6 48.9, 37.0 49.2, 37.9 49.2, 38.0 50.2, 40.4 50.0, 40.4 47.7, 38.4 46.8, 35.4 45.3, 33.4 45.5"
        ),
    ),
    Part("IL", "IL SY", _box(35.62, 32.66, 36.0, 33.45)),
    Part("PS", "IL PS", _box(35.17, 31.70, 35.30, 31.88)),
    Part("MA", "EH MA", _box(-17.5, 20.5, -8.6, 27.667)),
    Part("EG", "EG SD", _box(33.0, 21.9, 37.5, 23.2)),
    Part("SD", "SD SS", _box(27.7, 9.2, 29.1, 10.3)),
    Part("RU", "JP RU", _box(145.2, 43.2, 149.3, 45.7)),
    Part(
        "PK",
        "IN PK",
        _outline(
            "73.58 32.9, 73.45 34.45, 74.0 34.9, 73.2 35.4, 72.4 36.2, 72.6 36.95, 74.9 37.2, 77.9 35.6, 77.0 34.4,"
            "74.7 32.5"
        ),
    ),
    Part(
        "IN", "IN PK", _outline("73.7 32.3, 75.5 32.3, 76.0 32.95, 77.8 32.85, 78.3 32.4, 79.6 32.5, 79.6 36, 73.7 36")
    ),
    Part("CN", "CN IN PK", _box(75.5, 35.5, 77.8, 37.2)),
    Part("CN", "CN IN", _box(77.8, 32.4, 80.4, 36.2)),
    Part(
        "IN",
        "CN IN",
        _outline(
            "91.5 26.9, 93.0 26.95, 94.2 27.6, 95.3 28.0, 95.9 27.3, 95.2 26.7, 96.0 26.9, 97.5 27.4, 97.5 29.7,"
            "91.5 29.7"
        ),
    ),
)

# Enclaves and inhabited islands that the generalised polygons have lost.
MISSING: Final = (
    Place("Baarle-Hertog", "BE", 51.443, 4.930, 3.0),
    Place("Büsingen am Hochrhein", "DE", 47.697, 8.690, 1.7),
    Place("Campione d'Italia", "IT", 45.969, 8.971, 1.0),
    Place("San'kovo-Medvezh'e", "RU", 52.470, 31.580, 2.0),
    Place("Sastavci", "BA", 43.565, 19.385, 2.0),
    Place("Nahwa", "AE", 25.270, 56.280, 1.5),
    Place("Agathonisi", "GR", 37.460, 26.970, 2.5),
    Place("Tremiti", "IT", 42.120, 15.500, 2.0),
    Place("Cape Clear Island", "IE", 51.440, -9.500, 2.0),
    Place("Capri", "IT", 40.550, 14.240, 3.0),
    Place("Christiansø", "DK", 55.320, 15.190, 1.0),
    Place("Christmas Island, Flying Fish Cove", "CX", -10.430, 105.670, 3.0),
    Place("Cocos, Home Island", "CC", -12.120, 96.900, 2.0),
    Place("Comino", "MT", 36.010, 14.330, 1.5),
    Place("Culatra", "PT", 36.995, -7.840, 2.5),
    Place("Fakaofo", "TK", -9.370, -171.220, 5.0),
    Place("Fournoi", "GR", 37.590, 26.490, 4.0),
    Place("Gorgona", "IT", 43.430, 9.900, 1.5),
    Place("Great Tunb", "AE", 26.260, 55.300, 2.0),
    Place("Great Tunb", "IR", 26.260, 55.300, 2.0),
    Place("Groix", "FR", 47.640, -3.460, 4.0),
    Place("Hans Island", "CA", 80.830, -66.460, 1.0),
    Place("Hans Island", "GL", 80.830, -66.460, 1.0),
    Place("Île de Sein", "FR", 48.040, -4.850, 1.5),
    Place("Kastellorizo", "GR", 36.150, 29.590, 2.0),
    Place("Lipsi", "GR", 37.300, 26.760, 3.5),
    Place("Matsu", "TW", 26.160, 119.940, 4.0),
    Place("Nukunonu", "TK", -9.170, -171.820, 5.0),
    Place("Ponza", "IT", 40.905, 12.960, 3.0),
    Place("Port-Cros", "FR", 43.005, 6.395, 2.0),
    Place("Procida", "IT", 40.760, 14.020, 2.0),
    Place("Pulau Ubin", "SG", 1.410, 103.960, 2.0),
    Place("Susak", "HR", 44.510, 14.300, 1.5),
    Place("Tabarca", "ES", 38.165, -0.475, 1.0),
    Place("Tory Island", "IE", 55.265, -8.220, 2.0),
    Place("Utö", "FI", 59.780, 21.370, 1.5),
    Place("Ven", "SE", 55.905, 12.695, 2.0),
)
