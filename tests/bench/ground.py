"""A coordinator process on a PostgreSQL of its own, with an owner's key, and child processes that load it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
from sqlalchemy import text

from coordinator.settings import load_secrets
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.engine import connect
from deploy.ground import prepare_database
from deploy.layout import Layout
from deploy.supervise import Child
from shared.processes import free_port
from tests.bench.http import Line
from tests.support_nats import NatsServer

READY_S = 30.0
MB = 1_000_000


class Ground:
    """A coordinator that listens."""

    def __init__(
        self, base_url: str, postgres: EmbeddedPostgres, database_url: str, api_key: str, child: Child
    ) -> None:
        self.base_url = base_url
        self.database_url = database_url
        self.api_key = api_key
        self._postgres = postgres
        self._child = child

    @property
    def worker_url(self) -> str:
        """Where workers connect."""
        return self.base_url.replace("http", "ws", 1) + "/hive/worker"

    def megabytes(self) -> float:
        """The coordinator's resident memory in MB (10^6 bytes)."""
        return float(psutil.Process(self._child.pid).memory_info().rss) / MB

    def kill(self) -> None:
        """Ends the coordinator with -9; it is started again at once."""
        assert self._child.process is not None
        self._child.process.kill()

    def cpu_seconds(self) -> dict[str, float]:
        """The processor time that the coordinator and PostgreSQL (with its backends) have used."""
        return {"coordinator": cpu_seconds(self._child.pid), "PostgreSQL": cpu_seconds(self._postgres.pid or 0)}

    async def listening(self) -> None:
        """Waits until it answers; raises TimeoutError after half a minute."""
        async with asyncio.timeout(READY_S):
            while True:
                with contextlib.suppress(OSError, EOFError):
                    line = await Line.open(self.base_url)
                    answer = await line.ask("GET", "/health", {})
                    line.close()
                    if answer.status == 200:
                        return
                await asyncio.sleep(0.05)

    async def number(self, statement: str) -> int:
        """One number from the database."""
        engine = connect(self.database_url)
        try:
            async with engine.connect() as conn:
                return int(await conn.scalar(text(statement)) or 0)
        finally:
            await engine.dispose()


def cpu_seconds(pid: int) -> float:
    """The processor time of a process and its children that live now; those that come and go are not counted."""
    process, used = psutil.Process(pid), 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            used += float(sum(each.cpu_times()[:2]))
    return used


@contextlib.asynccontextmanager
async def coordinator(folder: Path) -> AsyncIterator[Ground]:
    """A coordinator with default settings, no workers and no ledger to pay on, inside the block."""
    async with coordinators(folder, 1) as grounds:
        yield grounds[0]


@contextlib.asynccontextmanager
async def coordinators(folder: Path, count: int) -> AsyncIterator[list[Ground]]:
    """So many coordinators of one fleet inside the block, with NATS between them if they are several."""
    layout, nats = Layout(folder), NatsServer(folder)
    layout.make()
    postgres = EmbeddedPostgres(layout.postgres, free_port())
    try:
        url = postgres.start()
        api_key = await prepare_database(url, layout, load_secrets(layout.coordinator).pepper, [])
        env = {"HIVE_HOME": str(layout.root), "HIVE_DATABASE_URL": url, "HIVE_SECRETS_DIR": str(layout.coordinator)}
        if count > 1:
            nats.start()
            env["HIVE_NATS_URL"] = nats.url
        async with contextlib.AsyncExitStack() as stack:
            yield [await stack.enter_async_context(_served(layout, env, n, postgres, api_key)) for n in range(count)]
    finally:
        if count > 1:
            nats.kill()
        postgres.stop()


@contextlib.asynccontextmanager
async def _served(
    layout: Layout, env: dict[str, str], number: int, postgres: EmbeddedPostgres, api_key: str
) -> AsyncIterator[Ground]:
    port, name = free_port(), f"coordinator-{number}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HIVE_")}
    own = {
        "HIVE_STATE_DIR": str(layout.coordinator / str(number)),
        "HIVE_PORT": str(port),
        "HIVE_ADMIN_PORT": str(free_port()),
    }
    argv = [sys.executable, "-m", "shared", "coordinator", "serve"]
    child = Child(name, argv, clean | env | own, layout.logs / f"{name}.log")
    running = asyncio.create_task(child.run())
    try:
        ground = Ground(f"http://127.0.0.1:{port}", postgres, env["HIVE_DATABASE_URL"], api_key, child)
        await ground.listening()
        yield ground
    finally:
        running.cancel()
        await asyncio.wait([running])


class Helper:
    """A child process that takes one line of JSON, says one when it is ready, and one at its end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str, told: dict[str, Any]) -> "Helper":
        """Starts `python -m module` and tells it what to do."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, stdin=pipe, stdout=pipe, limit=1 << 26
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(told) + b"\n")
        return cls(process)

    def send(self, number: int) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        return cpu_seconds(self._process.pid)

    async def hear(self) -> Any:
        """Its next line; raises RuntimeError if it has ended instead."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a helper process ended with {await self._process.wait()}")
        return msgspec.json.decode(line)

    async def ask(self) -> Any:
        """Gives it an empty line; what it says to that."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return await self.hear()

    async def finish(self) -> Any:
        """Tells it that it is over; its last line."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        last = await self.hear()
        await self._process.wait()
        return last
