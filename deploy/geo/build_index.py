"""Makes shared/geo/h3_countries.bin from Natural Earth's borders: `python -m deploy.geo.build_index PACKAGE OUT`.

PACKAGE is the unpacked npm package `world-atlas` (deploy/geo/README.md says how to get it). The same input and the same
versions of h3 and shapely give the same bytes.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import h3.api.basic_int as h3

from deploy.geo.covering import ALLOWANCE_KM, FINE_RESOLUTION, UNIT_RESOLUTION, Surveyor
from deploy.geo.natural_earth import read_land
from deploy.geo.packing import Run, merge, pack
from shared.geo.index import start_key


def main() -> None:
    """Read the atlas, survey the whole Earth and write the index."""
    arguments = _arguments()
    atlas = arguments.package / "countries-10m.json"
    version = json.loads((arguments.package / "package.json").read_bytes())["version"]
    source = {
        "source": "Natural Earth 4.1.0, 1:10m admin 0 countries (public domain)",
        "package": f"world-atlas {version}",
        "sha256": hashlib.sha256(atlas.read_bytes()).hexdigest(),
        "resolution": FINE_RESOLUTION,
        "allowance_km": ALLOWANCE_KM,
    }
    runs = list(merge(survey_earth(Surveyor(read_land(atlas)))))
    arguments.out.write_bytes(pack(runs, source))
    print(f"{arguments.out}: {len(runs)} runs, {arguments.out.stat().st_size} bytes")


def survey_earth(surveyor: Surveyor) -> Iterator[Run]:
    """Give (start key, codes) for the whole Earth in the order of keys."""
    for done, base in enumerate(sorted(h3.get_res0_cells())):
        print(f"\r{done} of 122 base cells", end="", file=sys.stderr, flush=True)
        for unit in sorted(h3.cell_to_children(base, UNIT_RESOLUTION)):
            yield from ((start_key(cell), codes) for cell, codes in surveyor.survey(unit))
    print(file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="the unpacked npm package world-atlas")
    parser.add_argument("out", type=Path, help="the index to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
