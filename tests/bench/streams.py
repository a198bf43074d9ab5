"""A thousand clients that stream from one coordinator at once, each from a paced scripted worker."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from tests.bench.clients import QUESTION
from tests.bench.figure import Figure, percentile
from tests.bench.ground import Ground, Helper, coordinator
from tests.bench.http import Line

CLIENTS = 1000
WORKERS = {"workers": 16, "slots": 64, "pace_s": 1.5, "chunk": 2}
ARRIVE_S = 8.0
"""The clients come evenly over so long; every answer takes longer, so all of them stream at once."""

HELD = """
    SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid()
    AND backend_type = 'client backend' AND xact_start < clock_timestamp() - interval '200 ms'
"""
LOOKS, LOOK_S = 10, 0.2
END = b"data: [DONE]\n\n"


async def measure(folder: Path) -> list[Figure]:
    """How many finish, how long the first token takes, and what it costs the coordinator."""
    async with coordinator(folder) as ground:
        workers = await Helper.start("tests.bench.workers", {"url": ground.worker_url, **WORKERS})
        await workers.hear()
        await _clients(ground, 50, 1.0)
        busy, idle = ground.cpu_seconds()["coordinator"], ground.megabytes()
        clients = await _started(ground, CLIENTS, ARRIVE_S)
        await asyncio.sleep(ARRIVE_S)
        held = max([await _looked(ground) for _ in range(LOOKS)])
        open_ = await ground.number("SELECT count(*) FROM jobs WHERE state = 'computing'")
        grown = ground.megabytes() - idle
        rows: list[tuple[int, int, int, bool]] = await clients.finish()
        used = ground.cpu_seconds()["coordinator"] - busy
        await workers.finish()
    firsts = [(first - began) / 1e6 for began, first, _, _ in rows]
    span = (max(row[2] for row in rows) - min(row[0] for row in rows)) / 1e9
    return [
        Figure(f"streams of {CLIENTS} that ended whole", sum(whole for *_, whole in rows), "", CLIENTS, floor=True),
        Figure("  streaming at one moment", open_, ""),
        Figure("  first token, p50", percentile(firsts, 50), "ms"),
        Figure("  first token, p99", percentile(firsts, 99), "ms", 150),
        Figure(f"  database connections held for over 0.2 s, at most in {LOOKS} looks", held, "", 0),
        Figure("  memory for a stream", 1000 * grown / CLIENTS, "KB"),
        Figure("  processor of the coordinator", 100 * used / span, "% of a core"),
    ]


async def _looked(ground: Ground) -> int:
    await asyncio.sleep(LOOK_S)
    return await ground.number(HELD)


async def _clients(ground: Ground, count: int, seconds: float) -> None:
    await (await _started(ground, count, seconds)).finish()


async def _started(ground: Ground, count: int, seconds: float) -> Helper:
    told = {"url": ground.base_url, "key": ground.api_key, "clients": count, "seconds": seconds}
    return await Helper.start("tests.bench.streams", told)


async def _stream(told: dict[str, Any], after_s: float) -> tuple[int, int, int, bool]:
    """One client: when it asked, had its first token and its last (monotonic ns), and whether the stream ended whole."""
    await asyncio.sleep(after_s)
    headers = {"authorization": f"Bearer {told['key']}", "content-type": "application/json"}
    messages = [{"role": "user", "content": QUESTION}]
    body = msgspec.json.encode({"model": "hive-nano", "messages": messages, "max_tokens": 24, "stream": True})
    line = await Line.open(told["url"])
    began, first, last = time.monotonic_ns(), 0, b""
    async for chunk in line.stream("/v1/chat/completions", headers, body):
        first = first or time.monotonic_ns()
        last = chunk
    line.close()
    return began, first, time.monotonic_ns(), last.endswith(END)


async def main() -> None:
    """The clients, in a process of their own."""
    told: dict[str, Any] = msgspec.json.decode(sys.stdin.readline())
    count = told["clients"]
    rows = await asyncio.gather(*(_stream(told, told["seconds"] * n / count) for n in range(count)))
    print(msgspec.json.encode(rows).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
