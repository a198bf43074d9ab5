"""What a worker costs while it has nothing to do, on a swarm of its own."""

import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from tests.bench.figure import Figure
from tests.machine.terminal import terminal
from tests.support_up import running

SETTLE_S: Final = 5
SECONDS: Final = 20
MIB: Final = 2**20


async def measure(_folder: Path) -> list[Figure]:
    """Memory and processor of a worker without a terminal and of one with its picture; the engine's are not in them."""
    with running("--workers", "1") as up, tempfile.TemporaryDirectory() as home:
        figures = _cost("without a terminal", up.ready.pids.workers[0])
        words = ("join", "--coordinator", up.ready.base_url, "--cell", "871e8052affffff", "--set", "when.pause_for=cs2")
        with terminal(Path(home), *words) as t:
            await t.shows("ready, waiting for jobs")
            figures += _cost("with its picture", t.child.pid)
            t.press("q")
            await t.ends()
    return figures


def _cost(name: str, pid: int) -> list[Figure]:
    """Resident memory, and the share of a core with that of the probes that it starts."""
    process = psutil.Process(pid)
    time.sleep(SETTLE_S)
    before, began = _spent(process), time.monotonic()
    time.sleep(SECONDS)
    percent = 100 * (_spent(process) - before) / (time.monotonic() - began)
    return [
        Figure(f"idle worker {name}: memory beside the engine", process.memory_info().rss / MIB, "MiB", 60),
        Figure(f"idle worker {name}: of a core", percent, "%", 0.5),
    ]


def _spent(process: psutil.Process) -> float:
    """Processor seconds of the process and of its children that have ended."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
