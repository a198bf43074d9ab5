"""A worker that breaks the protocol: its own session ends with a code, and nothing else is touched."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
from nacl.signing import SigningKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from shared.protocol.messages import SUBPROTOCOL, Accept, Heartbeat, Leave, Tokens
from shared.protocol.worker_end import ChallengeReceived, WorkerEnd
from tests.swarm.scripted import BERLIN, ScriptedWorker, now_ms
from tests.swarm.whole import Json, Swarm

CHAT: Json = {"model": "hive-nano", "messages": [{"role": "user", "content": "What is the capital of Italy?"}]}
ANSWER = "The capital of Italy is Rome, and that of Germany is Berlin."
BEAT = Heartbeat(free=1)

Hello = Callable[[bytes], bytes]
Frames = Callable[[ScriptedWorker], Sequence[bytes | str]]


@asynccontextmanager
async def bystander(swarm: Swarm) -> AsyncIterator[ScriptedWorker]:
    """A worker that is in the middle of an answer inside the block, and completes it afterwards, its first attempt."""
    worker = swarm.worker(cell=BERLIN, says=ANSWER, gate=asyncio.Event(), key=SigningKey(os.urandom(32)))
    await swarm.raise_tier(worker.key, BERLIN, "sovereign")
    assert worker.gate is not None
    async with worker.connected(swarm.url), swarm.client() as http, asyncio.TaskGroup() as group:
        asked = http.post("/v1/chat/completions", json=CHAT, headers={"x-hive-min-tier": "sovereign"})
        asking = group.create_task(asked)
        await asyncio.wait_for(worker.offers.get(), 10)
        yield worker
        worker.gate.set()
        answer = await asyncio.wait_for(asking, 10)
        job = (await http.get(f"/hive/jobs/{answer.headers['x-hive-job-id']}")).json()
    assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    assert (job["status"], job["attempts"], job["worker_pk"]) == ("completed", 1, worker.pk)
    assert worker.closed is None


async def close_code(socket: ClientConnection) -> int | None:
    """What the coordinator ends a session with; what it says before is of no interest."""
    try:
        async with asyncio.timeout(15):
            while True:
                await socket.recv()
    except ConnectionClosed as e:
        return e.rcvd.code if e.rcvd else None


def tampered(field: str, change: Callable[[Json], object]) -> Hello:
    def change_it(raw: bytes) -> bytes:
        hello: Json = msgspec.json.decode(raw)
        return msgspec.json.encode({**hello, field: change(hello)})

    return change_it


HELLOS: dict[str, tuple[Hello, int]] = {
    "another's name": (tampered("worker_pk", lambda _: SigningKey.generate().verify_key.encode().hex()), 4401),
    "a forged signature": (tampered("signature", lambda hello: hello["signature"][::-1]), 4401),
    "no signature": (tampered("signature", lambda _: ""), 4401),
    "another session's key": (tampered("ephemeral_pk", lambda _: os.urandom(32).hex()), 4401),
    "a clock of yesterday": (tampered("time", lambda hello: hello["time"] - 86_400_000), 4401),
    "capabilities that were not signed": (
        tampered("capabilities", lambda hello: {**hello["capabilities"], "slots": 64}),
        4401,
    ),
    "an older protocol": (tampered("version", lambda _: 0), 4426),
    "too much": (lambda raw: raw + b" " * (16 << 10), 1009),
    "garbage": (lambda raw: os.urandom(len(raw)), 4400),
    "nothing": (lambda _: b"", 4400),
    "another message": (lambda _: msgspec.json.encode(BEAT), 4400),
    "no object": (lambda _: b"[" * 10_000, 4400),
}


@pytest.mark.parametrize("name", HELLOS)
async def test_a_hello_that_is_not_right_is_not_let_in(swarm: Swarm, name: str) -> None:
    change, code = HELLOS[name]
    host = swarm.base_url.removeprefix("http://")
    before = set(swarm.hive.hub.sessions)
    async with bystander(swarm) as worker:
        async with connect(swarm.url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None) as socket:
            end = WorkerEnd(SigningKey.generate(), host, None, now=now_ms(), entropy=os.urandom(32))
            (challenge,) = end.receive(await socket.recv(), now_ms())
            assert isinstance(challenge, ChallengeReceived)
            (hello,) = end.answer(swarm.rome.capabilities, [], now_ms())
            await socket.send(change(hello))
            assert await close_code(socket) == code
        assert set(swarm.hive.hub.sessions) == before | {worker.pk}


def flipped(frame: bytes, at: int) -> bytes:
    return frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]


def replayed(worker: ScriptedWorker) -> Sequence[bytes | str]:
    return [*worker.seal(BEAT) * 2]


def reordered(worker: ScriptedWorker) -> Sequence[bytes | str]:
    return [*worker.seal(BEAT), *worker.seal(Leave())][::-1]


def skipped(worker: ScriptedWorker) -> Sequence[bytes | str]:
    worker.seal(BEAT)
    return [*worker.seal(BEAT)]


FRAMES: dict[str, tuple[Frames, int]] = {
    "a replayed frame": (replayed, 4400),
    "reordered frames": (reordered, 4400),
    "a gap": (skipped, 4400),
    "a forged number": (lambda worker: [flipped(worker.seal(BEAT)[0], 7)], 4400),
    "a forged tag": (lambda worker: [flipped(worker.seal(BEAT)[0], 12)], 4400),
    "a forged payload": (lambda worker: [flipped(worker.seal(BEAT)[0], 40)], 4400),
    "an oversized frame": (lambda worker: [worker.seal(BEAT)[0] + b" " * (1 << 20)], 1009),
    "garbage": (lambda _: [os.urandom(200)], 4400),
    "text": (lambda _: ["hello"], 4400),
    "nothing": (lambda _: [b""], 4400),
    "another hello": (lambda worker: [msgspec.json.encode(worker.capabilities)], 4400),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_a_frame_that_is_not_right_ends_the_session_alone(swarm: Swarm, name: str) -> None:
    make, code = FRAMES[name]
    async with bystander(swarm), swarm.worker().connected(swarm.url) as bad:
        socket = bad._socket
        assert socket is not None
        for frame in make(bad):
            await bad.send_raw(frame)
        await asyncio.wait_for(bad.gone.wait(), 10)
        assert socket.close_code == code
        assert bad.pk not in swarm.hive.hub.sessions


async def test_a_worker_cannot_speak_of_another_ones_job(swarm: Swarm) -> None:
    async with bystander(swarm) as worker, swarm.worker().connected(swarm.url) as bad:
        (attempt,) = swarm.hive.hub.attempts.of_worker(worker.pk)
        body = attempt.body
        await bad.send(Accept(body.job_id, body.attempt))
        await bad.send(Tokens(body.job_id, body.attempt, 8, [1, 2, 3], "not what it says"))
        await bad.send(bad.result(body, [1, 2, 3], "not what it says", worker_pk=worker.pk))
        ack = await asyncio.wait_for(bad.acks.get(), 10)
        assert (ack.job_id, ack.verdict) == (body.job_id, "late")


async def test_the_newer_session_of_a_worker_supersedes_the_older(swarm: Swarm) -> None:
    async with bystander(swarm):
        key = SigningKey.generate()
        older, newer = swarm.worker(key=key), swarm.worker(key=key)
        async with older.connected(swarm.url), newer.connected(swarm.url):
            await asyncio.wait_for(older.gone.wait(), 10)
            assert older._socket is not None
            assert older._socket.close_code == 4409
            assert newer.closed is None


async def test_a_session_without_the_subprotocol_is_refused(swarm: Swarm) -> None:
    async with bystander(swarm):
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            async with connect(swarm.url, compression=None) as socket:
                await socket.recv()
