"""A worker with a good key that lies: its lies come to nothing, and its session goes on or ends with a word."""

import asyncio

import msgspec
import pytest

from shared.protocol.messages import Held, Offer
from tests.swarm.scripted import ScriptedWorker, speak
from tests.swarm.whole import MODEL, Json, Swarm

FAR = 2**53 - 1
NOBODYS = "ffffffff-ffff-ffff-ffff-ffffffffffff"
JOB: Json = {"model_id": "hive-nano", "prompt": "hi", "jurisdiction": "FR"}
PARIS = "871fb4662ffffff"


async def test_a_result_of_an_attempt_that_cannot_be_is_late(swarm: Swarm) -> None:
    async def lie_first(worker: ScriptedWorker, offer: Offer) -> None:
        ids, texts = worker.answer(offer.body)
        for attempt in (2**31, FAR):
            await worker.send(worker.result(offer.body, ids, "".join(texts), attempt=attempt))
        await speak(worker, offer)

    worker = swarm.worker(cell=PARIS, script=lie_first)
    async with worker.connected(swarm.url), swarm.client() as http:
        submitted = (await http.post("/hive/jobs", json=JOB)).json()
        acks = [await asyncio.wait_for(worker.acks.get(), 10) for _ in range(3)]
        job = await swarm.ended(http, submitted["job_id"])
    assert [ack.verdict for ack in acks] == ["late", "late", "accepted"]
    assert (job["status"], job["attempts"]) == ("completed", 1)


async def test_a_worker_that_holds_what_cannot_be_is_told_to_drop_it(swarm: Swarm) -> None:
    held = [Held(NOBODYS, attempt, "done", FAR) for attempt in (0, 2**31, FAR)]
    async with swarm.worker(cell=PARIS).connected(swarm.url, held) as worker:
        assert worker.welcome is not None
        assert [verdict.verdict for verdict in worker.welcome.resume] == ["abandon"] * 3


async def test_a_context_larger_than_any_is_cut(swarm: Swarm) -> None:
    boast = msgspec.structs.replace(MODEL, context=FAR, size_bytes=FAR)
    worker = swarm.worker(cell=PARIS, models=[boast])
    async with worker.connected(swarm.url), swarm.client() as http:
        submitted = (await http.post("/hive/jobs", json=JOB)).json()
        assert (await swarm.ended(http, submitted["job_id"]))["status"] == "completed"


@pytest.mark.parametrize(
    ("lie", "word"),
    [
        ({"verifiability": "a prompt for everybody to read"}, "verifiability"),
        ({"engine_build": "x" * 100_000}, "engine_build"),
        ({"engine_build": "\0"}, "engine_build"),
        ({"started_at": -1}, "no time"),
        ({"finished_at": FAR}, "no time"),
    ],
)
async def test_a_receipt_has_no_room_for_words(swarm: Swarm, lie: Json, word: str) -> None:
    async def say(worker: ScriptedWorker, offer: Offer) -> None:
        ids, texts = worker.answer(offer.body)
        await worker.send(worker.result(offer.body, ids, "".join(texts), **lie))

    worker = swarm.worker(cell=PARIS, script=say)
    async with worker.connected(swarm.url), swarm.client() as http:
        submitted = (await http.post("/hive/jobs", json=JOB)).json()
        ack = await asyncio.wait_for(worker.acks.get(), 10)
        await http.delete(f"/hive/jobs/{submitted['job_id']}")
        receipt = await http.get(f"/hive/receipts/{submitted['job_id']}")
    assert (ack.verdict, word in ack.reason, receipt.status_code) == ("rejected", True, 404)
