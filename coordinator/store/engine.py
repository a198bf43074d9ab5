"""The way to PostgreSQL: one engine per process, and one exception for a database that is away."""

from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import AsyncAdaptedQueuePool, PoolProxiedConnection, TextClause, event, exc, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.url import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.errors import RequestError, Unavailable

Connection = AsyncConnection
Engine = AsyncEngine

POOL_SIZE: Final = 10
CONNECT_TIMEOUT_S: Final = 5
POOL_TIMEOUT_S: Final = 30.0
STATEMENT_TIMEOUT_S: Final = 60

_SETTINGS: Final = {
    "application_name": "hive",
    "timezone": "UTC",
    "jit": "off",
    # The hot table is empty one minute and holds a million rows the next: a plan made for the first must still be right
    # for the second, so only plans that go through an index are ever worth keeping. They are made
    # once for each connection: to plan over the partitions takes longer than to do the work.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",  # it has no order: the first of many would be found by sorting all of them
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "tcp_keepalives_idle": "60",  # the pool's last connections may rest for hours, and a gateway forgets them
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": f"{STATEMENT_TIMEOUT_S}s",
}
_ALONE: Final[WeakKeyDictionary[Engine, Engine]] = WeakKeyDictionary()
GONE: Final[tuple[type[Exception], ...]] = (
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.TooManyConnectionsError,
    asyncpg.exceptions.InternalClientError,
    OSError,
    TimeoutError,
)
_REFUSED: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)


class Away(Unavailable):
    """The database cannot be reached or went away in mid-statement: nothing of the open transaction holds."""

    code = "database_away"


class _Pool(AsyncAdaptedQueuePool):
    """A pool without a free connection for 30 s is a database that does not keep up, or hangs: it is away too."""

    def connect(self) -> PoolProxiedConnection:
        try:
            return super().connect()
        except exc.TimeoutError as e:
            raise Away("The database is busy; try again in a moment.", retry_after_s=1) from e


def connect(url: str) -> Engine:
    """An engine for a `postgresql+asyncpg://` (or `postgresql://`) URL that connects when first used; every loss of the
    connection surfaces as Away, and the next use connects again."""
    parsed = _parsed(url)
    dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    engine = create_async_engine(
        parsed.set(drivername="postgresql+asyncpg"),
        async_creator=lambda: reach(dsn),
        poolclass=_Pool,
        pool_size=POOL_SIZE,
        pool_timeout=POOL_TIMEOUT_S,
        pool_use_lifo=True,  # a connection that was just used has its plans and its caches warm
        max_overflow=0,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "handle_error", _name_losses)
    event.listen(engine.sync_engine, "handle_error", _hide_rows)
    return engine


def alone(engine: Engine) -> AbstractAsyncContextManager[Connection]:
    """A connection on which each statement is a transaction of its own: one round trip instead of three."""
    found = _ALONE.get(engine)
    if found is None:
        found = _ALONE[engine] = engine.execution_options(isolation_level="AUTOCOMMIT")
    return found.connect()


def connections(engine: Engine) -> tuple[int, int]:
    """How many of the pool's connections are in use, and how many are open beside them."""
    pool = engine.pool
    assert isinstance(pool, _Pool), "connect makes no other"
    return pool.checkedout(), pool.checkedin()


@cache
def statement(sql: str) -> TextClause:
    """The statement of a constant text: read once, for SQLAlchemy takes as long to read it as to run it."""
    return text(sql)


async def has_tables(engine: Engine) -> bool:
    """Whether the database was ever migrated."""
    async with alone(engine) as conn:
        return await conn.scalar(text("SELECT to_regclass('jobs')")) is not None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "postgresql":
        raise RequestError(
            "HIVE_DATABASE_URL is no address of a PostgreSQL; it looks like postgresql://user@host/name."
        )
    return parsed


async def reach(dsn: str, row: type = asyncpg.Record) -> Any:
    """A new connection of the driver's own, whose rows are of this type; raises Away."""
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, server_settings=_SETTINGS, record_class=row)
    except GONE as e:
        raise Away("The database is away; try again in a moment.", retry_after_s=1) from e
    except _REFUSED as e:
        raise RequestError(f"PostgreSQL lets nobody in with HIVE_DATABASE_URL: {e}.") from e


def _name_losses(context: ExceptionContext) -> None:
    original = context.original_exception
    if not isinstance(original, Exception):
        return  # who was cancelled in mid-statement must end, not try again
    cause = original.__cause__ or original
    if context.is_disconnect or (isinstance(cause, GONE) and not isinstance(cause, asyncpg.QueryCanceledError)):
        context.is_disconnect = True
        raise Away("The database went away; try again in a moment.", retry_after_s=1) from cause


def _hide_rows(context: ExceptionContext) -> None:
    """PostgreSQL's DETAIL quotes the row that it refuses, and rows hold prompts: an exception must not carry it."""
    original = context.original_exception
    cause = original.__cause__
    if isinstance(cause, asyncpg.PostgresError) and cause.detail:
        cause.detail = None
        for one in filter(None, (original, context.sqlalchemy_exception)):
            one.args = tuple(str(arg).partition("\nDETAIL:")[0] for arg in one.args)
