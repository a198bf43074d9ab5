"""A process of keep-alive clients: `python -m tests.bench.clients`, told on stdin what to do; prints what came of it.

`paced` submits jobs at a fixed rate without waiting for their answers; `closed` has each client ask its next chat when
the last is answered, `stream`ed if told so. One row for a request: job id, when it was written and answered (monotonic ns),
HTTP status.
"""

import asyncio
import sys
import time
from collections import deque
from typing import Any

import msgspec
import uvloop

from tests.bench.http import Answer, Line

QUESTION = "Explain H3 geospatial indexing in one paragraph."
MAX_TOKENS = 64
CHATS = "/v1/chat/completions"
DONE = b"data: [DONE]\n\n"
Row = tuple[str, int, int, int]


class Load:
    """Clients of one coordinator."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._headers = {"authorization": f"Bearer {told['key']}", "content-type": "application/json"}
        messages = [{"role": "user", "content": QUESTION}]
        self._chat = msgspec.json.encode({"model": "hive-nano", "messages": messages, "max_tokens": MAX_TOKENS})
        if told.get("stream"):
            self._chat = self._chat[:-1] + b',"stream":true}'
        self._job = msgspec.json.encode({"model_id": "hive-nano", "messages": messages, "max_tokens": MAX_TOKENS})
        self.rows: list[Row] = []

    async def paced(self) -> None:
        """A job every 1/rate seconds, each on a connection that is free."""
        free = deque([await Line.open(self._told["url"]) for _ in range(self._told["clients"])])
        loop = asyncio.get_running_loop()
        began = loop.time()
        asking = set()
        for number in range(int(self._told["rate"] * self._told["seconds"])):
            await asyncio.sleep(max(0.0, began + number / self._told["rate"] - loop.time()))
            task = asyncio.create_task(self._submit(free.popleft(), free))
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.gather(*asking)

    async def closed(self) -> None:
        """Every client asks for `seconds`."""
        until = time.monotonic() + self._told["seconds"]
        await asyncio.gather(*(self._ask(until) for _ in range(self._told["clients"])))

    async def _submit(self, line: Line, free: deque[Line]) -> None:
        await self._one(line, "/hive/jobs", self._job)
        free.append(line)

    async def _ask(self, until: float) -> None:
        line = await Line.open(self._told["url"])
        while time.monotonic() < until:
            await (self._streamed(line) if self._told.get("stream") else self._one(line, CHATS, self._chat))
        line.close()

    async def _streamed(self, line: Line) -> None:
        """A chat whose end is its last event."""
        began = time.monotonic_ns()
        last = b""
        async for chunk in line.stream(CHATS, self._headers, self._chat):
            last = chunk
        if not last.endswith(DONE):
            raise RuntimeError(f"a stream ended with {last!r}")
        self.rows.append(("", began, time.monotonic_ns(), 200))

    async def _one(self, line: Line, path: str, body: bytes) -> None:
        began = time.monotonic_ns()
        answer = await line.ask("POST", path, self._headers, body)
        self.rows.append((_id(answer), began, time.monotonic_ns(), answer.status))


def _id(answer: Answer) -> str:
    told = msgspec.json.decode(answer.body)
    return str(told.get("job_id") or told.get("id", ""))


async def main() -> None:
    """Does what it is told."""
    told = msgspec.json.decode(sys.stdin.readline())
    load = Load(told)
    await (load.paced() if told["mode"] == "paced" else load.closed())
    print(msgspec.json.encode(load.rows).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
