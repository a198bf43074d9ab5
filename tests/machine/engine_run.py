"""Our engine for the time of a test, what it is asked, and what it says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shared.protocol.messages import Message, Sampling
from tests.machine.coordinator_double import model_file
from worker.engine.face import Engine as Face
from worker.engine.process import Engine
from worker.engine.wire import Finished, Generate, Made, OfRequest


def request(text: str = "Tell me a long story about a fox.", **changed: Any) -> Generate:
    """A chat with one message, unless it is changed."""
    asked = {} if {"prompt", "messages"} & changed.keys() else {"messages": [Message("user", text)]}
    fields: dict[str, Any] = {"number": 0, "max_tokens": 60, "sampling": Sampling(temperature=800_000), "seed": 7}
    return Generate(**{**fields, **asked, **changed})


@asynccontextmanager
async def engine(file: Path | None = None, **changed: Any) -> AsyncIterator[Engine]:
    """An engine with its model loaded."""
    it = Engine(file or model_file(), **{"slots": 2, "context": 0, **changed})
    running = asyncio.create_task(it.run())
    await it.ready()
    try:
        yield it
    finally:
        await it.stop()
        await running


async def events(it: Face, asked: Generate) -> list[OfRequest]:
    return [event async for event in it.generate(asked)]


def ids_of(said: list[OfRequest]) -> list[int]:
    return [i for event in said if isinstance(event, Made) for i in event.ids]


def text_of(said: list[OfRequest]) -> str:
    return "".join(event.text for event in said if isinstance(event, Made | Finished))


def ending(said: list[OfRequest]) -> Finished:
    assert isinstance(said[-1], Finished), said[-1]
    return said[-1]
