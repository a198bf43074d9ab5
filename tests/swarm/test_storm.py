"""A seeded storm of malformed, huge, slow, cut and repeated requests: those that are good, meanwhile, notice nothing."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import pytest

from tests.swarm.whole import OVER, Swarm

CHAT = {"model": "hive-nano", "messages": [{"role": "user", "content": "What is the capital of Italy?"}]}
SAID = "The capital is Rome."
NASTY, GOOD, AT_ONCE = 80, 30, 12
FACES = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/messages",
    "/v1/embeddings",
    "/hive/jobs",
    "/nowhere",
    "/v1/models",
]

Nasty = Callable[[Swarm, random.Random], Awaitable[None]]


@contextlib.asynccontextmanager
async def dialled(swarm: Swarm) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection that breaks off without a word."""
    at = urlsplit(swarm.base_url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def head(swarm: Swarm, length: int, path: str = FACES[0], more: str = "") -> bytes:
    """The head of a POST."""
    lines = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {swarm.api_key}\r\ncontent-length: {length}\r\n{more}"
    return f"{lines}\r\n".encode()


async def malformed(swarm: Swarm, chance: random.Random) -> None:
    """Bytes that are no JSON, or JSON that is no request."""
    whole = json.dumps(CHAT | {"max_tokens": chance.choice([-1, "x", 1e99, None, [], {}])}).encode()
    body = chance.choice(
        [
            chance.randbytes(200),
            whole[: chance.randrange(len(whole))],
            b"[" * 5000,
            whole.replace(b"user", b"\xff"),
            b"null",
        ]
    )
    async with swarm.client() as http:
        got = await http.post(chance.choice(FACES), content=body)
    assert got.status_code < 500 or got.json()["error"]["code"] == "no_workers", got.text
    assert got.is_success or set(got.json()["error"]) >= {"message", "type", "param", "code"}


async def no_http(swarm: Swarm, chance: random.Random) -> None:
    """What is no HTTP at all."""
    async with dialled(swarm) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(
                chance.choice([chance.randbytes(300), b"GET / HTTP/9.9\r\n\r\n", b"\0" * 5000, b"POST\r\n" * 900])
            )
            await reader.read(100)


async def huge(swarm: Swarm, chance: random.Random) -> None:
    """A body, a head or a prompt beyond what is taken."""
    text = "x " * (3 << 20)
    async with swarm.client() as http:
        with contextlib.suppress(httpx.TransportError):
            if chance.random() < 0.5:
                got = await http.post(FACES[0], json=CHAT | {"user": text})
                assert got.status_code == 413
            else:
                got = await http.post(FACES[0], json=CHAT, headers={"x-much": "x" * (600 << 10)})
                assert got.status_code in (400, 431)


async def slow(swarm: Swarm, chance: random.Random) -> None:
    """A body that begins and does not come, for as long as other things happen; then the client is gone."""
    async with dialled(swarm) as (_, writer):
        writer.write(head(swarm, 1000, chance.choice(FACES)) + b'{"model": ')
        for _ in range(chance.randrange(200)):
            await asyncio.sleep(0)


async def cut(swarm: Swarm, chance: random.Random) -> None:
    """A client that leaves: within its own body, or within the answer."""
    body = json.dumps(CHAT | {"stream": chance.random() < 0.5}).encode()
    async with dialled(swarm) as (reader, writer):
        writer.write(head(swarm, len(body)) + body[: chance.choice([len(body), len(body) // 2])])
        for _ in range(chance.randrange(60)):
            await asyncio.sleep(0)
        if chance.random() < 0.3:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await reader.read(10)


async def repeated(swarm: Swarm, chance: random.Random) -> None:
    """One request, several times at once, under one idempotency key: one job."""
    key = {"idempotency-key": f"storm-{chance.random()}"}
    async with swarm.client(**key) as http:
        asked = {"model_id": "hive-nano", "prompt": "Hello"}
        answers = await asyncio.gather(*(http.post("/hive/jobs", json=asked) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["job_id"] for answer in answers}) == 1


async def good(swarm: Swarm, chance: random.Random) -> None:
    """A chat as it should be, whole or streamed."""
    async with swarm.client() as http:
        if chance.random() < 0.5:
            got = await http.post(FACES[0], json=CHAT)
            assert got.json()["choices"][0]["message"]["content"] == SAID
        else:
            got = await http.post(FACES[0], json=CHAT | {"stream": True})
            events = [line.removeprefix("data: ") for line in got.text.splitlines() if line]
            assert events.pop() == "[DONE]"
            deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
            assert "".join(deltas) == SAID
    assert got.status_code == 200


KINDS: list[Nasty] = [malformed, no_http, huge, slow, cut, repeated]


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_good_ones_are_unharmed(swarm: Swarm, seed: int) -> None:
    chance = random.Random(seed)
    things: list[Nasty] = [chance.choice(KINDS) for _ in range(NASTY)] + [good] * GOOD
    chance.shuffle(things)
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(thing: Nasty, own: random.Random) -> None:
        async with turns:
            await thing(swarm, own)

    async with asyncio.TaskGroup() as group:
        for thing in things:
            group.create_task(in_turn(thing, random.Random(chance.random())))
    async with swarm.client() as http:
        jobs = (await http.get("/hive/jobs", params={"limit": 100})).json()["data"]
        for job in jobs:
            assert (await swarm.ended(http, job["id"]))["status"] in OVER
    assert jobs
