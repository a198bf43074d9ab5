"""What a worker costs while it has nothing to do: `python -m tests.bench.idle`, on a swarm of its own."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from tests.machine.terminal import terminal
from tests.support_up import running

SETTLE_S: Final = 5
SECONDS: Final = 20
MOST_RSS: Final = 60 * 2**20
MOST_PERCENT: Final = 0.5


def cost(pid: int) -> tuple[float, float]:
    """Resident MiB, and percent of a core with that of the probes that it starts; the engine's process is not in it."""
    process = psutil.Process(pid)
    time.sleep(SETTLE_S)
    before, began = spent(process), time.monotonic()
    time.sleep(SECONDS)
    percent = 100 * (spent(process) - before) / (time.monotonic() - began)
    return process.memory_info().rss / 2**20, percent


def spent(process: psutil.Process) -> float:
    """Processor seconds of the process and of its children that have ended."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


async def main() -> None:
    """Prints both figures for a worker without a terminal and for one with its picture."""
    with running("--workers", "1") as up, tempfile.TemporaryDirectory() as home:
        found = {"without a terminal": cost(up.ready.pids.workers[0])}
        words = ("join", "--coordinator", up.ready.base_url, "--cell", "871e8052affffff", "--set", "when.pause_for=cs2")
        with terminal(Path(home), *words) as t:
            await t.shows("ready, waiting for jobs")
            found["with its picture"] = cost(t.child.pid)
            t.press("q")
            await t.ends()
    for name, (rss, percent) in found.items():
        fits = "ok" if rss * 2**20 <= MOST_RSS and percent <= MOST_PERCENT else "TOO MUCH"
        print(f"{name:<20}{rss:7.1f} MiB {percent:6.2f} % of a core  {fits}")


if __name__ == "__main__":
    asyncio.run(main())
