"""A client that waits for a model which a worker takes long to load is told after a minute."""

import asyncio
from uuid import UUID

from shared.protocol.messages import Accept, Offer, Progress
from tests.swarm.http_hive import until
from tests.swarm.scripted import ScriptedWorker
from tests.swarm.whole import MODEL, Swarm

CHAT = {"model": MODEL.id, "messages": [{"role": "user", "content": "Hello"}]}


async def test_a_chat_ends_after_a_minute_and_a_job_goes_on(swarm: Swarm) -> None:
    offered: asyncio.Queue[tuple[ScriptedWorker, Offer]] = asyncio.Queue()

    async def loading(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))
        offered.put_nowait((worker, offer))

    for worker in (swarm.rome, swarm.berlin, swarm.new_york):
        worker.script = loading
    async with swarm.client() as http:
        chat = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT))
        worker, offer = await offered.get()
        attempt = swarm.hive.hub.attempts.of_job(UUID(offer.body.job_id))
        assert attempt is not None
        attempt.offered_at -= 61_000
        await worker.send(Progress(offer.body.job_id, offer.body.attempt, "loading"))
        got = await chat
        assert (got.status_code, got.json()["error"]["code"]) == (503, "model_loading")
        assert (got.headers["retry-after"], got.headers["x-should-retry"]) == ("30", "false")
        assert (await worker.cancels.get()).job_id == offer.body.job_id
        job = (await http.get(f"/hive/jobs/{offer.body.job_id}")).json()
        assert (job["status"], job["gns_cost"]) == ("failed", 0)

        made = (await http.post("/hive/jobs", json={"model_id": MODEL.id, "prompt": "Hello"})).json()
        worker, offer = await offered.get()
        attempt = swarm.hive.hub.attempts.of_job(UUID(made["job_id"]))
        assert attempt is not None
        attempt.offered_at -= 61_000
        before = attempt.progress_at = attempt.progress_at - 1_000
        await worker.send(Progress(offer.body.job_id, offer.body.attempt, "loading"))
        await until(lambda: attempt.progress_at != before)
        assert (await http.get(f"/hive/jobs/{made['job_id']}")).json()["status"] == "assigned"
