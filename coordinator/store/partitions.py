"""The daily partitions of the tables that grow: made ahead, so that midnight is like any other moment, and dropped when their
time is over."""

from datetime import date, timedelta
from typing import Final

from asyncpg.exceptions import QueryCanceledError
from sqlalchemy import exc, text

from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Row

DAYS_BEHIND: Final = 1
DAYS_AHEAD: Final = 7
_MAKE: Final = "SELECT hive_make_partitions(:first, :last)"
PASSING: Final = ("jobs_ended", "attempts", "job_events")
"""What is dropped after its time. Money and what proves it stay: the journal, payables and receipts."""

_OVER: Final = f"""
    SELECT p.relname AS parent, c.relname AS name, i.inhparent IS NOT NULL AS attached,
        coalesce(i.inhdetachpending, false) AS pending
    FROM unnest(CAST(ARRAY{list(PASSING)!r} AS text[])) AS w(relname) JOIN pg_class p ON p.oid = to_regclass(w.relname)
    JOIN pg_class c ON c.relnamespace = p.relnamespace AND c.relkind = 'r' AND c.relname ~ ('^' || p.relname || '_[0-9]{{8}}$')
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE right(c.relname, 8) < to_char(CAST(:first AS date), 'YYYYMMDD') ORDER BY pending DESC, right(c.relname, 8), 1
"""  # noqa: S608  # names of ours
_ALONE: Final = 1212765782


class Partition(Row, frozen=True, kw_only=True):
    """A table of one day: `attached` to its parent, or already detached, or halfway (`pending`)."""

    parent: str
    name: str
    attached: bool
    pending: bool


async def make_partitions(conn: Connection, today: date) -> int:
    """Makes the daily partitions around `today` (UTC) that are missing; returns how many."""
    span = {"first": today - timedelta(days=DAYS_BEHIND), "last": today + timedelta(days=DAYS_AHEAD)}
    return int(await conn.scalar(statement(_MAKE), span) or 0)


async def alone_here(conn: Connection) -> bool:
    """Whether nobody else drops partitions; nobody does then, until this connection `lets_others`."""
    return bool(await conn.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": _ALONE}))


async def let_others(conn: Connection) -> None:
    """Somebody else may drop partitions again."""
    await conn.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _ALONE})


async def over(conn: Connection, first: date) -> list[Partition]:
    """The partitions of days before `first` whose time is over, the oldest first, those that are halfway out before all."""
    return [Partition(**row._mapping) for row in await conn.execute(statement(_OVER), {"first": first})]


async def detach(conn: Connection, partition: Partition) -> bool:
    """Takes a partition out of its table, outside any transaction: whoever reads or writes the table goes on meanwhile. False
    if someone who began earlier is not done within the statement's time; then it is halfway out."""
    how = "FINALIZE" if partition.pending else "CONCURRENTLY"
    try:
        await conn.execute(text(f'ALTER TABLE {partition.parent} DETACH PARTITION "{partition.name}" {how}'))
    except exc.DBAPIError as e:
        if isinstance(e.orig and e.orig.__cause__, QueryCanceledError):
            return False
        raise
    return True


async def drop(conn: Connection, partition: Partition) -> None:
    """Drops a detached partition, which nobody knows any more."""
    await conn.execute(text(f'DROP TABLE IF EXISTS "{partition.name}"'))
