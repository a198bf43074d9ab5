"""The processes of a chaos run: coordinators and a NATS server, each behind proxies of this process, on one PostgreSQL."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.engine import make_url

from coordinator.settings import load_secrets
from deploy.ground import prepare_database
from deploy.layout import Layout, WorkerPlace
from shared.processes import die_with_parent, free_port
from tests.bench.chaos_proxy import Proxy
from tests.support_nats import NatsServer
from tests.support_wait import eventually

REPOSITORY = Path(__file__).parents[2]
READY_S = 120.0
CUT_OFF = re.compile(r"Cancel \d+ running task|ASGI callable returned without completing response")
"""A server that is told to end says so of requests that its database does not let end within its patience."""


class Process:
    """One coordinator: its process, the proxy before it, and those before its database and its bus."""

    def __init__(self, argv: list[str], env: dict[str, str], log: Path, port: int) -> None:
        self._argv, self._env, self._log = argv, env, log
        self.port = port
        self.front = Proxy(port)
        self.starts, self.crashes, self._listened = 0, 0, False
        self._process: subprocess.Popen[bytes] | None = None

    def behind(self, database: Proxy, bus: Proxy) -> None:
        """The proxies that it was told of."""
        self.database, self.bus = database, bus

    def start(self) -> None:
        """Starts it if it does not run; that it ended in another way than it was told to, once it had listened, is noted."""
        if self._process is None or self._process.poll() is not None:
            ended = 0 if self._process is None else self._process.returncode
            self.crashes += self._listened and ended not in (0, -signal.SIGKILL)
            self.starts, self._listened = self.starts + 1, False
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._argv,
                    env=self._env,
                    cwd=REPOSITORY,
                    stdout=log,
                    stderr=log,
                    preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - it only asks the kernel for a signal
                )

    def send(self, number: int) -> None:
        """Sends it a signal, if it is there to get one."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)

    def errors(self) -> Counter[str]:
        """What it has logged as its own errors, or said outside of its log, whatever became of it."""
        found: Counter[str] = Counter()
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                told = msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError:
                found[line] += bool(line.strip()) and not CUT_OFF.match(line)
                continue
            if told.get("level") in ("error", "critical") or "at" in told:
                found[f"{told['event']}: {told.get('error', '')} {told.get('at', '')}"] += 1
        return +found

    async def ended(self, seconds: float) -> None:
        """Waits so long for its end, and then kills it."""
        assert self._process is not None
        for _ in range(int(seconds / 0.05)):
            if self._process.poll() is not None:
                return
            await asyncio.sleep(0.05)
        self._process.kill()
        self._process.wait(5)

    async def listens(self) -> bool:
        """Whether its port takes connections."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        self._listened = True
        return True


class Stage:
    """All of it."""

    def __init__(self, database_url: str, api_key: str, nats: NatsServer, coordinators: list[Process]) -> None:
        self.database_url, self.api_key = database_url, api_key
        self.nats, self.coordinators = nats, coordinators

    async def ready(self) -> None:
        """Waits until every coordinator listens; one that has ended is started again."""

        async def look() -> bool:
            for one in self.coordinators:
                one.start()
            return all([await one.listens() for one in self.coordinators])

        await eventually(look, READY_S, "the coordinators")


@contextlib.asynccontextmanager
async def staged(
    folder: Path, database_url: str, places: list[WorkerPlace], *, count: int, quick: int, plant: bool
) -> AsyncIterator[Stage]:
    """So many coordinators that listen, inside the block; `places` are on the register."""
    layout = Layout(folder)
    layout.make()
    api_key = await prepare_database(database_url, layout, load_secrets(layout.coordinator).pepper, places)
    nats = NatsServer(folder)
    nats.start()
    made: list[Process] = []
    async with contextlib.AsyncExitStack() as stack:
        try:
            for number in range(count):
                made.append(await _coordinator(stack, layout, database_url, nats, number, quick, plant))
                made[-1].start()
            stage = Stage(database_url, api_key, nats, made)
            await stage.ready()
            yield stage
        finally:
            for one in made:
                one.send(signal.SIGCONT)
                one.send(signal.SIGTERM)
            for one in made:
                await one.ended(10)
            nats.kill()


async def _coordinator(
    stack: contextlib.AsyncExitStack, layout: Layout, database_url: str, nats: NatsServer, number: int, quick: int,
    plant: bool,
) -> Process:  # fmt: skip
    url, bus_port = make_url(database_url), int(nats.url.rpartition(":")[2])
    assert url.port is not None
    database, bus = Proxy(url.port), Proxy(bus_port)
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("HIVE_")} | {
        "HIVE_HOME": str(layout.root),
        "HIVE_STATE_DIR": str(layout.coordinator),
        "HIVE_DATABASE_URL": url.set(port=database.port).render_as_string(hide_password=False),
        "HIVE_NATS_URL": nats.url.replace(f":{bus_port}", f":{bus.port}"),
        "HIVE_PORT": str(port),
        "HIVE_ADMIN_PORT": str(free_port()),
    }
    argv = [sys.executable, "-m", "tests.bench.chaos_coordinator", str(quick), *(["plant"] if plant else [])]
    one = Process(argv, env, layout.logs / f"coordinator-{number + 1}.log", port)
    one.behind(database, bus)
    for proxy in (one.front, database, bus):
        await stack.enter_async_context(proxy.running())
    return one
