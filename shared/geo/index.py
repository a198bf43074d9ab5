"""Which countries an H3 cell touches, from the built-in index that deploy/geo/build_index.py makes.

The borders are Natural Earth's 1:10m countries (4.1.0). What a cell of resolution 7 belongs to:

- every country whose land lies in it or within 1.5 km of it. The 1.5 km allow for the data's own error, found at known
  border bridges; so a cell at a border belongs to all sides, and the last harbour street to its country.
- a cell at sea, beyond those 1.5 km: none. Territorial waters belong to nobody here, and none is never allowed.
- disputed land without an ISO code of its own belongs to all who hold or claim it (Crimea {RU, UA}, northern Cyprus
  {CY, TR}, Kashmir {IN, PK}, also East Jerusalem {IL, PS} and Western Sahara up to the berm {EH, MA}), as far as the
  build script knows the dispute; else to the side that Natural Earth draws.
- land with an ISO code of its own belongs to that alone: Kosovo XK, Taiwan TW, Svalbard and Jan Mayen SJ, Åland AX,
  Réunion RE and the other overseas parts of France, Bonaire BQ.

Coarser cells belong to whatever any of their descendants at 7 belongs to; finer cells are read at 7.
"""

import hashlib
import json
import lzma
import sys
from array import array
from bisect import bisect_right
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from shared.geo.cells import InvalidCell, is_cell, parse_cell, resolution

FORMAT: Final = "hive-h3-countries-1"
DATA_FILE: Final = Path(__file__).with_name("h3_countries.bin")
_KEY_SHIFT: Final = 24
_KEY_MASK: Final = (1 << 28) - 1


class CountryIndex(NamedTuple):
    """Runs over H3's order: from key `starts[i]` on, cells of resolution 7 belong to `sets[numbers[i]]`."""

    starts: "array[int]"
    numbers: "array[int]"
    sets: tuple[frozenset[str], ...]
    source: str
    digest: str

    def countries(self, cell: str | int) -> frozenset[str]:
        """Give the ISO 3166-1 alpha-2 codes of the countries that the cell touches; InvalidCell if it is no cell."""
        number = parse_cell(cell) if isinstance(cell, str) else cell
        if not is_cell(number):
            raise InvalidCell(f"not an H3 cell: {number:x}")
        first = (number >> _KEY_SHIFT) & _KEY_MASK
        width = 7 - (number >> 52 & 15)
        if width <= 0:
            return self.sets[self.numbers[bisect_right(self.starts, first) - 1]]
        low = first >> 3 * width << 3 * width
        runs = self.numbers[bisect_right(self.starts, low) - 1 : bisect_right(self.starts, first)]
        return frozenset().union(*(self.sets[run] for run in set(runs)))


def countries(cell: str | int) -> frozenset[str]:
    """Give the alpha-2 codes of the countries that an H3 cell touches; empty at sea; InvalidCell if it is no cell."""
    return load().countries(cell)


def start_key(cell: int) -> int:
    """Give the 28-bit place in H3's order, base cell and seven digits, of a cell's first descendant at resolution 7."""
    unused = 3 * max(0, 7 - resolution(cell))
    return (cell >> _KEY_SHIFT & _KEY_MASK) >> unused << unused


@cache
def load() -> CountryIndex:
    """Read the built-in index once; later calls are free."""
    return unpack(DATA_FILE.read_bytes())


def unpack(data: bytes) -> CountryIndex:
    """Read what the build script packed; ValueError if it is another format."""
    line, _, packed = data.partition(b"\n")
    header = json.loads(line)
    if header["format"] != FORMAT:
        raise ValueError(f"the country index is {header['format']}, not {FORMAT}")
    payload, runs = memoryview(lzma.decompress(packed)), header["runs"]
    starts = _from_planes("I", payload[: 4 * runs], runs)
    for place, key in enumerate(accumulate(starts)):  # in place: a second array would stay in the process's memory
        starts[place] = key
    return CountryIndex(
        starts=starts,
        numbers=_from_planes("H", payload[4 * runs :], runs),
        sets=tuple(frozenset(codes.split()) for codes in header["sets"]),
        source=f"{header['source']}, {header['package']}",
        digest=hashlib.sha256(data).hexdigest(),
    )


def _from_planes(kind: str, planes: memoryview, count: int) -> "array[int]":
    numbers = array(kind, bytes(len(planes)))
    width = numbers.itemsize
    with memoryview(numbers).cast("B") as raw:
        for plane in range(width):
            raw[plane::width] = planes[plane * count : (plane + 1) * count]
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
