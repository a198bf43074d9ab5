"""Several coordinators: a client at one, its worker at another, and nobody can tell."""

import asyncio
import json
import time
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from coordinator.dispatch import telling
from coordinator.store.engine import Engine
from shared.protocol.messages import CloseCode
from tests.support_nats import nats
from tests.support_wait import eventually
from tests.swarm.fleet import CHAT, SAYS, STREAM, Fleet, fleet, known, texts, worker_of
from tests.swarm.whole import Swarm

__all__ = ["fleet", "nats"]


def client_at(swarm: Swarm, whose: Swarm) -> httpx.AsyncClient:
    """Plain HTTP to one coordinator with the key that was made at another."""
    return httpx.AsyncClient(base_url=swarm.base_url, headers={"authorization": f"Bearer {whose.api_key}"}, timeout=30)


async def cost_of(engine: Engine, job_id: str) -> tuple[str, int, int]:
    """How a job ended: its state, its tokens and what was paid."""
    async with engine.connect() as conn:
        row = (
            await conn.execute(text("SELECT state, tokens_out, cost FROM jobs_ended WHERE id = :id"), {"id": job_id})
        ).one()
    return row.state, row.tokens_out, row.cost


async def test_a_stream_from_a_worker_elsewhere_comes_as_it_is_made(fleet: Fleet) -> None:
    here, there = fleet
    worker = worker_of(there, gate=asyncio.Event())
    assert worker.gate is not None
    async with worker.connected(there.url), here.client() as http:
        await known(here, worker)
        async with http.stream("POST", "/v1/chat/completions", json=STREAM) as stream:
            said = texts(stream.aiter_lines())
            first = await anext(said)
            assert SAYS.startswith(first)
            assert first != SAYS
            assert stream.headers["x-hive-worker"] == worker.pk
            worker.gate.set()
            assert first + "".join([part async for part in said]) == SAYS


