"""A process of scripted workers that answer everything at once: `python -m tests.bench.workers`, told on stdin.

It prints their keys, and once stdin closes, when (monotonic ns) each job's offer came, or with `cancels` its cancel. With
`pace_s` they write a frame of `chunk` tokens only so often.
"""

import asyncio
import contextlib
import sys
import time
from typing import Any, Literal

import msgspec
import uvloop

from shared.catalogue import catalogue
from shared.protocol.messages import Cancel, Heartbeat, ModelOffer, Offer, ToWorker
from shared.tokens import Vocabulary
from tests.swarm.scripted import ScriptedWorker, speak

SAYS = "H3 divides the whole surface of the earth into hexagons, and each of them into seven smaller ones."
HEARTBEAT_S = 5.0


class Ticks(asyncio.Event):
    """An event that whoever waits for it gets after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def wait(self) -> Literal[True]:
        """Waits."""
        await asyncio.sleep(self._seconds)
        return True


class Stamping(ScriptedWorker):
    """A worker that notes when it is told to stop, and does."""

    stopped: dict[str, int]

    def _heard(self, message: ToWorker) -> None:
        if isinstance(message, Cancel):
            self.stopped[message.job_id] = time.monotonic_ns()
        super()._heard(message)


async def main() -> None:
    """Connects the workers and serves."""
    told: dict[str, Any] = msgspec.json.decode(sys.stdin.readline())
    entry = catalogue()["hive-nano"]
    model = ModelOffer(entry.id, entry.digest, entry.context, entry.size_bytes, loaded=True)
    vocabulary = Vocabulary(entry.path)
    offers: dict[str, int] = {}
    Stamping.stopped = {}

    async def stamped(worker: ScriptedWorker, offer: Offer) -> None:
        offers[offer.body.job_id] = time.monotonic_ns()
        await speak(worker, offer)

    gate = Ticks(told["pace_s"]) if "pace_s" in told else None

    async with contextlib.AsyncExitStack() as stack:
        workers = []
        for _ in range(told["workers"]):
            worker = Stamping(
                model=model,
                tokeniser=vocabulary,
                slots=told["slots"],
                says=told.get("says", SAYS),
                chunk=told.get("chunk", 16),
                script=stamped,
                gate=gate,
            )
            await stack.enter_async_context(worker.connected(told["url"]))
            workers.append(worker)
        print(msgspec.json.encode([worker.pk for worker in workers]).decode(), flush=True)
        over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not over.done():
            for worker in workers:
                await worker.send(Heartbeat(worker.capabilities.slots))
            await asyncio.wait([over], timeout=HEARTBEAT_S)
        print(msgspec.json.encode(Stamping.stopped if told.get("cancels") else offers).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
