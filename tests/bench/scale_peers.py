"""Other queues on the same PostgreSQL: each gets so many jobs that do nothing, and drains them. It runs in an environment of
its own, which the bench makes: `python scale_peers.py NAME DSN JOBS` prints jobs per second."""

import asyncio
import sys
import time
from typing import Any

CHUNK = 1000


async def pgqueuer(dsn: str, jobs: int) -> float:
    """Without any filter, in batches of 100."""
    import asyncpg  # noqa: PLC0415 - only one of the two is wanted, in an environment that has both
    from pgqueuer import PgQueuer  # type: ignore[import-not-found]  # noqa: PLC0415
    from pgqueuer.db import AsyncpgDriver  # type: ignore[import-not-found]  # noqa: PLC0415
    from pgqueuer.queries import Queries  # type: ignore[import-not-found]  # noqa: PLC0415
    from pgqueuer.types import QueueExecutionMode  # type: ignore[import-not-found]  # noqa: PLC0415

    connection = await asyncpg.connect(dsn)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    for _ in range(0, jobs, CHUNK):
        await queries.enqueue(["nothing"] * CHUNK, [b"x" * 100] * CHUNK, [0] * CHUNK)
    queue, done = PgQueuer(AsyncpgDriver(connection)), 0

    @queue.entrypoint("nothing")  # type: ignore[untyped-decorator]
    async def nothing(job: Any) -> None:
        nonlocal done
        done += 1

    began = time.perf_counter()
    await queue.run(batch_size=100, mode=QueueExecutionMode.drain)
    took = time.perf_counter() - began
    if done < jobs:
        raise RuntimeError(f"{done} of {jobs} jobs were done")
    return done / took


async def procrastinate(dsn: str, jobs: int) -> float:
    """Without any filter, 16 at a time."""
    from procrastinate import App, PsycopgConnector  # type: ignore[import-not-found]  # noqa: PLC0415

    app, done = App(connector=PsycopgConnector(conninfo=dsn)), 0

    @app.task(name="nothing", pass_context=False)  # type: ignore[untyped-decorator]
    async def nothing(text: str) -> None:
        nonlocal done
        done += 1

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for _ in range(0, jobs, CHUNK):
            await nothing.batch_defer_async(*({"text": "x" * 100} for _ in range(CHUNK)))
        began = time.perf_counter()
        await app.run_worker_async(wait=False, concurrency=16, listen_notify=False, install_signal_handlers=False)
        took = time.perf_counter() - began
    if done < jobs:
        raise RuntimeError(f"{done} of {jobs} jobs were done")
    return done / took


if __name__ == "__main__":
    name, dsn, jobs = sys.argv[1:]
    print(asyncio.run({"pgqueuer": pgqueuer, "procrastinate": procrastinate}[name](dsn, int(jobs))))
