"""Rows that many jobs write: `python -m tests.bench.hot_rows`. Three coordinators submit and end jobs as fast as they can, all
of one account, or each of accounts of its own; how many jobs a second, and how many transactions wait for another's rows."""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from uuid import uuid4

from sqlalchemy import text

from coordinator.store import accounts, kinds
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.engine import Engine, alone, connect
from coordinator.store.migrate import migrate
from coordinator.store.rows import KindSpec
from shared.processes import free_port
from tests.bench.figure import Figure, percentile, table
from tests.bench.ground import Helper
from tests.postgres.made import HOLD, NOW

COORDINATORS = 3
MANY = 300
GROUP = 16
LOOK_S = 0.01
WAITING = text("""
    SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()""")


async def measured(folder: Path, seconds: float) -> list[Figure]:
    """One account, then many, on one server."""
    postgres = EmbeddedPostgres(folder / "postgres", free_port())
    try:
        url = postgres.start()
        await migrate(url)
        engine = connect(url)
        try:
            async with engine.begin() as conn:
                kind = (await kinds.intern(conn, KindSpec(model="m", context=2048))).id
            one = await _open(engine, 1)
            own = [await _open(engine, MANY // COORDINATORS) for _ in range(COORDINATORS)]
            loads = {
                f"{COORDINATORS} coordinators, each with {len(own[0])} accounts": own,
                f"{COORDINATORS} coordinators, one account": [one] * COORDINATORS,
                "1 coordinator, one account": [one],
            }
            found = [await _run(engine, url, name, owners, kind, seconds) for name, owners in loads.items()]
            return [figure for figures in found for figure in figures]
        finally:
            await engine.dispose()
    finally:
        postgres.stop()


async def _open(engine: Engine, many: int) -> list[tuple[str, str]]:
    """So many accounts with credit for all that may come, and their keys."""
    made = [(uuid4(), uuid4()) for _ in range(many)]
    async with engine.begin() as conn:
        for account, key in made:
            await accounts.create_account(conn, account, "bench", NOW)
            await accounts.create_key(conn, key, account, name="k", secret_hash=key.hex, prefix="hive_k", now=NOW)
            await accounts.grant(conn, account, 10**6 * HOLD, uuid4(), NOW)
    return [(str(account), str(key)) for account, key in made]


async def _run(
    engine: Engine, url: str, name: str, owners: list[list[tuple[str, str]]], kind: int, seconds: float
) -> list[Figure]:
    told = {"url": url, "kind": kind, "seconds": seconds, "group": GROUP}
    helpers = [
        await Helper.start("tests.bench.hot_rows_coordinator", told | {"accounts": accounts, "worker": f"{n:064x}"})
        for n, accounts in enumerate(owners)
    ]
    looks: list[int] = []
    looking = asyncio.create_task(_looks(engine, looks))
    found = [await helper.finish() for helper in helpers]
    looking.cancel()
    await asyncio.wait([looking])
    return [
        Figure(f"{name}: jobs/s", sum(one["ended"] for one in found) / seconds, "1/s"),
        Figure(f"{name}: a submit of {GROUP}, p50", percentile([t for one in found for t in one["submit"]], 50), "ms"),
        Figure(f"{name}: an end of {GROUP}, p50", percentile([t for one in found for t in one["end"]], 50), "ms"),
        Figure(f"{name}: transactions that wait for a row, on average", sum(looks) / max(1, len(looks)), ""),
    ]


async def _looks(engine: Engine, looks: list[int]) -> None:
    """How many transactions wait for another's lock, time and again."""
    async with alone(engine) as conn:
        while True:
            looks.append(int(await conn.scalar(WAITING) or 0))
            await asyncio.sleep(LOOK_S)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.hot_rows", description="Measure rows that many jobs write."
    )
    parser.add_argument("--seconds", type=float, default=10, help="how long each load lasts")
    chosen = parser.parse_args()
    load = Figure("load of the machine before, in processes", os.getloadavg()[0], f"on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="hive-hot-rows-") as folder:
        print(table([load, *asyncio.run(measured(Path(folder), chosen.seconds))]))


if __name__ == "__main__":
    main()
