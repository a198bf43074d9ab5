"""The same requests to our engine and to llama-server: what each is asked, and when its tokens come."""

import asyncio
import json
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from shared.protocol.messages import Sampling
from worker.engine.process import Engine
from worker.engine.wire import Failed, Finished, Generate, Made

SAMPLING = Sampling(temperature=800_000, top_k=40, top_p=950_000)
NEVER = -100_000_000
"""The bias, in millionths, that keeps an end token away."""


class Answer(msgspec.Struct, frozen=True):
    """When the first token came and when the last, in seconds after the request; how many there were."""

    first_s: float
    last_s: float
    tokens: int


class Side(Protocol):
    """One of the two."""

    async def answer(self, prompt: str, tokens: int, *, cached: bool = False) -> Answer:
        """Streams exactly so many tokens; `cached` lets it use prefixes that it has read before."""


class Ours:
    """The worker's engine process."""

    def __init__(self, engine: Engine, ends: Sequence[int]) -> None:
        self._engine = engine
        self._biases = {str(token): NEVER for token in ends}

    async def answer(self, prompt: str, tokens: int, *, cached: bool = False) -> Answer:
        """Streams exactly so many tokens."""
        began, first, count = perf_counter(), 0.0, 0
        asked = Generate(
            0, tokens, SAMPLING, 7, prompt=prompt, logit_bias=self._biases, fresh=not cached, scope="bench"
        )
        async for event in self._engine.generate(asked):
            if isinstance(event, Made):
                first = first or perf_counter() - began
                count += len(event.ids)
            if isinstance(event, Failed):
                raise RuntimeError(event.message)
            if isinstance(event, Finished):
                break
        return Answer(first, perf_counter() - began, count)


class Theirs:
    """llama-server, over HTTP as its clients use it."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname, parts.port

    async def answer(self, prompt: str, tokens: int, *, cached: bool = False) -> Answer:
        """Streams exactly so many tokens."""
        body = json.dumps({
            "prompt": prompt, "n_predict": tokens, "stream": True, "ignore_eos": True, "cache_prompt": cached, "seed": 7,
            "temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.0, "repeat_penalty": 1.0, "return_tokens": True,
        }).encode()  # fmt: skip
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
        began, first, count = perf_counter(), 0.0, 0
        head = f"POST /completion HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        other = b""
        while line := await reader.readline():
            if not line.startswith(b"data: {"):
                other = line.strip() or other
                continue
            said = json.loads(line[6:])
            count += len(said.get("tokens") or [])
            first = first or (perf_counter() - began if said.get("tokens") else 0.0)
            if said.get("stop"):
                break
        writer.close()
        if count != tokens:
            raise RuntimeError(
                f"llama-server made {count} tokens, not {tokens}: {other.decode(errors='replace')[:200]}"
            )
        return Answer(first, perf_counter() - began, count)


async def rate(side: Side, prompts: Sequence[str], tokens: int) -> float:
    """Tokens per second of all streams together, from the first token of any to the last of all."""
    answers = await asyncio.gather(*(side.answer(prompt, tokens) for prompt in prompts))
    spent = max(a.last_s for a in answers) - min(a.first_s for a in answers)
    return sum(a.tokens for a in answers) / spent
