"""A coordinator's HTTP face on a real server and a real database; only the workers and the vocabulary are doubles."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import uvicorn
from nacl.signing import SigningKey

from coordinator.api.app import admin_app, public_app
from coordinator.api.keys import key_hash, new_secret, shown_prefix
from coordinator.dispatch.hub import Hub
from coordinator.dispatch.relay import Relay, WorkerPublic
from coordinator.dispatch.session import Session
from coordinator.match.rules import ModelFacts, WorkerFacts
from coordinator.queue.lifecycle import State
from coordinator.settings import Secrets, Settings
from coordinator.store import accounts, views
from coordinator.store.callers import KeyTerms
from coordinator.store.engine import Engine
from coordinator.store.rows import NewJob
from coordinator.submit.kinds import KindCache
from coordinator.submit.writer import Writer
from shared.catalogue import Entry
from shared.chat.formats import GENERIC
from shared.geo.cells import cell_of, format_cell, public_cell
from shared.geo.index import countries
from shared.protocol.messages import Message
from shared.tiers import tier_name

MODEL = "hive-nano"
PLACES = {"rome": (41.9, 12.5), "berlin": (52.52, 13.4), "new york": (40.71, -74.0)}
CONTEXT = 2048
NO_END: Any = None
"""Nothing is ever sent to these workers: the tests say what they do."""

GRANT = 1000 * 10_000_000


class WordVocabulary:
    """Counts words, which a test can count as well."""

    format = GENERIC

    def metadata(self, key: str) -> str | None:
        return {"tokenizer.ggml.pre": "words"}.get(key)

    def prompt_ids(self, asked: Any) -> list[int]:
        messages: list[Message] = asked.messages or []
        text = asked.prompt if asked.prompt is not None else " ".join(m.content or "" for m in messages)
        return list(range(len(text.split())))


def online(place: str, tier: int = 0) -> Session:
    """A worker in a city, with the model loaded and one slot."""
    cell = cell_of(*PLACES[place])
    pk = place.encode().hex().ljust(64, "0")
    models = {MODEL: ModelFacts("0" * 64, CONTEXT, True)}
    facts = WorkerFacts(pk, cell, countries(cell), tier, 0, models, 1)
    public = WorkerPublic(pk, f"@{place}", format_cell(public_cell(cell)), sorted(facts.countries), tier_name(tier))
    return Session(NO_END, facts, public, 0)


def entry() -> Entry:
    """The only model."""
    return Entry(
        id=MODEL,
        digest="ab" * 32,
        path=Path("none"),
        context=CONTEXT,
        size_bytes=8_000_000,
        price_in=100_000_000,
        price_out=200_000_000,
        owned_by="hive",
        created=1_700_000_000,
        quantization="Q8_0",
        architecture="llama",
        licence="Apache-2.0",
        note="",
    )


class Recording:
    """The real writer, and a queue of what it accepted."""

    def __init__(self, engine: Engine) -> None:
        self.real = Writer(engine)
        self.seen = self.real.seen
        self.accepted: asyncio.Queue[NewJob] = asyncio.Queue()

    async def submit(self, *jobs: NewJob) -> UUID:
        id_ = await self.real.submit(*jobs)
        if id_ == (jobs[0].parent or jobs[0].id):
            for job in jobs:
                self.accepted.put_nowait(job)
        return id_


@dataclass
class TestHive:
    """The parts that the face needs, and the means to play the workers."""

    __test__ = False

    engine: Engine
    settings: Settings
    secrets: Secrets
    writer: Recording
    cancelled: list[tuple[UUID, str]] = field(default_factory=list)
    hub: Hub = field(default_factory=Hub)
    kinds: KindCache = field(default_factory=KindCache)
    catalogue: dict[str, Entry] = field(default_factory=lambda: {MODEL: entry()})
    vocabularies: Any = field(default_factory=lambda: {MODEL: WordVocabulary()})
    network: str | None = "a network of our own"
    relay: Relay = field(init=False)
    late: timedelta = timedelta()
    """How far the clock is ahead: a test lets time pass here."""

    stopped: datetime | None = None
    """Where the clock stands, but for `late`, in a test of what comes back with every second; else it goes."""

    def __post_init__(self) -> None:
        self.left: asyncio.Queue[UUID] = asyncio.Queue()
        self.relay = Relay(self._cancel)

    def clock(self) -> datetime:
        return (self.stopped or datetime.now(UTC)) + self.late

    async def look_elsewhere(self) -> None:
        """There is no other coordinator."""

    async def _cancel(self, job_id: UUID, reason: str) -> bool:
        self.cancelled.append((job_id, reason))
        self.left.put_nowait(job_id)
        await self.end(job_id, State.CANCELLED)
        return True

    def join(self, worker: Session) -> None:
        self.hub.join(worker)

    async def accepted(self) -> NewJob:
        """The next job that was accepted."""
        return await asyncio.wait_for(self.writer.accepted.get(), 30)

    def assign(self, job: NewJob, worker: Session) -> None:
        self.relay.assigned(job.id, 1, worker.public)

    def say(self, job: NewJob, offset: int, text: str) -> None:
        """One token with this text."""
        self.relay.tokens(job.id, 1, offset, [offset], text)

    async def end(self, job_id: UUID, state: State, **fields: Any) -> None:
        """Tell the readers that the job has ended like this."""
        async with self.engine.connect() as conn:
            view = await views.get_job(conn, job_id)
        assert view is not None
        self.relay.end(msgspec.structs.replace(view, status=state, **fields))

    async def complete(self, job: NewJob, text: str, tokens: int, finish_reason: str = "stop") -> None:
        await self.end(job.id, State.COMPLETED, result_text=text, tokens_generated=tokens, finish_reason=finish_reason)


@dataclass
class Served:
    """A running face: where it is, the keys, and the parts behind it."""

    base_url: str
    admin_url: str
    api_key: str
    admin_key: str
    hive: TestHive

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.base_url, headers={"authorization": f"Bearer {self.api_key}"}, timeout=20, **options
        )


@asynccontextmanager
async def serving(engine: Engine, state_dir: Path, **settings: Any) -> AsyncIterator[Served]:
    """The public and the admin app on ports of their own."""
    secrets = Secrets(SigningKey.generate(), b"pepper" * 5, "hive-admin-test")
    hive = TestHive(engine, Settings(state_dir=state_dir, **settings), secrets, Recording(engine))
    key = await make_key(hive)
    async with listening(public_app(hive)) as base_url, listening(admin_app(hive)) as admin_url:
        writing = asyncio.create_task(hive.writer.real.run())
        try:
            yield Served(base_url, admin_url, key, secrets.admin_key, hive)
        finally:
            writing.cancel()
            await asyncio.wait([writing])


async def make_key(
    hive: TestHive, models: list[str] | None = None, plan: str | None = "enterprise", **terms: Any
) -> str:
    """A key on an account of its own with 1 000 GNS; with these `terms`, else without limits."""
    secret, account, now = new_secret(uuid4().bytes + uuid4().bytes), uuid4(), hive.clock()
    async with hive.engine.begin() as conn:
        await accounts.create_account(conn, account, "test", now)
        await accounts.grant(conn, account, GRANT, uuid4(), now)
        hashed = key_hash(secret, hive.secrets.pepper)
        await accounts.create_key(
            conn, uuid4(), account, name="", secret_hash=hashed, prefix=shown_prefix(secret), now=now, models=models,
            plan=plan, terms=KeyTerms(**terms),
        )  # fmt: skip
    return secret


async def until(holds: Callable[[], bool]) -> None:
    """Let the others run until this holds."""
    async with asyncio.timeout(20):
        for _ in iter(holds, True):
            await asyncio.sleep(0)


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """The app behind a real server on loopback."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="off", proxy_headers=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving
