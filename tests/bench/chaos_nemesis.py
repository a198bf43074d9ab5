"""Who does harm in a chaos run: one seed, one order of harms, several of them at once, and all of it undone at the end."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

from tests.bench.chaos_proxy import Proxy
from tests.bench.chaos_stage import READY_S, Process, Stage
from tests.bench.chaos_workers import Agent
from tests.support_wait import eventually


class Nemesis:
    """Chooses what is harmed next, and how; `quick` shortens its pauses as it does the coordinators' times."""

    def __init__(self, stage: Stage, agents: list[Agent], random: Random, quick: int) -> None:
        self._stage, self._agents, self._random = stage, agents, random
        self._lease_s, self._long_s = 30 / quick, 60 / quick
        self._busy: set[int] = set()
        self._doing: list[asyncio.Task[None]] = []
        self.did: Counter[str] = Counter()
        self._harms: list[tuple[str, Callable[[Any], Awaitable[None]], Callable[[], Any]]] = [
            ("coordinator killed", self._kill, self._coordinator),
            ("coordinator drained", self._drain, self._coordinator),
            *[("coordinator paused", self._pause, self._coordinator)] * 3,
            ("clients cut", self._cut, lambda: self._coordinator().front),
            ("clients delayed", self._delay, lambda: self._coordinator().front),
            ("database cut", self._cut, lambda: self._coordinator().database),
            ("database delayed", self._delay, lambda: self._coordinator().database),
            *[("coordinator overtaken", self._overtake, self._coordinator)] * 4,
            *[("database held up", self._hold_up, lambda: self._coordinator().database)] * 2,
            ("bus killed", self._kill_bus, lambda: self._stage.nats),
            ("bus cut", self._cut, lambda: self._coordinator().bus),
            ("bus held up", self._hold_up, lambda: self._coordinator().bus),
            *[("worker killed", self._kill_worker, self._agent)] * 2,
            *[("worker paused", self._pause_worker, self._agent)] * 3,
            *[("worker cut", self._cut, lambda: self._agent().line)] * 3,
            ("worker delayed", self._delay, lambda: self._agent().line),
            ("worker's clock put wrong", self._skew, self._agent),
        ]

    async def run(self, seconds: float) -> None:
        """Does harm for so long, then waits until all of it is undone."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    name, harm, victim = self._random.choice(self._harms)
                    self._start(name, harm, victim())
                    await asyncio.sleep(self._random.uniform(0.1, 0.6))
        except TimeoutError:
            await asyncio.gather(*self._doing)

    def _start(self, name: str, harm: Callable[[Any], Awaitable[None]], victim: Any) -> None:
        """One coordinator is always left alone: where all are gone nothing happens, and nothing is learned."""
        down = sum(id(one) in self._busy for one in self._stage.coordinators)
        if id(victim) not in self._busy and not (
            isinstance(victim, Process) and down + 1 >= len(self._stage.coordinators)
        ):
            self._busy.add(id(victim))
            self.did[name] += 1
            self._doing.append(asyncio.create_task(self._do(harm, victim)))

    async def _do(self, harm: Callable[[Any], Awaitable[None]], victim: Any) -> None:
        try:
            await harm(victim)
        finally:
            self._busy.discard(id(victim))

    def _coordinator(self) -> Process:
        return self._random.choice(self._stage.coordinators)

    def _agent(self) -> Agent:
        return self._random.choice(self._agents)

    async def _a_while(self, most: float = 0.5) -> None:
        """Up to this part of twice the lease."""
        await asyncio.sleep(self._random.uniform(0.02, most) * self._long_s)

    async def _kill(self, one: Process) -> None:
        one.send(signal.SIGKILL)
        await one.ended(5)
        await self._a_while(0.2)
        await self._again(one)

    async def _drain(self, one: Process) -> None:
        one.send(signal.SIGTERM)
        await one.ended(20)
        await self._again(one)

    async def _again(self, one: Process) -> None:
        """As a supervisor does: what dies as it starts, because its database is away, is started again."""

        async def look() -> bool:
            one.start()
            return await one.listens()

        await eventually(look, READY_S, "a coordinator that was started again")

    async def _pause(self, one: Process) -> None:
        one.send(signal.SIGSTOP)
        await self._a_while(0.8)
        one.send(signal.SIGCONT)

    async def _cut(self, line: Proxy) -> None:
        line.cut()

    async def _delay(self, line: Proxy) -> None:
        line.delay_s = self._random.uniform(0.01, 0.2)
        await self._a_while(0.2)
        line.delay_s = 0.0

    async def _hold_up(self, line: Proxy) -> None:
        line.open.clear()
        await self._a_while(0.8)
        line.open.set()

    async def _overtake(self, one: Process) -> None:
        """Its database is out of reach for so long that what its workers do is given to others; as soon as one of those is at
        work on what one of its own has a result of, that comes, late."""
        one.database.open.clear()
        with contextlib.suppress(AssertionError):  # nobody had anything to do
            await eventually(partial(self._is_overtaken, one), 3 * self._lease_s, "a job that was given to another")
            self.did["results overtaken"] += 1
        one.database.open.set()

    async def _is_overtaken(self, one: Process) -> bool:
        late = {key for agent in self._agents if agent.at is one for key, work in agent.held.items() if work.done}
        busy = {key for agent in self._agents if agent.at is not one for key, work in agent.held.items() if work.sent}
        return any(job == other and attempt < newer for job, attempt in late for other, newer in busy)

    async def _kill_bus(self, nats: Any) -> None:
        nats.kill()
        await self._a_while(0.3)
        await asyncio.to_thread(nats.start)

    async def _kill_worker(self, agent: Agent) -> None:
        agent.forget()
        await self._a_while(0.1)

    async def _pause_worker(self, agent: Agent) -> None:
        """As by SIGSTOP: it says nothing, and what it would have said comes afterwards."""
        agent.awake.clear()
        agent.line.open.clear()
        await self._a_while(0.8)
        agent.line.open.set()
        agent.awake.set()

    async def _skew(self, agent: Agent) -> None:
        """Some of it is more than a coordinator lets in."""
        agent.skew_ms = self._random.choice([-1, 1]) * self._random.choice([3_000, 60_000, 110_000, 200_000])
        agent.line.cut()
        await self._a_while(0.2)
        agent.skew_ms = 0
