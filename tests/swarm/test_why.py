"""Why a job waits, over HTTP, in each state that it can be in, beside the rules that decide it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import h3
import httpx
import pytest
from nacl.signing import SigningKey

from shared.protocol.messages import Decline, Offer
from tests.support_wait import eventually
from tests.swarm.scripted import ROME, ScriptedWorker
from tests.swarm.test_at_once import capped, tokyo
from tests.swarm.whole import Json, Swarm

TOKYO = "872f5aad9ffffff"
JOB: Json = {"model_id": "hive-nano", "prompt": "What is the capital of Italy?", "max_tokens": 20}


async def submitted(http: httpx.AsyncClient, **different: Any) -> str:
    made = await http.post("/hive/jobs", json=JOB | different)
    assert made.status_code == 201, made.text
    return str(made.json()["job_id"])


async def why(http: httpx.AsyncClient, job_id: str) -> Json:
    told: Json = (await http.get(f"/hive/jobs/{job_id}/why")).raise_for_status().json()
    return told


async def attempts(http: httpx.AsyncClient, job_id: str) -> Json:
    """The answer once the job waits again after an attempt."""

    async def look() -> Json | None:
        told = await why(http, job_id)
        return told if told["status"] == "pending" and told["attempts"] else None

    return await eventually(look, 20, "a job that waits again")


async def test_a_job_for_which_nobody_is_online_is_explained_by_the_counts_of_a_refusal(swarm: Swarm) -> None:
    key = SigningKey(b"\6" * 32)
    await swarm.raise_tier(key, ROME, "navigator")
    async with swarm.worker(key=key).connected(swarm.url) as worker:
        pass  # it is registered, so that jobs for it wait
    await swarm.left(worker)
    wanted = {"jurisdiction": "IT", "min_trust_tier": "navigator"}
    async with swarm.client() as http:
        told = await why(http, await submitted(http, **wanted))
        chat = {"model": "hive-nano", "messages": [{"role": "user", "content": JOB["prompt"]}], "max_tokens": 20}
        refused = await http.post("/v1/chat/completions", json=chat | wanted)
    assert refused.status_code == 503
    error = refused.json()["error"]
    assert told["counts"] == error["details"]["counts"]
    assert told["sentence"] == error["message"] == (
        "No eligible worker in IT, with tier navigator or higher: no worker there has a high enough tier."
    )  # fmt: skip
    counts = told["counts"]
    assert (counts["registered"], counts["online"], counts["has_model"]) == (4, 3, 3)
    assert (counts["in_place"], counts["tier"], counts["free"], counts["possible"]) == (1, 0, 0, 1)
    assert told["would_help"].startswith(
        "A worker in IT, with tier navigator or higher with the model hive-nano loaded"
    )
    assert (told["status"], told["parked"], told["widening"], told["attempts"]) == ("pending", None, None, [])
    assert (told["ahead"], told["avoids"], told["children"]) == (0, 0, [])


async def test_busy_workers_are_waited_for_in_the_kinds_order(swarm: Swarm) -> None:
    one = swarm.worker(cell=TOKYO, gate=asyncio.Event(), chunk=2, slots=1)
    async with one.connected(swarm.url) as worker, swarm.client() as http:
        ids = [await submitted(http, jurisdiction="JP") for _ in range(3)]
        await worker.offers.get()
        told = [await why(http, job_id) for job_id in ids[1:]]
        running = await why(http, ids[0])
        assert worker.gate is not None
        worker.gate.set()
        for job_id in ids:
            await swarm.ended(http, job_id)
        done = await why(http, ids[0])
    assert [one["ahead"] for one in told] == [0, 1]
    assert told[0]["sentence"] == "The only worker that may take it is busy; it is the next of its kind."
    assert told[0]["would_help"].startswith("A free slot at a worker in JP")
    assert (told[0]["counts"]["price"], told[0]["counts"]["free"]) == (1, 0)
    assert (running["counts"], running["would_help"]) == (None, None)
    assert running["sentence"] == "A worker has it: attempt 1."
    assert [(one["attempt"], one["outcome"]) for one in running["attempts"]] == [(1, None)]
    assert (done["sentence"], done["attempts"][0]["outcome"]) == ("It was completed by attempt 1.", "complete")


async def test_a_parked_job_says_how_many_of_its_key_are_under_way(swarm: Swarm) -> None:
    async with tokyo(swarm) as worker, capped(swarm, 2) as http:
        ids = [await submitted(http, jurisdiction="JP") for _ in range(4)]
        for _ in range(2):
            await worker.offers.get()
        told = [await why(http, job_id) for job_id in ids[2:]]
    assert [one["parked"] for one in told] == [{"under_way": 2, "at_once": 2, "ahead": n} for n in (0, 1)]
    assert told[0]["sentence"] == "Its key has 2 jobs of at most 2 under way: it waits for one to end."
    assert (told[0]["ahead"], told[0]["widening"]) == (None, None)


async def test_a_search_says_which_cells_it_takes_in_and_what_comes_next(swarm: Swarm) -> None:
    near = next(  # the search for it reaches Rome's worker at resolution 5, which is after two seconds
        cell
        for cell in h3.cell_to_children(h3.cell_to_parent(ROME, 5), 7)
        if h3.cell_to_parent(cell, 6) != h3.cell_to_parent(ROME, 6)
    )
    async with swarm.client() as http:
        job = await submitted(http, h3_cell=near)
        told = await why(http, job)
        done = await swarm.ended(http, job)
    assert (told["counts"]["price"], told["counts"]["free"]) == (1, 1)
    assert "outside the cells searched now" in told["sentence"]
    cells = told["widening"]["cells"]
    assert cells == [h3.cell_to_parent(near, res) for res in (7, 6)][: len(cells)]
    after = datetime.fromisoformat(told["widening"]["next"]["at"]) - datetime.fromisoformat(done["created_at"])
    assert abs(after - timedelta(seconds=len(cells))) < timedelta(milliseconds=5)
    assert told["widening"]["next"]["cell"] == h3.cell_to_parent(near, 7 - len(cells))
    assert done["queue_ms"] >= 2000


async def test_a_strict_search_stays_where_it_is(swarm: Swarm) -> None:
    async with tokyo(swarm) as worker, swarm.client() as http, capped(swarm, 1) as other:
        for client in (http, http, http, http, http, http, http, http, other):
            await submitted(client, h3_cell=TOKYO, strict_cell=True)
            await worker.offers.get() if client is http else None
        page = (await other.get("/hive/jobs")).json()["data"]
        told = await why(other, page[0]["id"])
    assert told["widening"] == {"cells": [TOKYO], "next": None}
    assert told["sentence"].startswith("The only worker that may take it is busy")


async def declines(worker: ScriptedWorker, offer: Offer) -> None:
    await worker.send(Decline(offer.body.job_id, offer.body.attempt, "no room"))


async def test_workers_that_declined_are_avoided_and_their_words_are_told(swarm: Swarm) -> None:
    async with swarm.worker(cell=TOKYO, script=declines).connected(swarm.url) as worker, swarm.client() as http:
        job = await submitted(http, jurisdiction="JP")
        told = await attempts(http, job)
        assert told["avoids"] == 1
        first = told["attempts"][0]
        assert (first["attempt"], first["outcome"], first["reason"]) == (1, "decline", "no room")
        assert worker.pk not in str(told)
        assert datetime.fromisoformat(told["ready_at"]) > datetime.fromisoformat(first["ended_at"])
        await http.delete(f"/hive/jobs/{job}")
        over = await why(http, job)
    assert (over["status"], over["counts"], over["would_help"]) == ("cancelled", None, None)
    assert "The job was cancelled" in over["sentence"]


async def test_of_a_parent_each_child_is_told(swarm: Swarm) -> None:
    async with tokyo(swarm) as worker, capped(swarm, 1) as http:
        chat = {"model": "hive-nano", "messages": [{"role": "user", "content": "Hi"}], "n": 3, "jurisdiction": "JP"}
        asking = asyncio.ensure_future(http.post("/v1/chat/completions", json=chat))
        await worker.offers.get()
        (first, *_) = (await http.get("/hive/jobs")).json()["data"]
        told = await why(http, first["parent_id"])
        assert worker.gate is not None
        worker.gate.set()
        await asking
    assert sorted(child["status"] for child in told["children"])[1:] == ["pending", "pending"]
    waits = [child for child in told["children"] if child["status"] == "pending"]
    assert all(child["parked"]["at_once"] == 1 and child["counts"]["possible"] == 1 for child in waits)
    assert told["sentence"].startswith("2 of its 3 answers wait for a worker. The first of them: Its key has 1 job")


async def test_nobody_else_is_told(swarm: Swarm) -> None:
    async with swarm.client() as http, capped(swarm, 1) as other:
        job = await submitted(http)
        assert (await other.get(f"/hive/jobs/{job}/why")).status_code == 404
        assert (await http.get(f"/hive/jobs/{UUID(int=7)}/why")).status_code == 404
        assert (await http.get("/hive/jobs/x/why")).status_code == 404


@pytest.mark.parametrize("auth", ["", "Bearer hive-wrong"])
async def test_without_a_key_nothing_is_told(swarm: Swarm, auth: str) -> None:
    async with swarm.client(authorization=auth) as http:
        assert (await http.get(f"/hive/jobs/{UUID(int=7)}/why")).status_code == 401
