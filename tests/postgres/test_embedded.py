"""The embedded PostgreSQL: it comes back on its data directory after anything, and ends with its parent."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from coordinator.store.embedded import EmbeddedError, EmbeddedPostgres
from coordinator.store.engine import Away, Engine, connect
from shared.errors import Unavailable
from tests.support_wait import until

ROOT = Path(__file__).parents[2]
KEEPER = """
import sys
import tempfile
from pathlib import Path
from coordinator.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A data directory that was started and stopped once.

    It is not pytest's: every session of pytest closes its folders to all others, and as root the server is another.
    """
    with tempfile.TemporaryDirectory(prefix="hive-pg-") as name:
        server = EmbeddedPostgres(Path(name))
        asyncio.run(ask(server.start(), "CREATE TABLE kept (n integer)"))
        server.stop()
        yield Path(name)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(folder)
    yield made
    made.stop()


async def ask(url: str, *statements: str) -> None:
    engine = connect(url)
    async with engine.begin() as conn:
        for statement in statements:
            await conn.execute(text(statement))
    await engine.dispose()


async def count(engine: Engine) -> int:
    async with engine.connect() as conn:
        return int(await conn.scalar(text("SELECT count(*) FROM kept")) or 0)


async def counted(url: str) -> int:
    engine = connect(url)
    try:
        return await count(engine)
    finally:
        await engine.dispose()


def test_its_secrets_are_its_own(folder: Path) -> None:
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o066 == 0
    assert (folder / "postgres").stat().st_mode & 0o077 == 0


def test_after_kill_9_it_comes_back_with_what_was_committed(server: EmbeddedPostgres) -> None:
    url = server.start()
    before = asyncio.run(counted(url))
    asyncio.run(ask(url, "INSERT INTO kept VALUES (1)"))
    assert server.pid is not None
    victim = psutil.Process(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    victim.wait(10)
    assert server.pid is None
    server.stop()
    assert server.start() == url
    assert asyncio.run(counted(url)) == before + 1


def test_a_stale_mark_with_a_living_strangers_pid_does_not_stop_it(server: EmbeddedPostgres, folder: Path) -> None:
    mark = folder / "postgres" / "postmaster.pid"
    mark.write_text(f"{os.getpid()}\n{folder / 'postgres'}\n1\n5432\n\nlocalhost\n\nready\n")
    assert asyncio.run(counted(server.start())) >= 0
    assert psutil.pid_exists(os.getpid())


def test_the_folder_is_for_one_at_a_time(server: EmbeddedPostgres, folder: Path) -> None:
    server.start()
    with pytest.raises(EmbeddedError, match="in use"):
        EmbeddedPostgres(folder).start()
    assert server.pid is not None


def test_a_taken_port_makes_it_move(server: EmbeddedPostgres, folder: Path) -> None:
    usual = int((folder / "port").read_text())
    with socket.create_server(("127.0.0.1", usual)):
        moved = server.start()
        assert f":{usual}/" not in moved
        assert asyncio.run(counted(moved)) >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_it_ends_with_its_parent_and_starts_again_at_once(server: EmbeddedPostgres, folder: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with parent:
        assert parent.stdout is not None
        url, pid = parent.stdout.readline().split()
        child = psutil.Process(int(pid))
        parent.kill()
    assert server.start() == url
    until(lambda: not child.is_running(), 20, "the end of the earlier server")
    assert asyncio.run(counted(url)) >= 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_as_root_it_is_not_root(server: EmbeddedPostgres) -> None:
    server.start()
    assert server.pid is not None
    assert psutil.Process(server.pid).uids().effective != 0


async def losses(server: EmbeddedPostgres) -> None:
    url = server.start()
    engine = connect(url)
    async with engine.connect() as conn:
        await conn.execute(text("SELECT 1"))
        server.stop()
        with pytest.raises(Away):
            await conn.execute(text("SELECT 1"))
    with pytest.raises(Away) as away:
        await count(engine)
    assert isinstance(away.value, Unavailable)
    assert (away.value.status, away.value.code, away.value.retryable) == (503, "database_away", True)
    assert await asyncio.to_thread(server.start) == url
    assert await count(engine) >= 0
    await engine.dispose()


def test_a_lost_database_is_one_error_and_the_engine_finds_it_again(server: EmbeddedPostgres) -> None:
    asyncio.run(losses(server))


async def cut(server: EmbeddedPostgres) -> None:
    """kill -9 while a transaction is open and while a statement waits."""
    url = server.start()
    engine = connect(url)
    async with engine.connect() as holder, engine.connect() as waiter:
        await holder.execute(text("LOCK TABLE kept"))
        waiting = asyncio.ensure_future(waiter.execute(text("SELECT * FROM kept")))
        asleep = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        async with engine.connect() as watcher:
            while not await watcher.scalar(asleep):
                await watcher.rollback()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        with pytest.raises(Away):
            await waiting
        with pytest.raises(Away):
            await holder.commit()
    server.start()
    assert await count(engine) >= 0
    await engine.dispose()


def test_kill_9_under_load_is_the_same_error(server: EmbeddedPostgres) -> None:
    asyncio.run(cut(server))
