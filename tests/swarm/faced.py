"""A floor behind its HTTP face, for tests: real dispatch, real database, real HTTP; only the workers are scripted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
from nacl.signing import SigningKey
from openai import AsyncOpenAI

from coordinator.api.app import public_app
from coordinator.api.keys import key_hash, new_secret
from coordinator.settings import Secrets, Settings
from coordinator.store import accounts
from tests.swarm.floor import Floor
from tests.swarm.http_hive import listening


class Faced:
    """Where the face is, a key of the floor's account, and the floor behind it."""

    def __init__(self, url: str, key: str, floor: Floor) -> None:
        self.url, self.key, self.floor = url, key, floor

    def client(self) -> httpx.AsyncClient:
        """Plain HTTP with the key."""
        return httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=30)

    def openai(self) -> AsyncOpenAI:
        """The official client, which tries nothing twice."""
        return AsyncOpenAI(api_key=self.key, base_url=f"{self.url}/v1", max_retries=0)


async def _no_others() -> None:
    """There is no other coordinator to look at."""


@asynccontextmanager
async def facing(floor: Floor, state_dir: Path, **settings: Any) -> AsyncIterator[Faced]:
    """The face of a floor, with a key of an enterprise plan."""
    hive: Any = SimpleNamespace(
        settings=Settings(state_dir=state_dir, **settings),
        secrets=Secrets(SigningKey.generate(), b"pepper", "admin"),
        engine=floor.engine,
        hub=floor.dispatch.hub,
        relay=floor.dispatch.relay,
        writer=floor.writer,
        kinds=floor.dispatch.kinds,
        catalogue=floor.dispatch.catalogue,
        vocabularies=floor.dispatch.vocabularies,
        network=None,
        clock=floor.dispatch.clock,
        look_elsewhere=_no_others,
    )
    secret = new_secret(uuid4().bytes * 2)
    async with floor.engine.begin() as conn:
        await accounts.create_key(
            conn, uuid4(), floor.account, name="", secret_hash=key_hash(secret, b"pepper"), prefix="p",
            now=datetime.now(UTC), plan="enterprise",
        )  # fmt: skip
    async with listening(public_app(hive)) as url:
        yield Faced(url, secret, floor)
