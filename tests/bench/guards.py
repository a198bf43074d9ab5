"""What guards cost: a chat of a usual length, the longest text that is taken, and how long others wait meanwhile."""

import asyncio
import time
from pathlib import Path

from coordinator.guard.gate import admit, installed
from coordinator.guard.guard import Guard, Text
from tests.bench.figure import Figure, percentile

SENTENCE = "The committee met on 3 May 2024, read all of the 12 earlier reports and asked 4 questions about them. "
USUAL = 1_000
LONGEST = 4 << 20
ROUNDS = 300
MS = 1_000.0
US = 1_000_000.0


async def measure(_folder: Path) -> list[Figure]:
    """Each built-in guard over a harmless text, which is read to its end."""
    known = installed([])
    figures = []
    for name, guard in known.items():
        usual, longest = _text(USUAL), _text(LONGEST)
        took = [await _admitted(guard, usual) * US for _ in range(ROUNDS)]
        waited: list[float] = []
        waiting = asyncio.create_task(_wait(waited))
        whole = await _admitted(guard, longest)
        waiting.cancel()
        figures += [
            Figure(f"{name} over {USUAL} characters, p50", percentile(took, 50), "µs"),
            Figure("  over 4 MiB, in a thread", whole * MS, "ms"),
            Figure("  meanwhile others waited at most", max(waited) * MS, "ms"),
        ]
    return figures


def _text(characters: int) -> Text:
    return Text("messages[0]", "user", (SENTENCE * (characters // len(SENTENCE) + 1))[:characters])


async def _admitted(guard: Guard, text: Text) -> float:
    began = time.perf_counter()
    await admit([guard], [text])
    return time.perf_counter() - began


async def _wait(waited: list[float]) -> None:
    """How late the event loop comes back to who gave way, for as long as the task runs."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0)
        waited.append(time.perf_counter() - began)
