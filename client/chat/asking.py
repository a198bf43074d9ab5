"""One question to a Hive through the official `openai` package, and what the Hive tells about its answer afterwards."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import msgspec
import openai

from client.call import Call
from client.chat.wishes import Wishes
from client.failures import broke_off, failure, nobody_there, unreadable
from client.hive import AsyncHive
from client.shapes.jobs import Job
from client.shapes.swarm import Model, ModelList
from shared.errors import HiveError, JobFailed, RequestError
from shared.reach import Reach

SILENCE_S: Final = 60.0
"""A Hive says something every ten seconds; after this long without a word it is gone."""

ENDS_S: Final = 3.0
"""How long the end of a job is waited for, when its answer was left or has just ended."""

SERVED: Final = Call("GET", "/v1/models", ModelList)


class Began(msgspec.Struct, frozen=True):
    """The answer begins: its job, and by whom it is computed as far as that is known now."""

    job_id: str
    countries: list[str]
    cell: str | None


class Said(msgspec.Struct, frozen=True):
    """A piece of the answer."""

    text: str


class Thought(msgspec.Struct, frozen=True):
    """A piece of the reasoning before it."""

    text: str


class Ended(msgspec.Struct, frozen=True):
    """Why it ended, and the model's own counts."""

    reason: str
    tokens_in: int
    tokens_out: int


Piece = Began | Said | Thought | Ended


def asker(there: Reach) -> "Asker":
    """An asker of this Hive, to which there is a key."""
    client = openai.AsyncOpenAI(base_url=f"{there.url}/v1", api_key=there.key, timeout=SILENCE_S)
    return Asker(AsyncHive(there.url, there.key), there.url, client)


class Asker:
    """Asks one Hive; close it when nothing more is asked. Leaving an answer cancels its job."""

    def __init__(self, hive: AsyncHive, url: str, client: openai.AsyncOpenAI) -> None:
        self.hive = hive
        self._url = url
        self._openai = client

    async def close(self) -> None:
        """Close all connections."""
        await self._openai.close()
        await self.hive.close()

    async def models(self) -> list[Model]:
        """The models that write and that some worker serves to this key, loaded ones first; raises HiveError."""
        models = (await self.hive.send(SERVED)).data
        return [model for model in models if "text" in model.output_modalities]

    async def answer(self, wishes: Wishes, messages: Sequence[Any]) -> AsyncGenerator[Piece, None]:
        """The answer as it comes; raises HiveError."""
        reason, counts = "", (0, 0)
        try:
            raw = await self._openai.chat.completions.with_raw_response.create(**wishes.request(messages))
            async with raw.parse() as chunks:
                yield _began(raw.headers)
                async for chunk in chunks:
                    if chunk.usage is not None:
                        counts = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                    for choice in chunk.choices:
                        reason = choice.finish_reason or reason
                        for piece in _pieces(choice.delta):
                            yield piece
        except openai.APIError as e:
            raise self._told(e) from e
        except UnicodeEncodeError as e:
            raise RequestError("The question is not UTF-8 text.") from e
        except ValueError as e:
            raise unreadable(self._url, 200, {}) from e
        if not reason:
            raise broke_off(self._url)
        yield Ended(reason, *counts)

    async def ended(self, job_id: str) -> Job:
        """The job at its end, or as it is if that does not come soon; raises HiveError."""
        try:
            async with asyncio.timeout(ENDS_S):
                return await self.hive.wait(job_id)
        except TimeoutError:
            return await self.hive.job(job_id)

    def _told(self, error: openai.APIError) -> HiveError:
        if isinstance(error, openai.APIStatusError):
            return failure(error.status_code, error.response.headers, error.response.content, self._url)
        if isinstance(error, openai.APIConnectionError):
            never_there = "Connect" in type(error.__cause__).__name__  # its HTTP library is its own affair
            return nobody_there(self._url) if never_there else broke_off(self._url)
        return JobFailed(error.message, code=error.code, param=error.param, dispatched=True)


def _began(headers: Any) -> Began:
    countries = headers.get("x-hive-jurisdiction", "")
    return Began(
        headers.get("x-hive-job-id", ""), countries.split(",") if countries else [], headers.get("x-hive-cell")
    )


def _pieces(delta: Any) -> list[Said | Thought]:
    thought = getattr(delta, "reasoning_content", None)
    found: list[Said | Thought] = [Thought(thought)] if thought else []
    return [*found, Said(delta.content)] if delta.content else found
