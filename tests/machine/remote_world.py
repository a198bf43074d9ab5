"""The `openai` engine in front of a scripted upstream, and the scripts that several tests play."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shared.protocol.messages import Message, Sampling
from tests.machine.coordinator_double import model_file
from tests.machine.scripted_upstream import HEAD, Call, Upstream as Scripted, scripted
from worker.engine.wire import Generate
from worker.remote.engine import RemoteEngine
from worker.remote.http import Patience
from worker.remote.upstream import Upstream

PATIENT = Patience(connect_s=20.0, answer_s=20.0, silent_s=20.0, whole_s=20.0)
HASTY = Patience(connect_s=20.0, answer_s=0.2, silent_s=0.2, whole_s=20.0)
KEY = "sk-very-secret"


def request(**changed: Any) -> Generate:
    fields: dict[str, Any] = {
        "number": 0, "messages": [Message("user", "hi")], "max_tokens": 30, "sampling": Sampling(), "seed": 7,
    }  # fmt: skip
    return Generate(**{**fields, **changed})


def engine_of(upstream: Scripted, file: Path | None = None, slots: int = 2, **changed: Any) -> RemoteEngine:
    said = Upstream(url=upstream.url, models={"hive-nano": "nano"}, key=KEY, slots=slots)
    return RemoteEngine(said, "nano", file or model_file(), context=2048, **{"patience": PATIENT, **changed})


@asynccontextmanager
async def running(it: RemoteEngine) -> AsyncIterator[RemoteEngine]:
    task = asyncio.create_task(it.run())
    try:
        yield it
    finally:
        await it.stop()
        await task


@asynccontextmanager
async def engine(**changed: Any) -> AsyncIterator[tuple[RemoteEngine, Scripted]]:
    """An engine that has its model, and the scripted upstream behind it."""
    async with scripted() as upstream, running(engine_of(upstream, **changed)) as it:
        await it.ready()
        yield it, upstream


async def one_word_then_silence(call: Call) -> None:
    await call.say("hello", finish=None, wait=True)


async def endless(call: Call) -> None:
    await without_end(call, HEAD, b'data: {"choices":[{"delta":{"content":" one two"}}]}\n\n')


async def without_end(call: Call, head: bytes, part: bytes) -> None:
    await call.send(head)
    while True:
        await call.send(part)
