"""Days whose time is over are forgotten as a whole: their tables are detached and dropped, while jobs go on. So are claims of
lost workers that did not sign for them."""

from datetime import UTC, datetime, timedelta

from coordinator.settle import unsigned
from coordinator.store import partitions
from coordinator.store.engine import Engine, alone


async def one_round(engine: Engine, now: datetime, keep_days: int) -> list[str]:
    """Drops what is older than so many days; returns the names of the tables. Any number of coordinators may do so: one of
    them does. What somebody reads yet is left for the next round. What lost workers did not sign for in time is forfeited."""
    await unsigned.one_round(engine, now)
    first = (now - timedelta(days=keep_days)).astimezone(UTC).date()
    async with alone(engine) as conn:
        if not await partitions.over(conn, first) or not await partitions.alone_here(conn):
            return []
        try:
            dropped = []
            for partition in await partitions.over(conn, first):
                if partition.attached and not await partitions.detach(conn, partition):
                    break
                await partitions.drop(conn, partition)
                dropped.append(partition.name)
            return dropped
        finally:
            await partitions.let_others(conn)
