"""The queue as it grows: `python -m tests.bench.scale`. Claims at 1 000 to 1 000 000 waiting jobs beside a transaction that is
open all the while, with 100 to 10 000 workers; a chat beside a batch; jobs a second on the bare queue, beside two other
queues on the same server.

Nothing else should run meanwhile. `--seconds 600` is the ten minutes that the figures are asked for.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url

from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.engine import alone, connect
from coordinator.store.migrate import migrate
from shared.processes import free_port, seldom_collect
from tests.bench.figure import Figure, percentile, table
from tests.bench.scale_chart import chart
from tests.bench.scale_claims import FREE, Crew, Measured, Queue, claimed, idle, opened
from tests.bench.scale_neighbour import neighbour

ROWS = (1_000, 10_000, 100_000, 1_000_000)
WORKERS = (100, 1_000, 10_000)
DRAINED = 40_000
PEERS = ("pgqueuer", "procrastinate")
PEER_JOBS = 10_000
PEERS_HOME = Path(tempfile.gettempdir()) / f"hive-bench-peers-{os.getuid()}"
MAX_MS, FLOOR = 10.0, 2000.0


async def measured(
    folder: Path, rows: Sequence[int], seconds: float, peers: Sequence[str], *, claims_only: bool
) -> list[Figure]:
    """All of it on one server."""
    postgres = EmbeddedPostgres(folder / "postgres", free_port())
    try:
        url = postgres.start()
        await migrate(url)
        engine = connect(url)
        try:
            queue = await opened(engine)
            sizes = {many: await at_size(queue, many, seconds) for many in rows}
            figures = claims(sizes, seconds)
            say(table(figures))
            if claims_only:
                return figures
            for online in WORKERS:
                busy = await at_size(queue, 10_000, min(seconds, 10), Crew(queue, online))
                rested = await at_size(queue, 10_000, min(seconds, 10), Crew(queue, online, idle=True))
                figures += registered(online, busy, rested)
            figures += await neighbour(queue)
            rate = await bare(queue, min(seconds, 20))
            given = await bare(queue, min(seconds, 20), complete=False)
        finally:
            await engine.dispose()
        others = {name: await peer(name, url) for name in peers}
        return figures + rates(rate, given, others)
    finally:
        postgres.stop()


async def at_size(queue: Queue, many: int, seconds: float, crew: Crew | None = None) -> Measured:
    """Claims for so long while so many jobs wait, beside an idle transaction."""
    crew = crew or Crew(queue, 100)
    named = f"{many} jobs, {crew.online} workers"
    say(f"{named}: filling")
    await queue.empty()
    await queue.workers(crew.online)
    await queue.fill(many)
    async with alone(queue.engine) as conn:
        await conn.execute(text("SET statement_timeout = 0"))
        await conn.execute(text("VACUUM ANALYZE jobs"))
        await conn.execute(text("RESET statement_timeout"))
    say(f"{named}: claiming for {seconds:g} s")
    async with idle(queue.engine):
        return await claimed(queue, seconds, crew, top_up=True, say=lambda so_far: say(f"{named}: {so_far}"))


async def bare(queue: Queue, seconds: float, *, complete: bool = True) -> Measured:
    """Drains what waits, for so long."""
    say("the bare queue")
    await queue.empty()
    await queue.workers(100)
    await queue.fill(DRAINED)
    return await claimed(queue, seconds, Crew(queue, 100), top_up=False, complete=complete, say=say)


def say(what: str) -> None:
    """Tells how far it is, beside the figures."""
    print(what, file=sys.stderr, flush=True)


async def peer(name: str, url: str) -> float:
    """Jobs a second of another queue on a database of its own."""
    say(name)
    engine = connect(url)
    async with alone(engine) as conn:
        await conn.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        await conn.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    dsn = make_url(url).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    program = [str(PEERS_HOME / "bin" / "python"), str(Path(__file__).with_name("scale_peers.py"))]
    process = await asyncio.create_subprocess_exec(
        *program, name, dsn, str(PEER_JOBS), stdout=subprocess.PIPE, cwd=PEERS_HOME
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{name} ended with {process.returncode}")
    return float(said.split()[-1])


def make_peers() -> None:
    """An environment with the other queues, outside the checkout, made once."""
    if not (PEERS_HOME / "ready").exists():
        venv.create(PEERS_HOME, with_pip=True, clear=True)
        packages = [*PEERS, "asyncpg", "psycopg[binary,pool]"]
        subprocess.run([str(PEERS_HOME / "bin" / "python"), "-m", "pip", "install", "-q", *packages], check=True)
        (PEERS_HOME / "ready").touch()


def claims(sizes: dict[int, Measured], seconds: float) -> list[Figure]:
    """The claim at each size, and how it grows from the smallest to the largest."""
    figures = []
    for many, found in sizes.items():
        named = f"{many} jobs waiting, {seconds:g} s beside an idle transaction"
        figures.append(Figure(f"{named}: claim, p50", percentile(found.claims, 50), "ms"))
        figures.append(Figure(f"{named}: claim, p99", percentile(found.claims, 99), "ms", MAX_MS))
        figures.append(Figure(f"{named}: jobs ended meanwhile", found.ended / found.seconds, "1/s"))
        figures.append(Figure(f"{named}: a look at all kinds at its end", found.look, "ms"))
    least, most = min(sizes), max(sizes)
    grown = percentile(sizes[most].claims, 99) / percentile(sizes[least].claims, 99)
    return [*figures, Figure(f"claim p99 at {most} over that at {least}", grown, "×", 2.0)]


def registered(online: int, busy: Measured, rested: Measured) -> list[Figure]:
    """The claim, and the decision whose jobs to claim and who gets them, with so many workers: a few free, or all of them."""
    return [
        Figure(f"{online} workers: claim, p99", percentile(busy.claims, 99), "ms", MAX_MS),
        Figure(f"{online} workers, {FREE} slots free: decision, p50", percentile(busy.decisions, 50), "ms"),
        Figure(f"{online} workers, {FREE} slots free: decision, p99", percentile(busy.decisions, 99), "ms"),
        Figure(f"{online} workers, all free: decision, p50", percentile(rested.decisions, 50), "ms"),
        Figure(f"{online} workers, all free: decision, p99", percentile(rested.decisions, 99), "ms"),
    ]


def rates(own: Measured, given: Measured, others: dict[str, float]) -> list[Figure]:
    """Jobs a second on the bare queue: filtered and leased; and ended and paid as well, beside others that do neither."""
    rate = own.ended / own.seconds
    figures = [
        Figure("bare queue: jobs claimed and assigned", given.ended / given.seconds, "1/s", FLOOR, floor=True),
        Figure("bare queue: jobs claimed, assigned and completed", rate, "1/s"),
    ]
    for name, theirs in others.items():
        figures += [Figure(f"{name}: jobs done", theirs, "1/s"), Figure(f"bare queue over {name}", rate / theirs, "×")]
    return figures


def main() -> None:
    """Measure, print, and draw if asked to; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description="Measure the queue as it grows.")
    parser.add_argument("--seconds", type=float, default=20, help="how long to claim at each size")
    parser.add_argument("--rows", type=int, action="append", help="measure this size; may be repeated")
    parser.add_argument("--no-peers", action="store_true", help="leave the other queues out")
    parser.add_argument("--claims-only", action="store_true", help="leave all out but the claims at each size")
    parser.add_argument("--svg", type=Path, help="draw the claims into this file")
    chosen = parser.parse_args()
    peers = () if chosen.no_peers or chosen.claims_only else PEERS
    rows = chosen.rows or ROWS
    if peers:
        make_peers()
    load = Figure("load of the machine before, in processes", os.getloadavg()[0], f"on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="hive-scale-") as folder:
        seldom_collect()  # as a coordinator does
        measuring = measured(Path(folder), rows, chosen.seconds, peers, claims_only=chosen.claims_only)
        figures = [load, *asyncio.run(measuring)]
    print(table(figures))
    if chosen.svg:
        chosen.svg.write_text(chart(figures, rows))
    sys.exit(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    main()
