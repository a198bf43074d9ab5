"""The project's figures, measured in one run on this machine: `python -m tests.bench.figures`, or `make figures`.

Nothing else should run meanwhile: everything that is measured shares the machine's cores.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from tests.bench import (
    demo,
    engine,
    engines,
    faces,
    first_token,
    guards,
    handover,
    idle,
    limits,
    models_list,
    sockets,
    streams,
    swarm_rates,
)
from tests.bench.figure import Figure, table

PARTS: dict[str, Callable[[Path], Awaitable[list[Figure]]]] = {
    "coordinator": swarm_rates.measure,
    "first-token": first_token.measure,
    "engine": engine.measure,
    "variants": engines.measure,
    "faces": faces.measure,
    "streams": streams.measure,
    "models": models_list.measure,
    "guards": guards.measure,
    "limits": limits.measure,
    "idle": idle.measure,
    "sockets": sockets.measure,
    "handover": handover.measure,
    "demo": demo.measure,
}


async def measured(names: list[str]) -> list[Figure]:
    """The figures of these parts, each on a data directory of its own."""
    figures = [Figure("load of the machine before, in processes", os.getloadavg()[0], f"on {os.cpu_count()} cores")]
    for name in names:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="hive-figures-") as folder:
            figures += await PARTS[name](Path(folder))
    return figures


def main() -> None:
    """Measure and print; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.figures", description="Measure the project's figures.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone; may be repeated")
    chosen = parser.parse_args()
    figures = asyncio.run(measured(chosen.only or list(PARTS)))
    if chosen.json:
        told = [msgspec.structs.asdict(f) | {"ratio": f.ratio, "holds": f.holds} for f in figures]
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        print(table(figures))
    sys.exit(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    main()
