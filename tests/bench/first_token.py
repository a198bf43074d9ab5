"""How much later the first token comes through the whole swarm than from the engine itself, on the same machine."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from deploy.layout import Layout, default_cells
from deploy.swarm import Plan, running
from shared.catalogue import catalogue
from shared.protocol.messages import Message, Sampling
from tests.bench.clients import QUESTION
from tests.bench.figure import Figure, percentile
from tests.bench.http import Line
from worker.engine.process import Engine
from worker.engine.wire import Generate, Made

ROUNDS = 100
WARM = 10
MAX_TOKENS = 8
SLOTS = 4
WORKERS = 3
ENOUGH_S = 10


async def measure(folder: Path) -> list[Figure]:
    """The engine called directly and a streamed chat through `hive up`, in turn, with the same prompt and sampling."""
    plan = Plan(port=0, cells=default_cells(WORKERS), tiers=["sovereign"] * WORKERS, model="hive-nano")
    async with running(Layout(folder), plan, lambda _what, _detail: None) as swarm, _engine() as engine:
        line = await Line.open(swarm.base_url)
        request, alone, through = _request(), [], []
        for number in range(WARM + ROUNDS):
            direct, swarmed = await _direct(engine, request), await _streamed(line, swarm.api_key)
            if number >= WARM:
                alone.append(direct)
                through.append(swarmed)
        line.close()
    added = [swarmed - direct for direct, swarmed in zip(alone, through, strict=True)]
    return [
        Figure("added time to first token, p50", percentile(added, 50), "ms", 10),
        Figure("  p99 of it", percentile(added, 99), "ms"),
        Figure("  first token of the engine alone, p50", percentile(alone, 50), "ms"),
        Figure("  first token through the swarm, p50", percentile(through, 50), "ms"),
    ]


@contextlib.asynccontextmanager
async def _engine() -> AsyncIterator[Engine]:
    engine = Engine(catalogue()["hive-nano"].path, slots=SLOTS, context=0)
    running_ = asyncio.create_task(engine.run())
    try:
        async with asyncio.timeout(ENOUGH_S):
            await engine.ready()
        yield engine
    finally:
        await engine.stop()
        await running_


def _request() -> Generate:
    messages = [Message(role="user", content=QUESTION)]
    return Generate(0, MAX_TOKENS, Sampling(temperature=0), 0, messages=messages)


async def _direct(engine: Engine, request: Generate) -> float:
    """Milliseconds from the call to the first token."""
    began, first = time.perf_counter(), 0.0
    async with contextlib.aclosing(engine.generate(request)) as events:
        async for event in events:
            if isinstance(event, Made) and not first:
                first = time.perf_counter()
    return (first - began) * 1000


async def _streamed(line: Line, key: str) -> float:
    """Milliseconds from the request to the first piece of text."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "x-hive-cache": "false"}
    messages = [{"role": "user", "content": QUESTION}]
    asked = {"model": "hive-nano", "messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS, "stream": True}
    began, first = time.perf_counter(), 0.0
    async with contextlib.aclosing(line.stream("/v1/chat/completions", headers, msgspec.json.encode(asked))) as chunks:
        async for chunk in chunks:
            if not first and _has_text(chunk):
                first = time.perf_counter()
    if not first:
        raise RuntimeError("a chat ended without any text")
    return (first - began) * 1000


def _has_text(chunk: bytes) -> bool:
    lines = [line.removeprefix(b"data: ") for line in chunk.splitlines() if line.startswith(b"data: {")]
    return any(choice["delta"].get("content") for line in lines for choice in msgspec.json.decode(line)["choices"])
