"""Prints what the country index costs: `python -m tests.bench.geo`."""

import random
import time
import tracemalloc
from collections.abc import Callable

import h3.api.basic_int as h3

from shared.geo.cells import at, format_cell
from shared.geo.index import DATA_FILE, countries, load

LOOKUPS = 200_000


def main() -> None:
    """Measure load, memory and lookups and print one row each."""
    before = time.perf_counter()
    index = load()
    loading = (time.perf_counter() - before) * 1000
    in_memory = len(index.starts) * (index.starts.itemsize + index.numbers.itemsize)
    rows = [("load, ms", f"{loading:.0f}"), ("on disk, MB", f"{DATA_FILE.stat().st_size / 1e6:.2f}")]
    rows += [("in memory, runs, MB", f"{in_memory / 1e6:.2f}"), ("peak while loading, MB", f"{_peak_megabytes():.1f}")]
    rows += [("runs", f"{len(index.starts)}"), ("sets of countries", f"{len(index.sets)}")]
    rows += _whole_and_split()
    spots = random.Random(1)
    cells = [h3.latlng_to_cell(spots.uniform(-60, 75), spots.uniform(-180, 180), 7) for _ in range(LOOKUPS)]
    named = [format_cell(cell) for cell in cells]
    rows.append(("lookup, resolution 7, integer, ns", f"{_nanoseconds(countries, cells):.0f}"))
    rows.append(("lookup, resolution 7, text, ns", f"{_nanoseconds(countries, named):.0f}"))
    for res in (6, 5, 4, 2, 0):
        coarse = [at(cell, res) for cell in cells[:5000]]
        rows.append((f"lookup, resolution {res}, integer, ns", f"{_nanoseconds(countries, coarse):.0f}"))
    for name, figure in rows:
        print(f"| {name:<40} | {figure:>12} |")


def _nanoseconds(look: Callable[[int | str], frozenset[str]], cells: list[int] | list[str]) -> float:
    before = time.perf_counter_ns()
    for cell in cells:
        look(cell)
    return (time.perf_counter_ns() - before) / len(cells)


def _peak_megabytes() -> float:
    tracemalloc.start()
    load.__wrapped__()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def _whole_and_split() -> list[tuple[str, str]]:
    """Count how many cells of resolution 5 with land are of one piece, and how many differ inside."""
    index = load()
    fives = {start >> 6 << 6 for start in index.starts if start & 63}
    sevens = sum(1 for start in index.starts if start & 63)
    return [("resolution-5 cells that differ inside", f"{len(fives)}"), ("runs that begin inside one", f"{sevens}")]


if __name__ == "__main__":
    main()
