"""Workers are asked for a model that jobs wait for, or that was asked for in vain; they decide."""

from contextlib import AsyncExitStack

import msgspec
import pytest

from coordinator.dispatch import wanted
from coordinator.dispatch.wanted import SHORT_MS
from coordinator.match.wanted import HANDFUL, REST_MS
from shared.protocol.messages import Wanted
from tests.swarm.whole import MODEL, NANO, Swarm

COLD = msgspec.structs.replace(MODEL, id="another")
ASKED = Wanted("hive-nano", NANO.digest, NANO.size_bytes)
JOB = {"model_id": "hive-nano", "prompt": "Hello", "max_tokens": 20}


@pytest.fixture(autouse=True)
def rounds_of_the_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted, "LOOK_S", 3600)


async def test_a_model_for_which_jobs_wait_is_asked_for_after_a_while_and_once_a_minute(swarm: Swarm) -> None:
    d = swarm.hive.dispatch
    for worker in (swarm.rome, swarm.berlin, swarm.new_york):
        busy = msgspec.structs.replace(d.hub.sessions[worker.pk].facts, slots=0)
        d.hub.changed(d.hub.sessions[worker.pk], busy)
    async with swarm.client() as http:
        assert (await http.post("/hive/jobs", json=JOB)).status_code == 201
    idle = swarm.worker(model=COLD)
    async with idle.connected(swarm.url):
        now = d.now_ms() + REST_MS
        assert await wanted.one_round(d, now) == []
        assert await wanted.one_round(d, now + SHORT_MS) == [idle.pk]
        assert await idle.wanted.get() == ASKED
        assert await wanted.one_round(d, now + SHORT_MS + REST_MS - 1) == []
        assert await wanted.one_round(d, now + SHORT_MS + REST_MS) == [idle.pk]


async def test_a_request_that_nobody_can_serve_is_a_wish(swarm: Swarm) -> None:
    d = swarm.hive.dispatch
    d.hub.sessions.clear()
    d.hub.register([])
    chat = {"model": "hive-nano", "messages": [{"role": "user", "content": "hi"}]}
    async with swarm.client() as http:
        refused = await http.post("/v1/chat/completions", json=chat)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_workers")
    poor = swarm.worker(model=COLD)
    little = msgspec.structs.replace(poor.capabilities.hardware, memory_total=1)
    poor.capabilities = msgspec.structs.replace(poor.capabilities, hardware=little)
    rich = [swarm.worker(model=COLD) for _ in range(HANDFUL)]
    async with AsyncExitStack() as stack:
        for worker in (poor, *rich):
            await stack.enter_async_context(worker.connected(swarm.url))
        asked = await wanted.one_round(d, d.now_ms())
        assert set(asked) == {worker.pk for worker in rich}
        assert [await worker.wanted.get() for worker in rich] == [ASKED] * HANDFUL
        assert await wanted.one_round(d, d.now_ms()) == []
