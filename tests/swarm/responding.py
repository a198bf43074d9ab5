"""What tests of the Responses API share: what the workers say, what they were offered, and a response's end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from openai import AsyncOpenAI
from openai.types.responses import Response

from shared.protocol.messages import Offer
from tests.swarm.scripted import ScriptedWorker
from tests.swarm.whole import Swarm

MODEL: Final = "hive-nano"
SAYS: Final = "The capital is Rome."


def workers(swarm: Swarm) -> list[ScriptedWorker]:
    """All workers."""
    return [swarm.rome, swarm.berlin, swarm.new_york]


def say(swarm: Swarm, text: str = SAYS, **different: Any) -> None:
    """Lets all workers answer this, in this way."""
    for worker in workers(swarm):
        worker.says = text
        for name, value in different.items():
            setattr(worker, name, value)


async def offered(swarm: Swarm) -> Offer:
    """The one offer that any of the workers got and that was not looked at yet."""
    (worker,) = [one for one in workers(swarm) if not one.offers.empty()]
    return await worker.offers.get()


async def heard(swarm: Swarm) -> list[tuple[str, str | None]]:
    """The conversation in the one offer."""
    return [(message.role, message.content) for message in (await offered(swarm)).body.messages or []]


async def ended(client: AsyncOpenAI, made: Response) -> Response:
    """A response once it has ended."""
    async with asyncio.timeout(30):
        while made.status in ("queued", "in_progress"):
            made = await client.responses.retrieve(made.id)
    return made


async def read_into(seen: list[Any], stream: AsyncIterator[Any]) -> None:
    """Reads a stream that may break."""
    async for event in stream:
        seen.append(event)


def client_of(swarm: Swarm, key: str | None = None) -> AsyncOpenAI:
    """The official client with a key, the swarm's own by default; it tries nothing twice."""
    return AsyncOpenAI(base_url=f"{swarm.base_url}/v1", api_key=key or swarm.api_key, max_retries=0)
