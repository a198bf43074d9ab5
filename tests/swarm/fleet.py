"""Several whole coordinators on one PostgreSQL and one NATS server, in this process, and messages that get lost between
them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from coordinator.app import Hive
from coordinator.bus import Hear, Nats
from coordinator.dispatch.between import Message
from coordinator.store.engine import Engine
from tests.support_nats import NatsServer
from tests.support_wait import eventually
from tests.swarm.scripted import ScriptedWorker
from tests.swarm.whole import Swarm, coordinating

SAYS = "Rome was not built in a day, but they were laying bricks every hour."
CHAT: dict[str, Any] = {"model": "hive-nano", "messages": [{"role": "user", "content": "Say something about Rome."}]}
STREAM = {**CHAT, "stream": True}

Fleet = list[Swarm]
Spoil = Callable[[Message], list[Message]]
"""What a coordinator hears of a message: nothing, or it twice, or another."""


class Spoilt(Nats):
    """A bus on which messages fare as a test wants."""

    def __init__(self, bus: Nats, fleet: str, spoil: Spoil) -> None:
        super().__init__(",".join(bus.urls), fleet=fleet, name=bus.name)
        self._spoil = spoil

    async def run(self, hear: Hear) -> None:
        """Carries what is left of them."""

        def heard(message: Message) -> None:
            for one in self._spoil(message):
                hear(one)

        await super().run(heard)


def as_it_is(message: Message) -> list[Message]:
    """A bus that loses nothing."""
    return [message]


@asynccontextmanager
async def coordinators(
    database_url: str, folder: Path, nats_url: str, count: int = 2, spoil: Spoil = as_it_is, first: int = 0
) -> AsyncIterator[list[Swarm]]:
    """So many coordinators that hear of each other, numbered from `first`, without workers."""

    def prepare(hive: Hive) -> None:
        if isinstance(hive.dispatch.bus, Nats):
            hive.dispatch.bus = Spoilt(hive.dispatch.bus, folder.name, spoil)

    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(
                coordinating(database_url, folder / f"c{n}", prepare, secrets_dir=folder / "secrets", nats_url=nats_url)
            )
            for n in range(first, first + count)
        ]
        if nats_url:
            await connected(made)
        yield made


async def connected(fleet: list[Swarm]) -> None:
    """Waits until all of them are on the bus."""

    async def look() -> bool:
        return all(swarm.hive.dispatch.bus.connected for swarm in fleet)

    await eventually(look, 30, "the coordinators on the bus")


async def known(swarm: Swarm, worker: ScriptedWorker) -> None:
    """Waits until a coordinator knows of a worker at another one: whoever asks it before it has heard of that is refused."""

    async def look() -> bool:
        await swarm.hive.look_elsewhere()
        return worker.pk in swarm.hive.hub.elsewhere.workers

    await eventually(look, 30, "the word that a worker is elsewhere")


@pytest.fixture
async def fleet(engine: Engine, database_url: str, tmp_path: Path, nats: NatsServer) -> AsyncIterator[Fleet]:
    async with coordinators(database_url, tmp_path, nats.url) as made:
        yield made


def worker_of(swarm: Swarm, **different: Any) -> ScriptedWorker:
    usual: dict[str, Any] = {"says": SAYS, "chunk": 2}
    return swarm.worker(**usual | different)


async def texts(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The text of each chunk of a stream of chat."""
    async for line in lines:
        if line.startswith("data: ") and line != "data: [DONE]":
            said = json.loads(line.removeprefix("data: "))
            assert "error" not in said, said
            if text_ := said["choices"][0]["delta"].get("content"):
                yield text_
