"""Our engine beside llama-server: the same file, the same threads, in turns; as ratios.

`python -m tests.bench.engine` alone, or with all others by `make figures`.
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from shared.catalogue import catalogue
from shared.tokens import Vocabulary
from tests.bench import random_model
from tests.bench.decode_share import python_share
from tests.bench.figure import Figure, table
from tests.bench.peer import Ours, Side, Theirs, rate
from tests.machine.llama_server import llama_server
from worker.engine.process import Engine

STREAMS = (1, 4, 8)
SLOTS, CONTEXT = 8, 2048
ROUNDS = 5
WORDS = "the small house by the river had a red door and "
Sides = tuple[Side, Side]


async def measure(folder: Path) -> list[Figure]:
    """All figures: the 1.1 B model against its targets, hive-nano only told."""
    large, nano = folder / "random-1.1b.gguf", catalogue()["hive-nano"].path
    await asyncio.to_thread(random_model.write, large)
    threads = min(os.cpu_count() or 1, 8)
    figures = await _beside(large, "1.1 B", threads=threads, tokens=24, aimed=True)
    figures += await _beside(nano, "hive-nano", threads=1, tokens=200, aimed=False)
    for file, name, used, target in ((large, "1.1 B", threads, 5.0), (nano, "hive-nano", 1, None)):
        for streams in (1, SLOTS):
            share = await python_share(file, streams=streams, threads=used)
            figures.append(Figure(f"{name}: Python's share of a step, {streams} streams", share * 100, "%", target))
    return [*figures, Figure("hive-nano, from kill -9 to ready again", await _restart(nano), "s", 3)]


async def _restart(file: Path) -> float:
    """Seconds until an engine that was killed has its model again, the longest of some."""
    changed = asyncio.Event()
    engine = Engine(file, slots=SLOTS, context=CONTEXT, changed=changed.set)
    running = asyncio.create_task(engine.run())
    longest = 0.0
    for _ in range(ROUNDS):
        await engine.ready()
        changed.clear()
        began, pid = perf_counter(), engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await changed.wait()
        await engine.ready()
        longest = max(longest, perf_counter() - began)
    await engine.stop()
    await running
    return longest


async def _beside(file: Path, name: str, *, threads: int, tokens: int, aimed: bool) -> list[Figure]:
    figures = []
    async with both(file, threads) as (ours, theirs):
        for streams in STREAMS:
            prompts = [f"{i} {WORDS}" for i in range(streams)]
            mine, peers = await _in_turns(ours, theirs, lambda side, p=prompts: rate(side, p, tokens))  # type: ignore[misc]
            ratio = median(a / b for a, b in zip(mine, peers, strict=True))
            figures.append(Figure(f"{name}, {streams} streams: ours", median(mine), "tokens/s"))
            figures.append(Figure(f"{name}, {streams} streams: llama-server", median(peers), "tokens/s"))
            figures.append(Figure(f"{name}, {streams} streams: ratio", ratio, "×", 1.0 if aimed else None, floor=True))
        mine, peers = await _in_turns(ours, theirs, _first_token)
        ratio = median(a / b for a, b in zip(mine, peers, strict=True))
        figures.append(Figure(f"{name}, first token after 200 tokens: ours", median(mine) * 1000, "ms"))
        figures.append(Figure(f"{name}, first token after 200 tokens: ratio", ratio, "×", 1.1 if aimed else None))
        shares = [await _shared_prefix(ours, n) for n in range(2)]
        share = median(shares)
        figures.append(
            Figure(f"{name}, 1 000 tokens in common: second over first", share, "×", 0.15 if aimed else None)
        )
    return figures


@asynccontextmanager
async def both(file: Path, threads: int) -> AsyncIterator[Sides]:
    """Our engine and llama-server with the same file, threads, slots and context, both warm."""
    engine = Engine(file, slots=SLOTS, context=CONTEXT, threads=threads)
    running = asyncio.create_task(engine.run())
    params = {"n_parallel": SLOTS, "n_ctx": SLOTS * CONTEXT, "cpuparams.n_threads": threads, "warmup": True}
    params["n_threads_http"] = 2 * SLOTS
    async with llama_server(**{"model.path": str(file), "cpuparams_batch.n_threads": threads, **params}) as server:
        await engine.ready()
        sides = Ours(engine, sorted(Vocabulary(file).end_ids)), Theirs(server.address)
        for side in sides:
            await side.answer(WORDS, 4)
        yield sides
    await engine.stop()
    await running


async def _in_turns(
    ours: Side, theirs: Side, measured: Callable[[Side], Awaitable[float]]
) -> tuple[list[float], list[float]]:
    """Both sides in each round, who goes first changing: what else the machine does falls on both."""
    found: dict[int, list[float]] = {0: [], 1: []}
    sides: Sequence[Side] = (ours, theirs)
    for number in range(ROUNDS):
        for which in (0, 1) if number % 2 else (1, 0):
            found[which].append(await measured(sides[which]))
    return found[0], found[1]


async def _first_token(side: Side) -> float:
    return (await side.answer(WORDS * 16, 1)).first_s


async def _shared_prefix(side: Side, number: int) -> float:
    """The second request's first token over the first's, with some 1 000 tokens in common."""
    common = f"{number} " + WORDS * 82
    first = await side.answer(common + "one", 1, cached=True)
    second = await side.answer(common + "two", 1, cached=True)
    return second.first_s / first.first_s


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="hive-figures-") as where:
        print(table(asyncio.run(measure(Path(where)))))
