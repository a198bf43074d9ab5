"""A real PostgreSQL for tests: one server for all test processes, one database of its own for each, clean for each test.

The server lives in a process of its own, on a folder that stays between runs, and ends when its last user does.
"""

import asyncio
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

import migrations
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.engine import Connection, Engine, connect
from coordinator.store.migrate import migrate

TEMPLATE = "hive_template"


def home() -> Path:
    """The folder of the test server: another one for another user, checkout or version of the tables."""
    scripts = sorted(Path(migrations.__file__).parent.rglob("*.py"))
    told = [str(os.getuid()), __file__, *(script.read_text() for script in scripts)]
    return Path(tempfile.gettempdir()) / f"hive-tests-{hashlib.sha256(repr(told).encode()).hexdigest()[:12]}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of the shared server; it runs at least until this session ends."""
    folder = home()
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "starting").open("w") as starting, (folder / "users").open("w") as users:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for a server that is just ending
        url_file = folder / "url"
        if not url_file.exists():
            _spawn_keeper(folder)
        fcntl.flock(starting, fcntl.LOCK_UN)
        yield url_file.read_text()


@pytest.fixture(scope="session")
def database_url(postgres_server: str, worker_id: str) -> Iterator[str]:
    """The URL of a migrated database that only this test process uses."""
    name = f"hive_{os.getpid()}_{worker_id}"
    asyncio.run(_run(postgres_server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """An engine on this process's database, with all tables empty."""
    async with emptied(database_url) as made:
        yield made


@asynccontextmanager
async def emptied(database_url: str) -> AsyncIterator[Engine]:
    """An engine on this database, all tables of which are empty at first."""
    made = connect(database_url)
    async with made.begin() as conn:
        await empty(conn)
    yield made
    await made.dispose()


async def empty(conn: Connection) -> None:
    """Empties all tables of this process's database."""
    await conn.execute(text("SET LOCAL session_replication_role = replica"))  # foreign keys have no order to keep here
    await conn.execute(
        text("""
        DO $$ DECLARE name text; BEGIN
            FOR name IN SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
                AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
            LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
        END $$""")
    )


async def _run(url: str, statement: str) -> None:
    engine = connect(url).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as conn:
        await conn.execute(text(statement))
    await engine.dispose()


def _spawn_keeper(folder: Path) -> None:
    """Starts the process that keeps the server, and waits for its word that all is ready."""
    command = [sys.executable, "-m", "tests.support_postgres", str(folder)]
    keeper = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=Path(__file__).parents[1]
    )
    assert keeper.stdout is not None
    with keeper.stdout as said:
        assert said.readline() == "ready\n", f"the test server did not start; see {folder}/server/postgres.log"
    keeper.returncode = 0  # it outlives us if others use it: nobody waits for it


def _keep(folder: Path, users: IO[str]) -> None:
    """Runs the server until nobody holds `users` any more."""
    # A lost test server is made again; a fleet in one test process takes 30 connections.
    server = EmbeddedPostgres(folder / "server", settings={"fsync": "off", "max_connections": "100"})
    url_file = folder / "url"
    url_file.unlink(missing_ok=True)
    try:
        url = server.start()
        asyncio.run(_prepare(url))
        url_file.touch(mode=0o600)
        url_file.write_text(url)
        sys.stdout.write("ready\n")
        sys.stdout.close()
        fcntl.flock(users, fcntl.LOCK_EX)
    finally:
        url_file.unlink(missing_ok=True)
        server.stop()


async def _prepare(url: str) -> None:
    """Removes what killed runs left behind and brings the template up to date."""
    engine = connect(url).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as conn:
        names = (await conn.scalars(text("SELECT datname FROM pg_database WHERE datname LIKE 'hive\\_%'"))).all()
        for name in names:
            if name != TEMPLATE:
                await conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        if TEMPLATE not in names:
            await conn.execute(text(f"CREATE DATABASE {TEMPLATE}"))
    await engine.dispose()
    await migrate(make_url(url).set(database=TEMPLATE).render_as_string(hide_password=False))


if __name__ == "__main__":
    with (Path(sys.argv[1]) / "users").open("w") as users:
        _keep(Path(sys.argv[1]), users)
