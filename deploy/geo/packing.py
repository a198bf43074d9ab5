"""Writes runs of cells with the same countries in the format that shared/geo/index.py reads."""

import json
import lzma
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from shared.geo.index import FORMAT

Run = tuple[int, frozenset[str]]
# A preset's own dictionary of 64 MiB would be allocated by every reader; the planes gain nothing from it.
LZMA2: Final = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}


def merge(runs: Iterable[Run]) -> Iterator[Run]:
    """Drop each run that only continues the one before it."""
    last: frozenset[str] | None = None
    for start, codes in runs:
        if codes != last:
            yield start, codes
        last = codes


def pack(runs: Sequence[Run], source: Mapping[str, object]) -> bytes:
    """Write a JSON line that names the source and the sets, then the runs as compressed planes of bytes."""
    counted = Counter(codes for _, codes in runs)
    sets = sorted(counted, key=lambda codes: (-counted[codes], sorted(codes)))
    number = {codes: index for index, codes in enumerate(sets)}
    starts = [start for start, _ in runs]
    steps = array("I", [starts[0], *(after - before for before, after in pairwise(starts))])
    numbers = array("H", [number[codes] for _, codes in runs])
    header = {"format": FORMAT, **source, "runs": len(runs), "sets": [" ".join(sorted(codes)) for codes in sets]}
    payload = _planes(steps) + _planes(numbers)
    packed = lzma.compress(payload, format=lzma.FORMAT_XZ, filters=[LZMA2])
    return json.dumps(header, ensure_ascii=True).encode() + b"\n" + packed


def _planes(numbers: "array[int]") -> bytes:
    """Put all first bytes before all second bytes and so on, little-endian, which compresses far better."""
    little = numbers[:]
    if sys.byteorder == "big":
        little.byteswap()
    raw = little.tobytes()
    return b"".join(raw[plane :: little.itemsize] for plane in range(little.itemsize))
