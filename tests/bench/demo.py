"""How long `hive demo` takes once everything is installed and its files have been read once."""

import asyncio
import sys
import time
from pathlib import Path

from tests.bench.figure import Figure

TARGET_S = 20


async def measure(_folder: Path) -> list[Figure]:
    """The second of two runs, each on a new data directory, from the command to its exit."""
    seconds = [await _one_run() for _ in range(2)]
    return [Figure("hive demo, second run", seconds[1], "s", TARGET_S)]


async def _one_run() -> float:
    began, pipe = time.monotonic(), asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared", "demo", stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"hive demo ended with {process.returncode}: {said.decode()[-500:]}")
    return time.monotonic() - began
