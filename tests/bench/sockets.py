"""What workers cost that do nothing but live, and what happens when all of them come back at once.

`python -m tests.bench.sockets --workers 10000` alone; `make figures` takes it along.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.figure import Figure, percentile, table
from tests.bench.ground import Ground, Helper, coordinator
from tests.bench.http import Line

STEPS = (1_000, 3_000, 10_000)
SETTLE_S = 6.0
WATCHED_S = 20.0
"""Long enough for two looks at the register and the books, which come every ten seconds."""

BACK_S = 60.0
PROBE_S = 0.02
MAX_MB, MAX_CORE, MAX_BACK_S, MAX_HEALTH_MS = 500.0, 10.0, 30.0, 100.0


async def measure(folder: Path) -> list[Figure]:
    """All of it, at the sizes of the targets."""
    return await measured(folder, STEPS, WATCHED_S, again=True)


async def measured(folder: Path, steps: tuple[int, ...], seconds: float, *, again: bool) -> list[Figure]:
    """Memory and processor at each size, then, if told to, the return of all after the coordinator was killed."""
    figures, helpers = list[Figure](), list[Helper]()
    async with coordinator(folder) as ground:
        alone = ground.megabytes()
        for first, many in zip((0, *steps), steps, strict=False):
            helpers.append(await _join(ground, first, many - first, figures))
            await asyncio.sleep(SETTLE_S)
            figures += await _idle(ground, many, seconds, alone, last=many == steps[-1])
        if again:
            figures += await _herd(ground, helpers, steps[-1])
        for helper in helpers:
            await helper.finish()
    return figures


async def _join(ground: Ground, first: int, many: int, figures: list[Figure]) -> Helper:
    began, busy = time.monotonic(), ground.cpu_seconds()
    helper = await Helper.start(
        "tests.bench.sockets_workers", {"url": ground.worker_url, "first": first, "workers": many}
    )
    await helper.hear()
    used = {name: spent - busy[name] for name, spent in ground.cpu_seconds().items()}
    figures.append(Figure(f"{many} more workers joined", many / (time.monotonic() - began), "/s"))
    figures += [Figure(f"  processor time for one, {name}", 1000 * used[name] / many, "ms") for name in used]
    return helper


async def _idle(ground: Ground, many: int, seconds: float, alone: float, *, last: bool) -> list[Figure]:
    async with probing(ground) as waits:
        busy, began = ground.cpu_seconds(), time.monotonic()
        await asyncio.sleep(seconds)
        passed = time.monotonic() - began
        used = {name: 100 * (spent - busy[name]) / passed for name, spent in ground.cpu_seconds().items()}
    probes = 100 * PROBE_COST_S * len(waits) / passed
    megabytes = ground.megabytes()
    return [
        Figure(f"{many} idle workers: memory of the coordinator", megabytes, "MB", MAX_MB if last else None),
        Figure("  for each of them", 1000 * (megabytes - alone) / many, "KB"),
        Figure("  processor of the coordinator", used["coordinator"], "% of a core", MAX_CORE if last else None),
        Figure("  of it for the probes of /health, about", probes, "% of a core"),
        Figure("  processor of PostgreSQL", used["PostgreSQL"], "% of a core"),
        Figure("  /health meanwhile, p50", percentile(waits, 50), "ms"),
        Figure("  /health meanwhile, p99", percentile(waits, 99), "ms"),
        Figure("  /health meanwhile, the longest", max(waits), "ms"),
    ]


PROBE_COST_S = 0.0003


@asynccontextmanager
async def probing(ground: Ground) -> AsyncIterator[list[float]]:
    """How long (ms) each answer took meanwhile of one who asks for /health all the time; a coordinator that is not there is
    asked again."""
    waits: list[float] = []
    asking = asyncio.create_task(_ask(ground, waits))
    try:
        yield waits
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def _ask(ground: Ground, waits: list[float]) -> None:
    line: Line | None = None
    while True:
        await asyncio.sleep(PROBE_S)
        began = time.perf_counter()
        try:
            line = line or await Line.open(ground.base_url)
            await line.ask("GET", "/health", {})
            waits.append((time.perf_counter() - began) * 1000)
        except (OSError, EOFError):
            line = None


async def _herd(ground: Ground, helpers: list[Helper], many: int) -> list[Figure]:
    """The coordinator is killed and comes back: how long until all workers are there again, and is it there for clients?"""
    before = sum([(await helper.ask())["tries"] for helper in helpers])
    ground.kill()
    died = time.monotonic()
    await ground.listening()
    up, busy = time.monotonic(), ground.cpu_seconds()
    told = []
    async with probing(ground) as waits:
        while time.monotonic() - up < BACK_S:
            told = [await helper.ask() for helper in helpers]
            if sum(one["there"] for one in told) == many:
                break
            await asyncio.sleep(0.25)
    used = ground.cpu_seconds()["coordinator"] - busy["coordinator"]
    there = sum(one["there"] for one in told)
    last = max((at for one in told for at in one["at"]), default=0) / 1e9
    return [
        Figure(f"killed and started again: of {many} workers there again", there, "", many, floor=True),
        Figure("  the coordinator was away for", up - died, "s"),
        Figure("  the last was back after", last - up, "s", MAX_BACK_S),
        Figure("  connections for each", (sum(one["tries"] for one in told) - before) / many, ""),
        Figure("  processor time of the coordinator for each", 1000 * used / many, "ms"),
        Figure("  /health meanwhile, p50", percentile(waits, 50), "ms"),
        Figure("  /health meanwhile, p99", percentile(waits, 99), "ms", MAX_HEALTH_MS),
        Figure("  /health meanwhile, the longest", max(waits), "ms"),
    ]


def main() -> None:
    """Measure and print; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sockets", description="Measure idle workers' sockets.")
    parser.add_argument("--workers", type=int, action="append", help="measure with so many; may be repeated, growing")
    parser.add_argument("--seconds", type=float, default=WATCHED_S, help="how long to watch them")
    parser.add_argument("--no-return", action="store_true", help="leave the return of all out")
    chosen = parser.parse_args()
    steps = tuple(chosen.workers or STEPS)
    load = Figure("load of the machine before, in processes", os.getloadavg()[0], f"on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="hive-sockets-") as folder:
        figures = asyncio.run(measured(Path(folder), steps, chosen.seconds, again=not chosen.no_return))
    print(table([load, *figures]))
    sys.exit(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    main()
