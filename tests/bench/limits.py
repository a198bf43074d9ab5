"""What a key's limits cost, and whether three coordinators on one PostgreSQL ever admit one request too many."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from coordinator.store import limits
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.engine import Engine, connect
from coordinator.store.limits import Charged
from coordinator.store.migrate import migrate
from coordinator.store.rows import NewJob
from coordinator.submit.limits import charges, share
from coordinator.submit.plans import UNLIMITED, Limits
from coordinator.submit.writer import Writer
from shared.errors import RateLimited
from shared.processes import free_port
from tests.bench.figure import Figure, percentile
from tests.postgres.made import NOW, Shop, open_shop

COORDINATORS = 3
REQUESTS = 10_000
AT_ONCE = 300
ALLOWED = Limits(requests=1000, tokens=10**9)
DECISIONS = 2000
SUBMITS = 300
MS = 1000
TARGET_MS = 1.0


async def measure(folder: Path) -> list[Figure]:
    """The time of a decision and of a submission with and without limits, and the admitted of 10 000, on one server."""
    postgres = EmbeddedPostgres(folder / "postgres", free_port())
    try:
        url = postgres.start()
        await migrate(url)
        engines = [connect(url) for _ in range(COORDINATORS)]
        try:
            return [*await decisions(engines[0]), *await submissions(engines[0]), *await exactness(engines)]
        finally:
            for engine in engines:
                await engine.dispose()
    finally:
        postgres.stop()


async def decisions(engine: Engine) -> list[Figure]:
    """The statement that decides over requests and tokens of one key, in a transaction that is open already."""
    shop, took = await open_shop(engine), []
    await open_rows(shop)
    async with engine.begin() as conn:
        for number in range(DECISIONS):
            charged = [Charged(shop.key, charge) for charge in charges(Limits(requests=10**6, tokens=10**9), 100, NOW)]
            began = time.perf_counter()
            used = await limits.charge(conn, charged)
            took.append((time.perf_counter() - began) * MS)
            if len(used[shop.key]) != 2:
                raise RuntimeError(f"decision {number} refused what fits")
    return [
        Figure("a decision over requests and tokens, median", percentile(took, 50), "ms", TARGET_MS),
        Figure("a decision over requests and tokens, 99 of 100", percentile(took, 99), "ms"),
    ]


async def submissions(engine: Engine) -> list[Figure]:
    """A whole submission by a caller alone, one after the other, with its commit."""
    medians = []
    for allowed in (UNLIMITED, Limits(requests=10**6, tokens=10**9)):
        shop, writer, took = await open_shop(engine, credit=10**15), Writer(engine), []
        running = asyncio.create_task(writer.run())
        for _ in range(SUBMITS):
            began = time.perf_counter()
            await writer.submit(shop.job(limits=allowed))
            took.append((time.perf_counter() - began) * MS)
        running.cancel()
        medians.append(percentile(took, 50))
    return [
        Figure("a submission without limits, median", medians[0], "ms"),
        Figure("a submission with limits, median", medians[1], "ms"),
    ]


async def exactness(engines: list[Engine]) -> list[Figure]:
    """10 000 requests of one key, at one moment and as time passes; more or fewer than allowed is a miss."""
    still, _, _ = await admitted(engines, lambda: NOW)
    began, first = time.perf_counter(), datetime.now(UTC)
    passing, last, refused = await admitted(engines, lambda: datetime.now(UTC))
    seconds = time.perf_counter() - began
    assert ALLOWED.requests is not None, "this is what is measured"
    back = int((last - first).total_seconds() * 1e9) // share(ALLOWED.requests)
    return [
        Figure(f"admitted of {REQUESTS} at one moment", still, "requests", ALLOWED.requests),
        Figure(f"more or fewer than the {ALLOWED.requests} allowed", abs(still - ALLOWED.requests), "requests", 0),
        Figure(f"admitted of {REQUESTS} as time passes", passing, "requests", ALLOWED.requests + back),
        Figure("refused with Retry-After", refused, "requests", REQUESTS - ALLOWED.requests - back, floor=True),
        Figure(f"decided by {COORDINATORS} coordinators, refusals too", REQUESTS / seconds, "requests/s"),
    ]


async def admitted(engines: list[Engine], now: Callable[[], datetime]) -> tuple[int, datetime, int]:
    """How many of the requests were let in, when the last was sent, and how many were refused."""
    shop, last, counts = await open_shop(engines[0], credit=10**15), now(), {"in": 0, "out": 0}
    writers = [Writer(engine) for engine in engines]
    running = [asyncio.create_task(writer.run()) for writer in writers]
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        nonlocal last
        async with slots:
            job: NewJob = shop.job(limits=ALLOWED, created_at=now())
            last = max(last, job.created_at)
            try:
                await writers[number % COORDINATORS].submit(job)
                counts["in"] += 1
            except RateLimited as e:
                if not e.retry_after_s:
                    raise
                counts["out"] += 1

    await asyncio.gather(*(one(number) for number in range(REQUESTS)))
    for task in running:
        task.cancel()
    return counts["in"], last, counts["out"]


async def open_rows(shop: Shop) -> None:
    """The rows that a key's first submission makes."""
    async with shop.engine.begin() as conn:
        await limits.open_rows(conn, [(shop.key, "requests"), (shop.key, "tokens")])
