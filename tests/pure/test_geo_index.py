"""The country index at places whose countries everybody can look up, and by its own laws."""

import lzma
from itertools import accumulate, pairwise

import h3.api.basic_int as h3
import pytest
from hypothesis import given, strategies as st

from deploy.geo.packing import merge, pack
from shared.geo.cells import InvalidCell, at, cell_of, format_cell
from shared.geo.index import FORMAT, countries, load, start_key, unpack
from shared.geo.jurisdiction import COUNTRIES

INSIDE = [
    ("Rome, Colosseum", 41.8902, 12.4922, "IT"),
    ("Rome, Termini", 41.9010, 12.5018, "IT"),
    ("Berlin", 52.5200, 13.4050, "DE"),
    ("New York", 40.7128, -74.0060, "US"),
    ("Paris", 48.8566, 2.3522, "FR"),
    ("Bern", 46.9480, 7.4474, "CH"),
    ("London", 51.5074, -0.1278, "GB"),
    ("Singapore", 1.2900, 103.8520, "SG"),
    ("Las Palmas", 28.1200, -15.4300, "ES"),
    ("Ponta Delgada, Azores", 37.7400, -25.6700, "PT"),
    ("Funchal, Madeira", 32.6500, -16.9100, "PT"),
    ("Ajaccio", 41.9270, 8.7370, "FR"),
    ("Saint-Denis, Réunion", -20.8900, 55.4500, "RE"),
    ("Cayenne", 4.9220, -52.3260, "GF"),
    ("Pointe-à-Pitre", 16.2410, -61.5330, "GP"),
    ("Fort-de-France", 14.6100, -61.0700, "MQ"),
    ("Mamoudzou", -12.7800, 45.2280, "YT"),
    ("Longyearbyen", 78.2200, 15.6500, "SJ"),
    ("Jan Mayen", 70.9800, -8.5000, "SJ"),
    ("Tromsø", 69.6500, 18.9600, "NO"),
    ("Nuuk", 64.1800, -51.7000, "GL"),
    ("Tórshavn", 62.0100, -6.7700, "FO"),
    ("Mariehamn", 60.1000, 19.9400, "AX"),
    ("Saint Helier", 49.1900, -2.1100, "JE"),
    ("Douglas", 54.1500, -4.4800, "IM"),
    ("Nouméa", -22.2700, 166.4500, "NC"),
    ("Kralendijk", 12.1500, -68.2700, "BQ"),
    ("Christmas Island", -10.4200, 105.6800, "CX"),
    ("Cocos Islands", -12.1200, 96.9000, "CC"),
    ("Fakaofo", -9.3700, -171.2200, "TK"),
    ("Bouvet", -54.4200, 3.3600, "BV"),
    ("Capri", 40.5500, 14.2400, "IT"),
    ("Malé", 4.1750, 73.5100, "MV"),
    ("Nauru", -0.5300, 166.9300, "NR"),
    ("Easter Island", -27.1200, -109.3500, "CL"),
    ("Chukotka, beyond the date line", 66.5000, -172.0000, "RU"),
    ("Taveuni, on the date line", -16.8400, -179.9800, "FJ"),
    ("South Pole", -90.0000, 0.0000, "AQ"),
    ("Pristina", 42.6600, 21.1600, "XK"),
    ("Tifariti", 26.1600, -10.5700, "EH"),
    ("Hargeisa", 9.5600, 44.0600, "SO"),
    ("Taipei", 25.0400, 121.5600, "TW"),
]
SHARED = [
    ("Basel, the three-country corner", 47.5900, 7.5890, "CH DE FR"),
    ("Strasbourg–Kehl, the bridge", 48.5735, 7.8008, "DE FR"),
    ("Vatican", 41.9022, 12.4533, "IT VA"),
    ("Monaco", 43.7400, 7.4270, "FR MC"),
    ("Vaduz", 47.1400, 9.5200, "CH LI"),
    ("Newry, the Irish border", 54.1100, -6.3700, "GB IE"),
    ("Derry–Bridgend", 55.0420, -7.3850, "GB IE"),
    ("El Paso, the bridge", 31.7481, -106.4869, "MX US"),
    ("Niagara, Rainbow Bridge", 43.0902, -79.0677, "CA US"),
    ("Görlitz, the bridge", 51.1507, 14.9936, "DE PL"),
    ("Giurgiu–Ruse, the bridge", 43.8900, 26.0090, "BG RO"),
    ("Kastellorizo, 2 km from Turkey", 36.1480, 29.5900, "GR TR"),
    ("Baarle-Hertog", 51.4430, 4.9300, "BE NL"),
    ("Campione d'Italia", 45.9690, 8.9710, "CH IT"),
    ("Büsingen am Hochrhein", 47.6970, 8.6900, "CH DE"),
    ("Simferopol", 44.9500, 34.1000, "RU UA"),
    ("Sevastopol", 44.6050, 33.5220, "RU UA"),
    ("Donetsk", 48.0000, 37.8000, "RU UA"),
    ("Kyrenia", 35.3300, 33.3200, "CY TR"),
    ("Golan", 33.0000, 35.8000, "IL SY"),
    ("Laayoune", 27.1500, -13.2000, "EH MA"),
    ("Jerusalem's east", 31.8000, 35.2400, "IL PS"),
    ("Srinagar", 34.0800, 74.8000, "IN PK"),
    ("Kunashir", 44.1000, 145.9000, "JP RU"),
]
NOT_DISPUTED = [("Kyiv", 50.45, 30.52, "UA"), ("Mykolaiv", 46.97, 32.0, "UA"), ("Dnipro", 48.45, 35.05, "UA"),
                ("Islamabad", 33.69, 73.05, "PK"), ("Dibrugarh", 27.47, 94.9, "IN"), ("Krasnodar", 45.04, 38.98, "RU"),
                ("Paphos", 34.775, 32.42, "CY"), ("Haifa", 32.8, 35.0, "IL")]  # fmt: skip
