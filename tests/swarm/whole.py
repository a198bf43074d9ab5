"""A whole real coordinator for tests, in this process, as `coordinator.app` wires it; only its workers are scripted."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from nacl.signing import SigningKey

from coordinator.app import Hive, build, serving
from coordinator.dispatch import register
from coordinator.settings import Settings
from coordinator.store import workers
from shared.catalogue import catalogue
from shared.crypto import public_key
from shared.geo.cells import parse_cell
from shared.geo.index import countries
from shared.protocol.messages import Capabilities, ModelOffer
from shared.tiers import tier_rank
from tests.support_books import faults
from tests.support_wait import eventually
from tests.swarm.scripted import BERLIN, NEW_YORK, ROME, ScriptedWorker

NANO: Final = catalogue()["hive-nano"]
MODEL: Final = ModelOffer("hive-nano", NANO.digest, NANO.context, NANO.size_bytes, loaded=True)
OVER: Final = {"completed", "failed", "timed_out", "cancelled"}

Json = dict[str, Any]


class Swarm:
    """A running coordinator: where it is, the keys, the parts behind it, and the workers of `three_cities`."""

    def __init__(self, hive: Hive, database_url: str, base_url: str, admin_url: str, api_key: str) -> None:
        self.hive = hive
        self.database_url = database_url
        self.base_url, self.admin_url = base_url, admin_url
        self.api_key, self.admin_key = api_key, hive.secrets.admin_key
        self.url = f"{base_url.replace('http', 'ws')}/hive/worker"
        self.rome, self.berlin, self.new_york = (self.worker(cell=cell) for cell in (ROME, BERLIN, NEW_YORK))

    def worker(self, **different: Any) -> ScriptedWorker:
        """A scripted worker with the bundled model, not yet connected."""
        tokeniser = self.hive.vocabularies["hive-nano"]
        usual: Json = {"model": MODEL, "tokeniser": tokeniser, "says": "The capital is Rome."}
        return ScriptedWorker(**usual | different)

    @asynccontextmanager
    async def three_cities(self) -> AsyncIterator[None]:
        """Connects the workers in Rome, Berlin and New York."""
        async with AsyncExitStack() as stack:
            for worker in (self.rome, self.berlin, self.new_york):
                await stack.enter_async_context(worker.connected(self.url))
            yield

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Plain HTTP with the key."""
        headers = {"authorization": f"Bearer {self.api_key}", **headers}
        return httpx.AsyncClient(base_url=self.base_url, headers=headers, timeout=30)

    async def ended(self, http: httpx.AsyncClient, job_id: str) -> Json:
        """The job once it has ended."""

        async def look() -> Json | None:
            job: Json = (await http.get(f"/hive/jobs/{job_id}")).raise_for_status().json()
            return job if job["status"] in OVER else None

        return await eventually(look, 30, f"the end of job {job_id}")

    async def left(self, *gone: ScriptedWorker) -> None:
        """Returns once these workers have left and the register says so: until then they are neither here nor, for a
        coordinator that reads it, among those that were."""

        async def look() -> bool:
            return not any(worker.pk in self.hive.hub.sessions for worker in gone)

        await eventually(look, 30, "workers that leave")
        await register.depart(self.hive.dispatch)

    async def raise_tier(self, key: SigningKey, cell: str, tier: str) -> None:
        """The operator's word on a worker's tier, before it connects."""
        rank = tier_rank(tier)
        assert rank is not None
        at = parse_cell(cell)
        said = Capabilities(cell, 0, [], hardware=_UNSEEN, engine_build="", agent="", jobs=False)
        async with self.hive.engine.begin() as conn:
            await workers.upsert_worker(
                conn,
                pk=public_key(key),
                handle=None,
                cell=at,
                evidence=0,
                capabilities=msgspec.json.encode(said),
                countries=sorted(countries(at)),
                now=datetime.now(UTC),
            )
            assert await workers.set_tier(conn, public_key(key), rank)


_UNSEEN: Final = ScriptedWorker(model=MODEL, tokeniser=None).capabilities.hardware  # type: ignore[arg-type]


@asynccontextmanager
async def coordinating(
    database_url: str, state_dir: Path, prepare: Callable[[Hive], None] = lambda _: None, **settings: Any
) -> AsyncIterator[Swarm]:
    """A coordinator that listens, without workers; when the block ends without an error, its books must balance. Before it
    runs, `prepare` may change its parts."""
    told = state_dir / "addresses.json"
    hive = build(Settings(state_dir=state_dir, port=0, admin_port=0, ready_file=told, **settings), database_url)
    prepare(hive)
    async with serving(hive):
        urls = msgspec.json.decode(told.read_bytes())
        headers = {"authorization": f"Bearer {hive.secrets.admin_key}"}
        async with httpx.AsyncClient(base_url=urls["admin_url"], headers=headers, timeout=30) as admin:
            made = await admin.post("/admin/keys", json={"plan": "enterprise", "name": "tests", "grant": 1000})
        yield Swarm(hive, database_url, urls["base_url"], urls["admin_url"], made.raise_for_status().json()["key"])
        assert await faults(database_url) == []
