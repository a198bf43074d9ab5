"""`x-hive-queue-ms` and `x-hive-overhead-ms` tell the truth on every face: waiting is no overhead, and neither is the time that
the client itself takes."""

import asyncio
import json
from collections.abc import AsyncIterator
from time import perf_counter

import httpx
import msgspec
import pytest

from shared.protocol.messages import Accept, Offer
from shared.vectors import lines_of, packed
from tests.support_wait import eventually
from tests.swarm.scripted import ScriptedWorker, speak
from tests.swarm.test_at_once import tokyo
from tests.swarm.whole import MODEL, Json, Swarm

CHAT: Json = {"model": "hive-nano", "messages": [{"role": "user", "content": "What is the capital of Italy?"}]}
FACES: dict[str, tuple[str, Json]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "choices": ("/v1/chat/completions", CHAT | {"n": 3}),
    "stream": ("/v1/chat/completions", CHAT | {"stream": True}),
    "completions": ("/v1/completions", {"model": "hive-nano", "prompt": ["Hi", "Ho"]}),
    "messages": ("/v1/messages", CHAT | {"max_tokens": 20}),
    "responses": ("/v1/responses", {"model": "hive-nano", "input": "Hi"}),
    "embeddings": ("/v1/embeddings", {"model": "hive-nano", "input": ["Hi", "Ho"]}),
}


def told(got: httpx.Response) -> tuple[float, float]:
    return float(got.headers["x-hive-queue-ms"]), float(got.headers["x-hive-overhead-ms"])


async def meanwhile(http: httpx.AsyncClient) -> float:
    """Other requests are served, for a second; how long that took."""
    begun = perf_counter()
    while (took := perf_counter() - begun) < 1:
        (await http.get("/hive/status")).raise_for_status()
    return took


async def pending(http: httpx.AsyncClient, many: int) -> None:
    """Returns once so many jobs wait."""

    async def look() -> bool:
        return len((await http.get("/hive/jobs?status=pending")).raise_for_status().json()["data"]) == many

    await eventually(look, 20, f"{many} waiting jobs")


@pytest.mark.parametrize("face", FACES)
async def test_what_a_request_waits_is_told_as_waiting(swarm: Swarm, face: str) -> None:
    path, body = FACES[face]
    does = msgspec.structs.replace(MODEL, tasks=("generate", "embed"))
    size = swarm.hive.vocabularies["hive-nano"].dimensions

    async def speaks_or_embeds(worker: ScriptedWorker, offer: Offer) -> None:
        if offer.body.task == "generate":
            await speak(worker, offer)
            return
        vectors = lines_of(packed([1.0, *[0.0] * (size - 1)]) for _ in offer.body.inputs)
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))
        await worker.send(worker.result(offer.body, [], vectors))

    busy = swarm.worker(
        cell="872f5aad9ffffff", model=does, gate=asyncio.Event(), chunk=2, slots=1, script=speaks_or_embeds
    )
    assert busy.gate is not None
    async with busy.connected(swarm.url), swarm.client(**{"x-hive-jurisdiction": "JP"}) as http:
        first = asyncio.ensure_future(http.post("/v1/chat/completions", json=CHAT))
        await busy.offers.get()
        asked = perf_counter()
        second = asyncio.ensure_future(http.post(path, json=body))
        many = 3 if face == "choices" else 2 if face == "completions" else 1
        await pending(http, many)
        waited = perf_counter()
        for _ in range(5):
            await http.get("/hive/status")
        let_go = perf_counter()
        busy.gate.set()
        got = (await second).raise_for_status()
        over = perf_counter()
        await first
    queue, overhead = told(got)
    assert (let_go - waited) * 1000 <= queue <= (over - asked) * 1000
    assert 0 < overhead <= (waited - asked) * 1000
    assert queue + overhead <= (over - asked) * 1000 + 1


async def test_the_time_in_which_a_client_sends_its_body_is_its_own(swarm: Swarm) -> None:
    sending = 0.0
    raw = json.dumps(CHAT).encode()

    async def slowly() -> AsyncIterator[bytes]:
        nonlocal sending
        yield raw[:20]
        sending = await meanwhile(http)
        yield raw[20:]

    async with swarm.client() as http, swarm.client(**{"content-type": "application/json"}) as slow:
        got = (await slow.post("/v1/chat/completions", content=slowly())).raise_for_status()
    queue, overhead = told(got)
    assert queue < sending * 1000
    assert overhead < sending * 1000 / 2


async def test_who_joins_a_job_that_has_its_worker_waited_for_none(swarm: Swarm) -> None:
    async with tokyo(swarm) as worker, swarm.client(**{"x-hive-jurisdiction": "JP"}) as http:
        first = asyncio.ensure_future(http.post("/v1/chat/completions", json=CHAT))
        await worker.offers.get()
        again = {"x-stainless-retry-count": "1"}
        second = asyncio.ensure_future(http.post("/v1/chat/completions", json=CHAT, headers=again))

        async def joined() -> bool:
            readers = swarm.hive.relay._readers.values()
            return any(len(of_one) == 2 for of_one in readers)

        await eventually(joined, 20, "a second reader")
        assert worker.gate is not None
        waits = await meanwhile(http)
        worker.gate.set()
        one, two = await first, await second
    assert one.headers["x-hive-job-id"] == two.headers["x-hive-job-id"]
    assert worker.offers.empty()
    queue, overhead = told(two)
    assert 0 <= queue < waits * 1000 / 2
    assert overhead > 0