AT_SEA = [("Atlantic", 30.0, -40.0), ("North Sea", 56.0, 3.0), ("Tyrrhenian", 40.0, 12.0), ("North Pole", 90.0, 0.0)]
POINTS = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
# Where many countries meet, so that random points meet borders often.
BORDERLANDS = st.tuples(st.floats(45.5, 50.0), st.floats(5.5, 17.0))


@pytest.fixture(scope="module", autouse=True)
def index_is_loaded() -> None:
    """Load before any property test, whose first example would otherwise pay for it within its deadline."""
    load()


@pytest.mark.parametrize(("latitude", "longitude", "country"), [row[1:] for row in INSIDE + NOT_DISPUTED],
                         ids=[row[0] for row in INSIDE + NOT_DISPUTED])  # fmt: skip
def test_a_place_inside_a_country_is_in_it_alone(latitude: float, longitude: float, country: str) -> None:
    assert countries(cell_of(latitude, longitude)) == {country}


@pytest.mark.parametrize(
    ("latitude", "longitude", "codes"), [row[1:] for row in SHARED], ids=[row[0] for row in SHARED]
)
def test_a_border_cell_and_disputed_land_belong_to_all(latitude: float, longitude: float, codes: str) -> None:
    assert countries(cell_of(latitude, longitude)) == set(codes.split())


@pytest.mark.parametrize(("latitude", "longitude"), [row[1:] for row in AT_SEA], ids=[row[0] for row in AT_SEA])
def test_the_sea_belongs_to_nobody(latitude: float, longitude: float) -> None:
    assert countries(cell_of(latitude, longitude)) == frozenset()


def test_san_marino_is_surrounded_by_italy() -> None:
    centre = cell_of(43.9424, 12.4578)
    assert "SM" in countries(centre)
    assert any(countries(cell) == {"IT", "SM"} for cell in h3.grid_disk(centre, 3))
    assert countries(at(centre, 5)) == {"IT", "SM"}


def test_the_contracts_example_cell_and_the_three_demo_cities() -> None:
    assert countries("861e8050fffffff") == {"IT"}
    for latitude, longitude, country in ((41.9028, 12.4964, "IT"), (52.52, 13.405, "DE"), (40.7128, -74.006, "US")):
        assert countries(format_cell(cell_of(latitude, longitude))) == {country}


def test_every_country_with_a_code_has_land_and_every_code_is_known() -> None:
    index = load()
    drawn = frozenset[str]().union(*index.sets)
    assert drawn == COUNTRIES


def test_the_index_covers_the_earth_in_order() -> None:
    index = load()
    assert index.starts[0] == start_key(min(h3.get_res0_cells()))
    assert all(before < after for before, after in pairwise(index.starts))
    assert all(one != other for one, other in pairwise(index.numbers))
    assert len(index.starts) == len(index.numbers)
    assert max(index.numbers) == len(index.sets) - 1
    assert len(index.digest) == 64


@given(st.one_of(POINTS, BORDERLANDS), st.integers(4, 6))
def test_a_coarse_cell_belongs_to_what_its_descendants_belong_to(point: tuple[float, float], res: int) -> None:
    cell = at(cell_of(*point), res)
    children = [countries(child) for child in h3.cell_to_children(cell, res + 1)]
    assert countries(cell) == frozenset().union(*children)


@given(st.one_of(POINTS, BORDERLANDS), st.integers(0, 6))
def test_a_cell_belongs_to_all_that_its_descendant_belongs_to(point: tuple[float, float], res: int) -> None:
    cell = cell_of(*point)
    assert countries(cell) <= countries(at(cell, res))


@given(POINTS, st.integers(8, 15))
def test_finer_cells_are_read_at_7(point: tuple[float, float], res: int) -> None:
    fine = h3.latlng_to_cell(*point, res)
    assert countries(fine) == countries(h3.cell_to_parent(fine, 7)) == countries(format_cell(fine))


@pytest.mark.parametrize("res", range(8))
def test_pentagons_answer_like_any_cell(res: int) -> None:
    for pentagon in h3.get_pentagons(res):
        children = h3.cell_to_children(pentagon, min(7, res + 1))
        assert countries(pentagon) == frozenset().union(*(countries(child) for child in children))


@pytest.mark.parametrize(
    "cell", ["", "Rome", "871e805ffffffff0", "ffffffffffffffff", "0x71e8051ffffff", 0, -1, 1 << 70]
)
def test_what_is_no_cell_is_refused(cell: str | int) -> None:
    with pytest.raises(InvalidCell, match="not an H3 cell"):
        countries(cell)


@given(st.lists(st.tuples(st.integers(1, 4000), st.frozensets(st.sampled_from(["DE", "FR", "IT"]))), min_size=1))
def test_what_is_packed_is_read_back(steps: list[tuple[int, frozenset[str]]]) -> None:
    starts = accumulate((step for step, _ in steps), initial=0)
    runs = list(merge(zip(starts, (codes for _, codes in steps), strict=False)))
    index = unpack(pack(runs, {"source": "a test", "package": "none 1.0"}))
    assert [(start, index.sets[number]) for start, number in zip(index.starts, index.numbers, strict=True)] == runs
    assert all(before[1] != after[1] for before, after in pairwise(runs))
    assert index.source == "a test, none 1.0"


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match=FORMAT):
        unpack(b'{"format": "hive-h3-countries-0"}\n' + lzma.compress(b""))
