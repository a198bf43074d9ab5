"""A short way to PostgreSQL for the few statements that every job runs: their text goes to the driver as it is.

SQLAlchemy takes 0.3 ms of processor time to hand a statement over, and as much again to lend a connection: several times what
the driver and PostgreSQL take to run it.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final, cast
from uuid import UUID
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import TextClause, event
from sqlalchemy.util import await_only

from coordinator.store.engine import GONE, Away, Connection, Engine, reach

_BIND: Final = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")
_TYPES: Final[Mapping[type, str]] = {
    bool: "boolean", int: "bigint", float: "double precision", str: "text", bytes: "bytea", UUID: "uuid",
    datetime: "timestamptz", date: "date", timedelta: "interval",
}  # fmt: skip
_IDLE: Final[WeakKeyDictionary[Engine, list[Any]]] = WeakKeyDictionary()


class Row(asyncpg.Record):  # type: ignore[misc]  # the driver has no types
    """A row as SQLAlchemy's are: columns by name, and all of them as a mapping."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as e:
            raise AttributeError(name) from e

    @property
    def _mapping(self) -> Mapping[str, Any]:
        return cast(Mapping[str, Any], self)


class Rows(list[Any]):
    """What a statement returned, or the first column of it."""

    def all(self) -> list[Any]:
        """All of it."""
        return self

    def one_or_none(self) -> Any:
        """The row that there is, if any."""
        assert len(self) <= 1, "several rows"
        return self[0] if self else None


class Quick:
    """Of a Connection what hot statements need: it runs those that are text."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def execute(self, statement: TextClause, values: Mapping[str, Any] | None = None) -> Rows:
        """Runs a statement; raises Away, or the driver's own error without the row that it would quote."""
        given = values or {}
        types = tuple((name, _type(type(value))) for name, value in given.items())  # type: ignore[arg-type]  # it is hashable
        sql, names = _for_driver(statement.text, types)
        with _named(self._driver):
            return Rows(await self._driver.fetch(sql, *[given[name] for name in names]))

    async def scalars(self, statement: TextClause, values: Mapping[str, Any] | None = None) -> Rows:
        """The first column of each row."""
        return Rows(row[0] for row in await self.execute(statement, values))

    async def scalar(self, statement: TextClause, values: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row; None if there is none."""
        rows = await self.execute(statement, values)
        return rows[0][0] if rows else None


@contextlib.asynccontextmanager
async def quick(engine: Engine) -> AsyncIterator[Connection]:
    """A connection on which each statement is a transaction of its own."""
    async with _lent(engine) as driver:
        yield cast(Connection, Quick(driver))  # what is more of a Connection no hot statement asks for


@contextlib.asynccontextmanager
async def quick_begin(engine: Engine) -> AsyncIterator[Connection]:
    """A transaction, committed at the end of the block unless that raises."""
    async with _lent(engine) as driver:
        with _named(driver):
            await driver.execute("BEGIN")
        try:
            yield cast(Connection, Quick(driver))
        except Exception:
            if not driver.is_closed():
                with _named(driver):
                    await driver.execute("ROLLBACK")
            raise
        with _named(driver):
            await driver.execute("COMMIT")


@contextlib.asynccontextmanager
async def _lent(engine: Engine) -> AsyncIterator[Any]:
    """A connection of the driver's, used again by the next; one that was left in mid-statement is never used again."""
    idle = _idle_of(engine)
    while idle and idle[-1].is_closed():
        idle.pop()
    driver = idle.pop() if idle else await reach(_dsn(engine), Row)
    sound = False
    try:
        yield driver
        sound = True
    except Exception:
        sound = not driver.is_in_transaction()
        raise
    finally:
        if sound and not driver.is_closed():
            idle.append(driver)
        else:
            driver.terminate()


@contextlib.contextmanager
def _named(driver: Any) -> Iterator[None]:
    """Names every loss of the connection Away, and keeps rows, which hold prompts, out of other errors."""
    try:
        yield
    except asyncpg.PostgresError as e:
        if isinstance(e, GONE) and not isinstance(e, asyncpg.QueryCanceledError):
            raise Away("The database went away; try again in a moment.", retry_after_s=1) from e
        e.detail = None
        raise
    except (*GONE, asyncpg.InterfaceError) as e:
        if isinstance(e, asyncpg.InterfaceError) and not driver.is_closed():
            raise
        raise Away("The database went away; try again in a moment.", retry_after_s=1) from e


def _idle_of(engine: Engine) -> list[Any]:
    idle = _IDLE.get(engine)
    if idle is None:
        idle = _IDLE[engine] = []
        event.listen(engine.sync_engine, "engine_disposed", lambda _engine: _close(idle))
    return idle


def _dsn(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _close(idle: list[Any]) -> None:
    while idle:
        await_only(idle.pop().close(timeout=1))


@cache
def _for_driver(sql: str, types: tuple[tuple[str, str], ...]) -> tuple[str, list[str]]:
    """The statement with its parameters numbered, and their names in that order."""
    known, names = dict(types), list[str]()

    def numbered(found: re.Match[str]) -> str:
        name = found[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}{known[name]}"

    return _BIND.sub(numbered, sql), names


@cache
def _type(of: type) -> str:
    """How a parameter of this type is cast, so that PostgreSQL need not guess; lists it knows by where they stand."""
    found = next((_TYPES[base] for base in of.__mro__ if base in _TYPES), None)
    return "" if found is None else f"::{found}"
