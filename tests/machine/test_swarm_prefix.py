"""A conversation goes back to the worker that has read it, among real engines."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.store.engine import Engine
from tests.machine.coordinator_double import ROME, clock
from tests.support_wait import eventually
from tests.swarm.whole import Swarm, coordinating
from worker.daemon import Daemon
from worker.hardware import hardware
from worker.identity import identity
from worker.models import local_models
from worker.settings import settings

pytestmark = pytest.mark.timeout(180)
WORKERS = 3
SYSTEM = {"role": "system", "content": "You are a kind helper. " * 40}

Told = tuple[str, int, int]
"""Who answered, and how many tokens of the prompt were cached, and were there."""


@asynccontextmanager
async def working(home: Path, url: str) -> AsyncIterator[None]:
    """A real worker with one slot."""
    chosen = settings(home, {}, {"cell": ROME, "coordinator": url, "slots": 1, "log_level": "error"})
    who = identity(home, now=clock(), entropy=os.urandom(32))
    daemon = Daemon(home, chosen, who, list(local_models(home).values()), clock=clock, probe=hardware([]))
    running = asyncio.create_task(daemon.run())
    try:
        yield
    finally:
        daemon.stop()
        daemon.stop()
        await running


@pytest.fixture
async def swarm(engine: Engine, database_url: str, tmp_path: Path) -> AsyncIterator[Swarm]:
    state = tmp_path / "state"
    homes = [tmp_path / f"w{n}" for n in range(WORKERS)]
    for folder in (state, *homes):
        folder.mkdir()
    async with coordinating(database_url, state) as made, AsyncExitStack() as stack:
        for home in homes:
            await stack.enter_async_context(working(home, made.base_url))

        async def ready() -> bool:
            sessions = made.hive.hub.sessions.values()
            return sum(model.loaded for one in sessions for model in one.facts.models.values()) == WORKERS

        await eventually(ready, 60, "the models in memory")
        yield made


class Conversation:
    """A conversation about one thing."""

    def __init__(self, http: httpx.AsyncClient, about: str) -> None:
        self.http, self.about = http, about
        self.messages: list[Any] = [SYSTEM | {"content": f"{about}. {SYSTEM['content']}"}]

    def body(self, question: str, **more: Any) -> dict[str, Any]:
        self.messages.append({"role": "user", "content": question})
        return {"model": "hive-nano", "messages": self.messages, "temperature": 0, "max_tokens": 24} | more

    async def turn(self, question: str, **more: Any) -> Told:
        """Asks, and takes the answer into the conversation."""
        answer = (await self.http.post("/v1/chat/completions", json=self.body(question, **more))).raise_for_status()
        said = answer.json()
        self.messages.append(said["choices"][0]["message"])
        cached = said["usage"]["prompt_tokens_details"]["cached_tokens"]
        return answer.headers["x-hive-worker"], cached, said["usage"]["prompt_tokens"]


async def test_each_turn_goes_where_the_last_one_was_read_though_others_wait_longer(swarm: Swarm) -> None:
    async with swarm.client() as http:
        talks = [Conversation(http, about) for about in ("Rivers", "Stars", "Bread")]
        first = [await talk.turn("What is that?") for talk in talks]
        assert len({who for who, *_ in first}) == WORKERS, "who waited longest goes first"
        for talk, (who, _, had) in zip(talks[::-1], first[::-1], strict=True):
            again, cached, _ = await talk.turn("And why?")
            assert (again, cached > had - 10) == (who, True), talk.about


async def test_a_prompt_that_goes_on_does_so_too(swarm: Swarm) -> None:
    book = "".join(f"Chapter {n} is short. " for n in range(100))
    async with swarm.client() as http:
        told = []
        for end in ("Who", "What did the captain", "Why"):
            body = {"model": "hive-nano", "prompt": book + end, "max_tokens": 4}
            answer = (await http.post("/v1/completions", json=body)).raise_for_status()
            usage = answer.json()["usage"]
            told.append((answer.headers["x-hive-worker"], usage["prompt_tokens_details"]["cached_tokens"] > 400))
    who = told[0][0]
    assert told == [(who, False), (who, True), (who, True)]


async def test_with_a_seed_it_goes_to_who_waited_longest_for_nothing_is_read_from_a_cache(swarm: Swarm) -> None:
    async with swarm.client() as http:
        talk = Conversation(http, "Rivers")
        who, *_ = await talk.turn("What is that?")
        again, cached, _ = await talk.turn("And why?", seed=1)
        assert (again != who, cached) == (True, 0)
