"""A whole swarm on one machine: PostgreSQL, the local ledger, coordinators and worker processes, each supervised."""

import asyncio
import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx
import msgspec
from stellar_sdk import Keypair

from coordinator.settings import Secrets, load_secrets
from coordinator.store.embedded import EmbeddedError, EmbeddedPostgres
from deploy.coordinators import Coordinators
from deploy.ground import prepare_database
from deploy.layout import Layout, Pids, Ready, WorkerPlace
from deploy.ledger_setup import ledger_keys, load_seeds, open_accounts
from deploy.supervise import BACKOFF_S, Child
from shared.crypto import public_key
from shared.errors import HiveError
from shared.files import write_private
from shared.processes import free_port, is_free
from worker.identity import Identity, identity

NETWORK: Final = "Hive Local Ledger ; 2026"
START_S: Final = 90.0
Say = Callable[[str, str], None]


class SwarmFailed(HiveError):
    """A part of the local swarm did not come up."""

    code = "swarm_failed"


class Plan(msgspec.Struct, frozen=True):
    """What to start: cells as given, one tier name per worker, the owner's cap on tokens/s (0: none)."""

    port: int
    cells: list[str]
    tiers: list[str]
    model: str
    max_tps: int = 0
    coordinators: int = 1


class Swarm:
    """The children of one data directory; use it through `running`."""

    def __init__(self, layout: Layout, plan: Plan, say: Say) -> None:
        self.layout = layout
        self.plan = plan
        self.say = say
        self.coordinators = Coordinators(layout, plan.coordinators, plan.port)
        self.ledger_port = free_port()
        self.postgres = EmbeddedPostgres(layout.postgres, free_port())
        self.secrets: Secrets = load_secrets(layout.coordinator)
        self.identities = [_identity(layout.worker(n + 1)) for n in range(len(plan.cells))]
        self.database_url = ""
        self.api_key = ""
        self.ledger = self._ledger()
        self.workers = [self._worker(n) for n in range(len(plan.cells))]
        self.bus = self.coordinators.bus(_environment)
        self.extra_ready: Path | None = None
        self.is_up = False
        self.tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def base_url(self) -> str:
        """Where the public API of the first coordinator listens."""
        return self.coordinators.urls[0]

    @property
    def admin_url(self) -> str:
        """Where its admin API listens."""
        return self.coordinators.admin_url

    @property
    def horizon_url(self) -> str:
        """Where the local ledger listens."""
        return f"http://127.0.0.1:{self.ledger_port}"

    @property
    def server_pk(self) -> str:
        """The coordinator's public key, hex."""
        return public_key(self.secrets.server_key)

    def ready(self) -> Ready:
        """How to reach what is up now."""
        pids, bus = self.coordinators.pids, self.bus.pid if self.bus else 0
        return Ready(
            base_url=self.base_url,
            base_urls=self.coordinators.urls,
            admin_url=self.admin_url,
            status_url=f"{self.base_url}/",
            horizon_url=self.horizon_url,
            database_url=self.database_url,
            api_key=self.api_key,
            admin_key=self.secrets.admin_key,
            pids=Pids(pids, self.postgres.pid or 0, self.ledger.pid, [w.pid for w in self.workers], bus),
            workers=self.places(),
        )

    def places(self) -> list[WorkerPlace]:
        """The workers in their order."""
        told = zip(self.identities, self.plan.cells, self.plan.tiers, strict=True)
        return [WorkerPlace(identity.pk, cell, tier) for identity, cell, tier in told]

    def write_ready(self) -> None:
        """Writes the ready file (and the one that was asked for) anew."""
        content = msgspec.json.format(msgspec.json.encode(self.ready()), indent=2)
        for file in filter(None, (self.layout.ready, self.extra_ready)):
            write_private(file, content)

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Starts everything, in the order that waits least; raises SwarmFailed with the last words of what did not come."""
        for old in map(self._worker_ready, range(len(self.workers))):
            old.unlink(missing_ok=True)
        self._own(tasks, self.ledger)
        self.database_url = self.postgres.start().replace("+asyncpg", "")
        self.say("PostgreSQL 18", f"pid {self.postgres.pid}, {self.layout.postgres}")
        self.tasks["postgres"] = tasks.create_task(self._keep_postgres())
        await self._answers(f"{self.horizon_url}/", self.ledger)
        seeds = load_seeds(self.layout.seeds)
        write_private(self.layout.ledger_keys, msgspec.json.encode(ledger_keys(seeds, NETWORK)))
        accounts = [Keypair.from_raw_ed25519_seed(bytes(identity.key)) for identity in self.identities]
        opening = asyncio.to_thread(open_accounts, self.horizon_url, seeds, accounts)
        preparing = prepare_database(self.database_url, self.layout, self.secrets.pepper, self.places())
        _, self.api_key = await asyncio.gather(opening, preparing)
        self.say("local Stellar ledger", f"{self.horizon_url}, accounts and trustlines of {len(accounts)} workers")
        coordinators = self.coordinators.make(_environment, self._told())
        self._own(tasks, *filter(None, (self.bus,)), *coordinators, *self.workers)
        for number, coordinator in enumerate(coordinators):
            await self._listens(number)
            self.say(coordinator.name, self.coordinators.urls[number])
        await self._workers_ready()
        self.is_up = True
        self.write_ready()

    async def stop(self) -> None:
        """Stops workers, coordinators, what they talk to and PostgreSQL in this order, each within its patience."""
        coordinators = [child.name for child in self.coordinators.children]
        for names in ([w.name for w in self.workers], coordinators, ["nats", "ledger"], ["postgres"]):
            ending = [self.tasks[name] for name in names if name in self.tasks]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
        self.postgres.stop()
        self.forget_ready()

    def forget_ready(self) -> None:
        """Takes the ready files away: whoever reads one may believe it."""
        for file in filter(None, (self.layout.ready, self.extra_ready)):
            file.unlink(missing_ok=True)

    def _own(self, tasks: asyncio.TaskGroup, *children: Child) -> None:
        for child in children:
            self.tasks[child.name] = tasks.create_task(child.run(self._changed))

    def _changed(self) -> None:
        if self.is_up:
            self.write_ready()

    async def _keep_postgres(self) -> None:
        """Starts it again whenever it dies; what the dead one left behind may be in the way for a moment."""
        failures = 0
        while True:
            await asyncio.sleep(BACKOFF_S[failures])
            if self.postgres.pid:
                continue
            try:
                self.postgres.start()
            except EmbeddedError:
                failures += 1
                if failures == len(BACKOFF_S):
                    raise
            else:
                failures = 0
                self._changed()

    async def _answers(self, url: str, child: Child) -> None:
        async with httpx.AsyncClient(timeout=2) as client:
            for _ in range(int(START_S / 0.05)):
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(url)).status_code < 500:
                        return
                if child.deaths > 2:
                    break
                await asyncio.sleep(0.05)
        raise self._failed(child)

    async def _listens(self, number: int) -> None:
        coordinator = self.coordinators.children[number]
        for _ in range(int(START_S / 0.05)):
            if self.coordinators.listens(number) or coordinator.deaths > 2:
                break
            await asyncio.sleep(0.05)
        if not self.coordinators.listens(number):
            raise self._failed(coordinator)

    def _failed(self, child: Child) -> SwarmFailed:
        return SwarmFailed(f"The {child.name} did not come up; {child.log} ends with:\n{child.last_words()}")

    async def _workers_ready(self) -> None:
        for number, worker in enumerate(self.workers):
            for _ in range(int(START_S / 0.05)):
                if self._worker_ready(number).exists() or worker.deaths > 2:
                    break
                await asyncio.sleep(0.05)
            if not self._worker_ready(number).exists():
                raise self._failed(worker)
            told = json.loads(self._worker_ready(number).read_text())
            place = f"{self.identities[number].pk[:8]} in {self.plan.cells[number]}"
            self.say(worker.name, f"{place}, {', '.join(told['loaded'])} loaded")

    def _worker_ready(self, number: int) -> Path:
        return self.layout.worker(number + 1) / "ready.json"

    def _ledger(self) -> Child:
        argv = [sys.executable, "-m", "deploy.devledger", "--port", str(self.ledger_port)]
        argv += ["--data", str(self.layout.ledger / "ledger.db"), "--passphrase", NETWORK]
        return Child("ledger", argv, _environment({}), self.layout.logs / "ledger.log")

    def _worker(self, number: int) -> Child:
        own, *others = self.coordinators.urls_of(number)
        argv = [sys.executable, "-m", "shared", "worker", "join", "--coordinator", own]
        argv += ["--set", f"elsewhere={','.join(others)}"] if others else []
        argv += ["--server-key", self.server_pk, "--cell", self.plan.cells[number]]
        argv += ["--model", self.plan.model, "--ready-file", str(self._worker_ready(number))]
        argv += ["--max-tps", str(self.plan.max_tps)] if self.plan.max_tps else []
        env = _environment({"HIVE_HOME": str(self.layout.worker(number + 1))})
        return Child(f"worker {number + 1}", argv, env, self.layout.logs / f"worker-{number + 1}.log")

    def _told(self) -> dict[str, str]:
        """What every coordinator is told."""
        return {
            "HIVE_DATABASE_URL": self.database_url,
            "HIVE_HORIZON_URL": self.horizon_url,
            "HIVE_LEDGER_KEYS": str(self.layout.ledger_keys),
            "HIVE_PAY_HELD_JOBS": "0",
            "HIVE_PAY_HELD_HOURS": "0",
            "HIVE_PAYOUT_AGE_S": "0",
            "HIVE_DEFAULT_MODEL": self.plan.model,
            "HIVE_CALLBACK_ALLOW": os.environ.get("HIVE_CALLBACK_ALLOW", ""),
        }


def _identity(home: Path) -> Identity:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return identity(home, now=time.time_ns() // 1_000_000, entropy=os.urandom(32))


def _environment(values: Mapping[str, str]) -> dict[str, str]:
    """Ours without any HIVE_ of the caller but those in `values`: a local swarm depends on nothing else outside its data
    directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HIVE_")}
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(values)


@contextlib.asynccontextmanager
async def running(layout: Layout, plan: Plan, say: Say, ready_file: Path | None = None) -> AsyncIterator[Swarm]:
    """A swarm that is up inside the block, and gone after it, whatever happens in it."""
    layout.make()
    with _alone(layout.root):
        if not is_free(plan.port):
            raise SwarmFailed(f"Port {plan.port} is taken; choose another with --port, or --port 0 for a free one.")
        swarm = Swarm(layout, plan, say)
        swarm.extra_ready = ready_file
        swarm.forget_ready()
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    await swarm.start(tasks)
                    yield swarm
                finally:
                    await asyncio.shield(swarm.stop())
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Holds the data directory; raises SwarmFailed, before anything in it is touched, if another swarm does."""
    with (root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise SwarmFailed(f"{root} is in use by another Hive; stop it or choose another --data-dir.") from e
        yield
