"""Scripted workers that never give up: what they hold outlives their connections, as a real worker's does."""

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, field
from random import Random
from typing import Final

import msgspec
from nacl.signing import SigningKey
from websockets.exceptions import WebSocketException

from shared.protocol.messages import (
    Accept,
    Ack,
    Cancel,
    Decline,
    Done,
    Failed,
    Heartbeat,
    Held,
    ModelOffer,
    Offer,
    OfferBody,
    Tokens,
    ToWorker,
)
from tests.bench.chaos_proxy import Proxy
from tests.bench.chaos_stage import Process
from tests.swarm.letters import Tokeniser
from tests.swarm.scripted import ScriptedWorker

CHUNK: Final = 3
WORDS: Final = ("one", "two", "three", "four", "five", "six", "seven", "red", "green", "blue", "black", "white")
Key = tuple[str, int]


@dataclass(eq=False)
class Work:
    """One attempt that a worker holds."""

    body: OfferBody
    ids: list[int]
    texts: list[str]
    sent: int = 0
    done: Done | None = None


@dataclass
class Agent:
    """A worker: its key, what it holds, what was done to its results, and what its nemesis makes of it. Its answers are its
    own, so that a stream that mixes two workers' shows it."""

    name: str
    key: SigningKey
    cell: str
    model: ModelOffer
    tokeniser: Tokeniser
    coordinators: list[Process]
    random: Random
    pace_s: float
    beat_s: float
    line: Proxy
    slots: int = 2
    skew_ms: int = 0
    held: dict[Key, Work] = field(default_factory=dict)
    acks: list[tuple[str, int, str, str]] = field(default_factory=list)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    connection: "Connection | None" = None
    at: Process | None = None
    connects: int = 0

    async def run(self) -> None:
        """Connects again for ever, each time to another coordinator."""
        self.awake.set()
        while True:
            self.at = self.random.choice(self.coordinators)
            self.line.target = self.at.port
            with contextlib.suppress(OSError, WebSocketException, TimeoutError, AssertionError):
                await self._session()
            await asyncio.sleep(self.random.uniform(0.1, 0.5))

    def forget(self) -> None:
        """kill -9: what it held is gone with it."""
        self.held.clear()
        self.line.cut()

    async def _session(self) -> None:
        connection = Connection(self)
        held = [self._told(work) for work in self.held.values()]
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(5):
                url = f"ws://127.0.0.1:{self.line.port}/hive/worker"
                await stack.enter_async_context(connection.connected(url, held))
            self.connects += 1
            self.connection = connection
            assert connection.welcome is not None
            for verdict in connection.welcome.resume:
                work = self.held.get((verdict.job_id, verdict.attempt))
                if verdict.verdict == "abandon":
                    self.held.pop((verdict.job_id, verdict.attempt), None)
                elif work is not None:
                    connection.go_on(work)
            while not connection.gone.is_set():
                await self.awake.wait()
                await connection.send(Heartbeat(self.slots))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.beat_s):
                        await connection.gone.wait()

    def _told(self, work: Work) -> Held:
        return Held(work.body.job_id, work.body.attempt, "running" if work.done is None else "done", work.sent)

    def says(self, body: OfferBody) -> tuple[str, int]:
        """What it has to say to this job, and how many tokens of it: the number is the job's own."""
        number = int.from_bytes(hashlib.sha256(body.job_id.encode()).digest()[:2])
        words = Random(f"{self.name} {body.job_id}").choices(WORDS, k=2 * body.max_tokens)
        return " ".join([self.name, *words]), 6 + number % (body.max_tokens - 5)


class Connection(ScriptedWorker):
    """One connection of an agent."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(
            key=agent.key, cell=agent.cell, model=agent.model, tokeniser=agent.tokeniser, slots=agent.slots,
            chunk=CHUNK, script=_answer,
        )  # fmt: skip
        self.agent = agent

    def now_ms(self) -> int:
        """A clock that the nemesis puts wrong."""
        return super().now_ms() + self.agent.skew_ms

    def _heard(self, message: ToWorker) -> None:
        match message:
            case Ack():
                self.agent.held.pop((message.job_id, message.attempt), None)
                self.agent.acks.append((message.job_id, message.attempt, message.verdict, message.reason))
            case Cancel():
                self.agent.held.pop((message.job_id, message.attempt), None)
            case _:
                pass
        super()._heard(message)

    def go_on(self, work: Work) -> None:
        """Goes on with what it held before this connection, and says all of it again first."""
        work.sent = 0
        task = asyncio.create_task(self._tell(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def take(self, offer: Offer) -> None:
        """Does what is offered; now and then it declines, fails, or says its result twice."""
        body, chance = offer.body, self.agent.random.random()
        key = (body.job_id, body.attempt)
        if chance < 0.02:
            return await self.send(Decline(*key, "busy"))
        await self.send(Accept(*key))
        if chance < 0.03:
            return await self.send(Failed(*key, "crashed", "the engine died", retryable=True))
        self.says, most = self.agent.says(body)
        ids, texts = self.answer(msgspec.structs.replace(body, max_tokens=min(most, body.max_tokens)))
        work = self.agent.held[key] = Work(body, ids, texts)
        await self._tell(work)
        if chance > 0.97 and work.done is not None:
            await self.send(work.done)
        return None

    async def _tell(self, work: Work) -> None:
        body, key = work.body, (work.body.job_id, work.body.attempt)
        while work.sent < len(work.ids) and self.agent.held.get(key) is work:
            await self.agent.awake.wait()
            ids = work.ids[work.sent : work.sent + CHUNK]
            text = "".join(work.texts[work.sent : work.sent + CHUNK])
            offset = len(body.resume_ids) + work.sent
            await self.send(Tokens(body.job_id, body.attempt, offset, ids, text))
            work.sent += len(ids)
            await asyncio.sleep(self.agent.pace_s)
        if self.agent.held.get(key) is work:
            work.done = work.done or self.result(body, work.ids, "".join(work.texts))
            await self.send(work.done)


async def _answer(worker: ScriptedWorker, offer: Offer) -> None:
    assert isinstance(worker, Connection)
    await worker.take(offer)
