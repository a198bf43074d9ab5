"""A process of workers that do nothing but live: `python -m tests.bench.sockets_workers`, told on stdin, until stdin closes.

Each has a key and an address of the loopback of its own, speaks the real protocol over the least websocket there can be, and
connects again as a real one does. A line for `ready`, then one when it is over: how many are there, how often one had to
connect, and when (monotonic ns) each was last welcomed.
"""

import asyncio
import base64
import contextlib
import os
import sys
import time
from random import random
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop
from nacl.signing import SigningKey

from shared.catalogue import catalogue
from shared.processes import raise_open_files
from shared.protocol.messages import SUBPROTOCOL, Capabilities, Hardware, Heartbeat, ModelOffer
from shared.protocol.worker_end import ChallengeReceived, Welcomed, WorkerEnd
from tests.swarm.scripted import now_ms
from worker.link import back_off

BEAT_S = 5.0
TICK_S = 0.01
OPENING = 48
"""How many of this process join at the same time while it starts; those that come back do so all at once."""

MASKED = 0x80
BINARY = 0x82
CLOSING = 8
LONG = 126


def framed(payload: bytes) -> bytes:
    """A masked binary websocket frame; with a mask of zeros, which changes nothing, for it is the reader's work that counts."""
    size = len(payload)
    head = bytes([BINARY, MASKED | size]) if size < LONG else bytes([BINARY, MASKED | LONG]) + size.to_bytes(2, "big")
    return head + bytes(4) + payload


class Idle(asyncio.Protocol):
    """One worker's connection."""

    def __init__(self, worker: "Worker") -> None:
        self.worker = worker
        self.end = WorkerEnd(worker.key, worker.swarm.host, None, now=now_ms(), entropy=os.urandom(32))
        self.transport: asyncio.Transport | None = None
        self._data = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Asks for the websocket."""
        self.transport = transport
        lines = (
            "GET /hive/worker HTTP/1.1", f"Host: {self.worker.swarm.host}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}", "", "",
        )  # fmt: skip
        transport.write("\r\n".join(lines).encode())

    def data_received(self, data: bytes) -> None:
        """Takes what the coordinator says, frame by frame."""
        self._data += data
        if not self._upgraded:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            self._data, self._upgraded = rest, head.startswith(b"HTTP/1.1 101")
        while self._upgraded and (frame := self._frame()) is not None:
            self._take(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker comes back, as its link would."""
        self.worker.lost(self)

    def beat(self) -> None:
        """Says that it is there."""
        assert self.transport is not None
        for frame in self.end.send(Heartbeat(1)):
            self.transport.write(framed(frame))

    def _frame(self) -> bytes | None:
        data = self._data
        if len(data) < 2:
            return None
        size, start = data[1], 2
        if size == LONG:
            size, start = int.from_bytes(data[2:4], "big"), 4
        if len(data) < start + size:
            return None
        self._data = data[start + size :]
        if data[0] & 0x0F == CLOSING:
            assert self.transport is not None
            self.transport.close()
        return data[start : start + size] if data[0] == BINARY else b""

    def _take(self, frame: bytes) -> None:
        assert self.transport is not None
        for event in self.end.receive(frame, now_ms()) if frame else ():
            if isinstance(event, ChallengeReceived):
                for answer in self.end.answer(self.worker.swarm.capabilities, [], now_ms()):
                    self.transport.write(framed(answer))
            elif isinstance(event, Welcomed):
                self.worker.welcomed(self)


class Worker:
    """One worker: its key, its address, and its connection now."""

    def __init__(self, swarm: "Swarm", number: int) -> None:
        self.swarm, self.key = swarm, SigningKey(os.urandom(32))
        self.address = f"127.1.{number // 250}.{number % 250 + 1}"
        self.there: Idle | None = None
        self.failures = 0
        self.at = 0
        self.opened = asyncio.Event()

    async def connect(self) -> None:
        """Tries once."""
        self.swarm.tries += 1
        loop = asyncio.get_running_loop()
        try:
            host, port = self.swarm.to
            await loop.create_connection(lambda: Idle(self), host, port, local_addr=(self.address, 0))
        except OSError:
            self.again()

    def welcomed(self, connection: Idle) -> None:
        """It is there."""
        self.there, self.at, self.failures = connection, time.monotonic_ns(), 0
        self.opened.set()

    def lost(self, connection: Idle) -> None:
        """It is not there any more."""
        self.there = None if self.there is connection else self.there
        self.again()

    def again(self) -> None:
        """Connects again, after the pause of a real worker's link."""
        if self.swarm.over:
            return
        self.failures += 1
        loop = asyncio.get_running_loop()
        loop.call_later(back_off(self.failures, random()), lambda: self.swarm.start(self.connect()))


class Swarm:
    """All of them, and their heartbeats, evenly spread."""

    def __init__(self, told: dict[str, Any]) -> None:
        parts = urlsplit(told["url"])
        entry = catalogue()["hive-nano"]
        model = ModelOffer(entry.id, entry.digest, entry.context, entry.size_bytes, loaded=True)
        self.host, self.to = parts.netloc, (parts.hostname, parts.port)
        self.capabilities = Capabilities(
            cell=told.get("cell", "871e8052affffff"), slots=1, models=[model], agent="bench", engine_build="bench-1",
            hardware=Hardware("bench", 1, 1 << 30, 1 << 30, "test"),
        )  # fmt: skip
        self.tries, self.over = 0, False
        self.workers = [Worker(self, told["first"] + n) for n in range(told["workers"])]
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Any) -> None:
        """Runs something beside."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def join(self) -> None:
        """Connects all of them, some at a time."""
        room = asyncio.Semaphore(OPENING)

        async def one(worker: Worker) -> None:
            async with room:
                await worker.connect()
                await worker.opened.wait()

        await asyncio.gather(*map(one, self.workers))

    async def beating(self) -> None:
        """Each beats every five seconds."""
        every = BEAT_S / len(self.workers)
        began, said = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began) / every)
            for number in range(said, due):
                there = self.workers[number % len(self.workers)].there
                if there is not None:
                    there.beat()
            said = due
            await asyncio.sleep(TICK_S)


async def main() -> None:
    """Connects, beats, and tells."""
    raise_open_files()
    line = await asyncio.to_thread(sys.stdin.readline)
    swarm = Swarm(msgspec.json.decode(line))
    beating = asyncio.create_task(swarm.beating())
    await swarm.join()
    print(msgspec.json.encode({"tries": swarm.tries}).decode(), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):  # each line asks how things stand
        there = [worker.at for worker in swarm.workers if worker.there is not None]
        print(msgspec.json.encode({"there": len(there), "tries": swarm.tries, "at": there}).decode(), flush=True)
    swarm.over = True
    beating.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beating
    print("null", flush=True)
    os._exit(0)  # thousands of sockets are closed sooner by the system than one by one


if __name__ == "__main__":
    uvloop.run(main())