async def test_the_other_coordinator_is_told_of_a_job_and_does_not_find_it_by_looking(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = fleet

    async def blind(_: object) -> None:
        """Finds nothing."""

    monkeypatch.setattr("coordinator.dispatch.rounds.look", blind)
    async with worker_of(there).connected(there.url) as worker, here.client() as http:
        await known(here, worker)
        took = []
        for _ in range(5):
            began = time.monotonic()
            answer = await http.post("/v1/chat/completions", json=CHAT)
            took.append(time.monotonic() - began)
            assert answer.json()["choices"][0]["message"]["content"] == SAYS
    assert min(took) < 0.5


async def test_whole_answers_with_logprobs_and_several_choices(fleet: Fleet) -> None:
    here, there = fleet
    async with worker_of(there).connected(there.url) as worker, here.client() as http:
        await known(here, worker)
        answer = await http.post("/v1/chat/completions", json={**CHAT, "n": 2, "logprobs": True, "top_logprobs": 1})
    choices = answer.raise_for_status().json()["choices"]
    assert [choice["message"]["content"] for choice in choices] == [SAYS, SAYS]
    for choice in choices:
        told = choice["logprobs"]["content"]
        assert "".join(one["token"] for one in told) == SAYS
        assert all(len(one["top_logprobs"]) == 1 for one in told)


async def events_of(http: httpx.AsyncClient, job_id: str, last: str = "", most: int = 10**6) -> list[tuple[str, str]]:
    """The (id, data) of a job's events, up to `most` of them."""
    found: list[tuple[str, str]] = []
    headers = {"last-event-id": last} if last else {}
    async with http.stream("GET", f"/hive/jobs/{job_id}/events", headers=headers) as stream:
        id_ = ""
        async for line in stream.aiter_lines():
            if line.startswith("id: "):
                id_ = line.removeprefix("id: ")
            elif line.startswith("data: ") and id_:
                found.append((id_, line.removeprefix("data: ")))
                if len(found) == most:
                    break
    return found


async def test_a_reader_of_events_goes_on_anywhere_with_its_last_id(fleet: Fleet) -> None:
    here, there = fleet
    worker = worker_of(there, gate=asyncio.Event())
    assert worker.gate is not None
    async with worker.connected(there.url), here.client() as http, client_at(there, here) as other:
        await known(here, worker)
        made = (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello"})).json()
        begun = await events_of(http, made["job_id"], most=3)
        following = [
            asyncio.create_task(events_of(client, made["job_id"], last=begun[-1][0])) for client in (http, other)
        ]

        async def followed() -> bool:
            readers = [swarm.hive.relay.is_read(UUID(made["job_id"])) for swarm in fleet]
            return all(readers) and UUID(made["job_id"]) in there.hive.relay.followers

        await eventually(followed, 30, "both readers at the job")
        worker.gate.set()
        rests = await asyncio.gather(*following)
    for rest in rests:
        whole = [*begun, *rest]
        ids = [int(id_) for id_, _ in whole]
        assert ids == sorted(set(ids))
        told = [json.loads(data) for _, data in whole]
        assert "".join(one["text"] for one in told if "text" in one) == SAYS
        assert told[-1]["result_text"] == SAYS


async def test_a_reader_that_leaves_frees_the_worker_elsewhere_at_once_and_pays_for_what_came(
    fleet: Fleet, engine: Engine
) -> None:
    here, there = fleet
    worker = worker_of(there, gate=asyncio.Event())
    async with worker.connected(there.url), here.client() as http:
        await known(here, worker)
        async with http.stream("POST", "/v1/chat/completions", json=STREAM) as stream:
            await anext(texts(stream.aiter_lines()))
            job_id = stream.headers["x-hive-job-id"]
        cancel = await asyncio.wait_for(worker.cancels.get(), 10)
        assert cancel.job_id == job_id
        await here.ended(http, job_id)
        state, tokens, cost = await cost_of(engine, job_id)
    assert (state, tokens) == ("cancelled", 2)
    assert cost > 0


async def test_a_job_is_cancelled_at_whichever_coordinator_and_what_was_made_is_paid(
    fleet: Fleet, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "ANSWER_S", 20)  # who knows what was made is given the time to say so
    here, there = fleet
    worker = worker_of(there, gate=asyncio.Event())
    async with worker.connected(there.url), here.client() as http, client_at(there, here) as other:
        await known(here, worker)
        made = (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello"})).json()
        await events_of(other, made["job_id"], most=3)
        gone = await http.delete(f"/hive/jobs/{made['job_id']}")
        assert (gone.status_code, gone.json()["status"]) == (200, "cancelled")
        assert (await asyncio.wait_for(worker.cancels.get(), 10)).job_id == made["job_id"]
        state, tokens, cost = await cost_of(engine, made["job_id"])
        assert (state, tokens) == ("cancelled", 2)
        assert cost > 0
        assert (await http.delete(f"/hive/jobs/{made['job_id']}")).json()["error"]["code"] == "not_cancellable"


async def test_a_worker_has_one_session_in_the_whole_fleet(fleet: Fleet) -> None:
    here, there = fleet
    first = worker_of(here)
    second = worker_of(there, key=first.key)
    async with first.connected(here.url), second.connected(there.url):
        await asyncio.wait_for(first.gone.wait(), 5)
        assert first.closed is not None
        assert first.closed.code is CloseCode.SUPERSEDED
        assert first.server_pk == second.server_pk
        assert [list(swarm.hive.hub.sessions) for swarm in fleet] == [[], [first.pk]]
        async with here.client() as http:
            assert (await http.post("/v1/chat/completions", json=CHAT)).status_code == 200
    assert second.offers.qsize() == 1


async def test_a_request_waits_for_a_worker_elsewhere_that_is_busy_and_is_refused_only_if_nobody_is_there(
    fleet: Fleet,
) -> None:
    here, there = fleet
    async with here.client() as http:
        refused = await http.post("/v1/chat/completions", json=CHAT)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_workers")
        worker = worker_of(there, slots=1, gate=asyncio.Event())
        assert worker.gate is not None
        async with worker.connected(there.url):

            async def told() -> bool:
                elsewhere = here.hive.hub.elsewhere
                return elsewhere.read_at == 0 or worker.pk in elsewhere.workers

            await eventually(told, 5, "the word that a worker joined")
            asking = [asyncio.create_task(http.post("/v1/chat/completions", json=CHAT)) for _ in range(2)]
            await worker.offers.get()
            worker.gate.set()
            assert [(await one).status_code for one in asking] == [200, 200]
            models = (await http.get("/v1/models")).json()["data"]
            assert [model["id"] for model in models] == ["hive-nano"]
            shown = (await http.get("/hive/workers")).json()["data"]
            assert [(one["pk"], one["online"]) for one in shown] == [(worker.pk, True)]

        async def gone() -> bool:
            return [swarm.hive.hub.online for swarm in fleet] == [0, 0]

        await eventually(gone, 30, "the worker away everywhere")
        assert (await http.post("/v1/chat/completions", json=CHAT)).status_code == 503
