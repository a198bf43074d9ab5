"""How long a stream stands still when its worker is gone, and how soon a worker hears that its client is: `python -m
tests.bench.handover`, or `make figures`.

A worker is gone in three ways: its process is killed (the system closes its socket), stopped (nothing is closed), or its
line passes nothing on any more.
"""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.chaos_proxy import Proxy
from tests.bench.figure import Figure, percentile, table
from tests.bench.ground import Ground, Helper, coordinator, coordinators
from tests.bench.reading import Told, read

SAYS = " ".join(f"{n} is followed by {n + 1}." for n in range(200))
WORKERS: dict[str, Any] = {"workers": 4, "slots": 8, "chunk": 1, "says": SAYS}
PACE_S, SLOW_S = 0.05, 0.25
READERS = 24
TOKENS, SLOW_TOKENS = 100, 56
ROUNDS = {"closed": 4, "stopped": 2, "cable": 2}
BEGUN_S = 1.5
CANCELS, AT_ONCE = 200, 20
MAX_P50, MAX_P99, MAX_CANCEL = 500.0, 10_000.0, 250.0


async def measure(folder: Path) -> list[Figure]:
    """All of it."""
    figures = []
    async with coordinator(folder / "one") as ground:
        for how, rounds in ROUNDS.items():
            figures += await _handed(ground, how, rounds)
        figures += await _cancelled("the same coordinator", ground, ground)
    async with coordinators(folder / "two", 2) as (near, far):
        figures += await _cancelled("another coordinator", near, far)
    return figures


async def _handed(ground: Ground, how: str, rounds: int) -> list[Figure]:
    told = [one for _ in range(rounds) for one in await _round(ground, how)]
    gaps = [one.gap_ms() for one in told]
    right = sum(one.whole and SAYS.startswith("".join(one.texts)) for one in told)
    named = {
        "closed": "its worker was killed",
        "stopped": "its worker was stopped",
        "cable": "its worker's cable was pulled",
    }
    return [
        Figure(f"a stream when {named[how]}: streams", len(told), ""),
        Figure("  that ended whole and unduplicated", right, "", len(told), floor=True),
        Figure("  stood still for, p50", percentile(gaps, 50), "ms", MAX_P50 if how == "closed" else None),
        Figure("  stood still for, p99", percentile(gaps, 99), "ms", None if how == "closed" else MAX_P99),
    ]


async def _round(ground: Ground, how: str) -> list[Told]:
    """The streams of workers that go while they speak; as many others are there to go on."""
    pace, tokens = (PACE_S, TOKENS) if how == "closed" else (SLOW_S, SLOW_TOKENS)
    line = Proxy(urlsplit(ground.base_url).port or 0)
    async with line.running():
        url = f"ws://127.0.0.1:{line.port}/hive/worker" if how == "cable" else ground.worker_url
        going = await Helper.start("tests.bench.workers", WORKERS | {"url": url, "pace_s": pace})
        gone = set(await going.hear())
        readers = [asyncio.create_task(read(ground.base_url, ground.api_key, tokens)) for _ in range(READERS)]
        await asyncio.sleep(BEGUN_S)
        staying = await Helper.start("tests.bench.workers", WORKERS | {"url": ground.worker_url, "pace_s": pace})
        await staying.hear()
        if how == "cable":
            line.open.clear()
        else:
            going.send(signal.SIGKILL if how == "closed" else signal.SIGSTOP)
        told = await asyncio.gather(*readers)
        await staying.finish()
        if how != "closed":
            going.send(signal.SIGKILL)
        line.open.set()
    return [one for one in told if one.worker in gone]


async def _cancelled(where: str, near: Ground, far: Ground) -> list[Figure]:
    """The workers are at `near`, the clients, which leave in the middle, at `far`."""
    workers = await Helper.start(
        "tests.bench.workers", WORKERS | {"url": near.worker_url, "pace_s": PACE_S, "cancels": True}
    )
    await workers.hear()
    room = asyncio.Semaphore(AT_ONCE)

    async def one(pieces: int) -> Told:
        async with room:
            return await read(far.base_url, far.api_key, TOKENS, pieces=pieces)

    told = await asyncio.gather(*(one(3 + n % 20) for n in range(CANCELS)))
    await asyncio.sleep(1)
    stopped: dict[str, int] = await workers.finish()
    waits = [(stopped[one.job] - one.left_at) / 1e6 for one in told if one.job in stopped]
    return [
        Figure(f"clients that left, at {where}: cancels that came", len(waits), "", CANCELS, floor=True),
        Figure("  the worker heard after, p50", percentile(waits, 50), "ms"),
        Figure("  the worker heard after, p99", percentile(waits, 99), "ms", MAX_CANCEL),
    ]


def main() -> None:
    """Measure and print; exit code 1 if a target is missed."""
    with tempfile.TemporaryDirectory(prefix="hive-handover-") as folder:
        figures = asyncio.run(measure(Path(folder)))
    print(table(figures))
    sys.exit(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    main()
