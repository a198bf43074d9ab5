"""The engine killed, parked, woken and ended in every moment of its life."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from tests.machine.coordinator_double import model_file
from tests.machine.test_engine_hostile import last, request
from worker.engine import process
from worker.engine.child import Child, started as child_started
from worker.engine.process import Engine
from worker.engine.wire import Failed, Finished, Made, OfRequest, Prefill


class Watched:
    """An engine that tells when it is loaded and when it is gone."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.it = Engine(model_file(), slots=2, context=0, max_tps=200.0, changed=self.event.set)

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self.event.clear()
            await self.event.wait()

    async def kill(self, moment: str) -> None:
        """Ends its process; how long it takes to be ready again is told on stdout."""
        assert self.it.pid is not None
        began = time.monotonic()
        os.kill(self.it.pid, signal.SIGKILL)
        await self.until(lambda: self.it.loaded is None)
        await self.it.ready()
        sys.stdout.write(f"killed {moment}: ready again after {time.monotonic() - began:.2f} s\n")


@asynccontextmanager
async def watched() -> AsyncIterator[Watched]:
    them = Watched()
    running = asyncio.create_task(them.it.run())
    try:
        yield them
    finally:
        await them.it.stop()
        await running


async def started(stream: AsyncGenerator[OfRequest, None], kind: type[OfRequest]) -> asyncio.Task[OfRequest]:
    """The rest of an answer once the first event of this kind has come: its last event."""
    async for event in stream:
        if isinstance(event, kind):
            break

    async def rest() -> OfRequest:
        return [event async for event in stream][-1]

    return asyncio.create_task(rest())


@pytest.mark.parametrize("kind", [Prefill, Made])
async def test_a_kill_while_it_reads_or_writes_fails_what_runs_and_nothing_after_it(kind: type[OfRequest]) -> None:
    async with watched() as them:
        await them.it.ready()
        stream = them.it.generate(request(prompt=" word" * 1500, max_tokens=400))
        rest = await started(stream, kind)
        await them.kill(f"at {kind.__name__}")
        said = await rest
        assert isinstance(said, Failed)
        assert (said.code, said.retryable) == ("engine_crashed", True)
        assert isinstance(await last(them.it, request()), Finished)
        assert them.it.starts == 2


async def test_a_kill_while_it_loads_is_another_start(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def told() -> Child:
        child = await child_started()
        begun.set()
        return child

    monkeypatch.setattr(process, "started", told)
    async with watched() as them:
        waiting = asyncio.create_task(them.it.ready())
        await begun.wait()
        assert them.it.loaded is None
        await them.kill("while loading")
        await waiting
        assert isinstance(await last(them.it, request()), Finished)
        assert them.it.starts == 2


@pytest.mark.parametrize("answering", [True, False])
async def test_a_kill_while_it_is_to_leave_the_memory_leaves_it_parked_until_it_is_wanted(answering: bool) -> None:
    async with watched() as them:
        it = them.it
        await it.ready()
        rest = await started(it.generate(request(max_tokens=400)), Made) if answering else None
        it.park()
        await asyncio.sleep(0)
        assert (it.parked, it.busy) == (True, answering)
        assert it.pid is not None
        os.kill(it.pid, signal.SIGKILL)
        if rest is not None:
            assert isinstance(await rest, Failed)
        await it.gone()
        assert it.parked
        assert it.pid is None
        await it.ready()
        assert isinstance(await last(it, request()), Finished)


async def test_parking_and_waking_in_any_order_ends_as_the_last_word_says() -> None:
    chance = Random(2)
    async with watched() as them:
        it, users = them.it, list[asyncio.Task[OfRequest]]()

        async def user() -> OfRequest:
            await it.ready()
            return await last(it, request(max_tokens=4))

        for _ in range(60):
            match chance.randrange(4):
                case 0:
                    it.park()
                case 1:
                    it.wake()
                case 2:
                    users.append(asyncio.create_task(user()))
                case 3:
                    for _ in range(chance.randrange(200)):
                        await asyncio.sleep(0)
        assert all(isinstance(said, Finished) for said in await asyncio.gather(*users))
        it.wake()
        it.park()
        await it.gone()
        assert (it.pid, it.loaded) == (None, None)
        it.wake()
        await them.until(lambda: it.loaded is not None)
        assert not it.busy


async def test_ending_it_while_it_starts_ends_it() -> None:
    async with watched() as them:
        for _ in range(3):
            await asyncio.sleep(0)
    assert them.it.pid is None
