"""Who gets a job: the place, the tier and the model that were asked for, and what is said when nobody fits."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import h3
import pytest
from nacl.signing import SigningKey

from tests.swarm.scripted import BERLIN, NEW_YORK, ROME, ScriptedWorker
from tests.swarm.whole import Json, Swarm

CHAT: Json = {"model": "hive-nano", "messages": [{"role": "user", "content": "What is the capital of Italy?"}]}
JOB: Json = {"model_id": "hive-nano", "prompt": "What is the capital of Italy?", "max_tokens": 20}
SAO_PAULO = h3.latlng_to_cell(-23.55, -46.63, 7)
NEAR_ROME = next(c for c in h3.grid_ring(ROME, 1) if h3.cell_to_parent(c, 6) == h3.cell_to_parent(ROME, 6))


def offered(worker: ScriptedWorker) -> int:
    return worker.offers.qsize()


async def test_200_jobs_for_the_eu_never_reach_new_york(swarm: Swarm) -> None:
    async with swarm.client() as http:
        answers = await asyncio.gather(
            *(http.post("/hive/jobs", json={**JOB, "jurisdiction": "EU"}) for _ in range(200))
        )
        assert Counter(answer.status_code for answer in answers) == {201: 200}
        jobs = [await swarm.ended(http, answer.json()["job_id"]) for answer in answers]
    assert Counter(job["status"] for job in jobs) == {"completed": 200}
    assert {job["worker_pk"] for job in jobs} == {swarm.rome.pk, swarm.berlin.pk}
    assert offered(swarm.new_york) == 0
    assert offered(swarm.rome) + offered(swarm.berlin) == 200


@pytest.mark.parametrize(
    ("headers", "city"),
    [
        ({"x-hive-h3-cell": NEW_YORK}, "new_york"),
        ({"x-hive-h3-cell": NEW_YORK, "x-hive-jurisdiction": "EU"}, "new_york"),
        ({"x-hive-h3-cell": h3.cell_to_parent(BERLIN, 4)}, "berlin"),
        ({"x-hive-h3-cell": h3.cell_to_center_child(BERLIN, 12), "x-hive-h3-strict": "true"}, "berlin"),
        ({"x-hive-h3-cell": NEAR_ROME, "x-hive-jurisdiction": "EU"}, "rome"),
        ({"x-hive-jurisdiction": "US"}, "new_york"),
        ({"x-hive-jurisdiction": "it"}, "rome"),
        ({"x-hive-jurisdiction": "DE,FR"}, "berlin"),
    ],
)
async def test_the_answer_comes_from_where_it_was_asked_for(swarm: Swarm, headers: dict[str, str], city: str) -> None:
    wanted: ScriptedWorker = getattr(swarm, city)
    async with swarm.client(**headers) as http:
        answers = [await http.post("/v1/chat/completions", json=CHAT) for _ in range(2)]
    assert {(a.status_code, a.headers.get("x-hive-worker")) for a in answers} == {(200, wanted.pk)}
    assert answers[0].headers["x-hive-cell"] == h3.cell_to_parent(wanted.capabilities.cell, 4)
    assert [offered(w) for w in (swarm.rome, swarm.berlin, swarm.new_york) if w is not wanted] == [0, 0]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({"x-hive-jurisdiction": "FR"}, {"has_model": 3, "in_place": 0}),
        ({"x-hive-h3-cell": SAO_PAULO}, {"has_model": 3, "in_place": 0}),
        ({"x-hive-h3-cell": NEAR_ROME, "x-hive-h3-strict": "true"}, {"in_place": 0}),
        ({"x-hive-h3-cell": NEAR_ROME, "x-hive-jurisdiction": "US"}, {"in_place": 0}),
        ({"x-hive-min-tier": "explorer"}, {"in_place": 3, "tier": 0}),
        ({"x-hive-min-tier": "observed", "x-hive-jurisdiction": "EU"}, {"in_place": 2, "tier": 0}),
        ({"x-hive-min-evidence": "rtt"}, {"tier": 3, "evidence": 0}),
    ],
)
async def test_nobody_there_is_said_at_once_with_the_counts(
    swarm: Swarm, headers: dict[str, str], left: dict[str, int]
) -> None:
    async with swarm.client(**headers) as http:
        answers = [await http.post("/v1/chat/completions", json=CHAT), await http.post("/hive/jobs", json=JOB)]
    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "no_workers")
        assert left.items() <= error["details"]["counts"].items()


@pytest.fixture
async def tiers(swarm: Swarm) -> AsyncIterator[dict[str, ScriptedWorker]]:
    """A worker in France for each tier."""
    paris = h3.latlng_to_cell(48.8566, 2.3522, 7)
    async with AsyncExitStack() as stack:
        made = {}
        for tier in ("seedling", "explorer", "navigator", "trailblazer", "sovereign"):
            key = SigningKey(os.urandom(32))
            await swarm.raise_tier(key, paris, tier)
            made[tier] = await stack.enter_async_context(swarm.worker(key=key, cell=paris).connected(swarm.url))
        yield made


async def test_both_vocabularies_of_tiers_name_one_ladder(swarm: Swarm, tiers: dict[str, ScriptedWorker]) -> None:
    ladder = list(tiers)
    agents = ["provisioned", "observed", "trusted", "certified", "sovereign"]
    async with swarm.client(**{"x-hive-jurisdiction": "FR"}) as http:
        for rank, names in enumerate(zip(ladder, agents, strict=True)):
            high_enough = {tiers[tier].pk for tier in ladder[rank:]}
            for name in names:
                asked = [
                    http.post("/v1/chat/completions", json=CHAT, headers={"x-hive-min-tier": name}) for _ in range(8)
                ]
                answers = await asyncio.gather(*asked)
                assert {answer.status_code for answer in answers} == {200}
                assert {answer.headers["x-hive-worker"] for answer in answers} <= high_enough
                made = await http.post("/hive/jobs", json={**JOB, "min_trust_tier": name})
                assert (await swarm.ended(http, made.json()["job_id"]))["worker_pk"] in high_enough


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"x-hive-h3-cell": "nonsense"}, {}, "invalid_cell"),
        ({"x-hive-h3-cell": "861e8050ffffffff"}, {}, "invalid_cell"),
        ({"x-hive-jurisdiction": "Atlantis"}, {}, "invalid_jurisdiction"),
        ({"x-hive-jurisdiction": "EU,XX"}, {}, "invalid_jurisdiction"),
        ({"x-hive-min-tier": "emperor"}, {}, "invalid_tier"),
        ({"x-hive-min-evidence": "hearsay"}, {}, "invalid_request"),
        ({"x-hive-delegation-cert": "e30="}, {}, "invalid_delegation"),
        ({}, {"model": "gpt-7", "model_id": "gpt-7"}, "invalid_model"),
    ],
)
async def test_what_means_nothing_is_refused(swarm: Swarm, headers: dict[str, str], body: Json, code: str) -> None:
    async with swarm.client(**headers) as http:
        chat = await http.post("/v1/chat/completions", json={**CHAT, **body})
        job = await http.post("/hive/jobs", json={**JOB, **body})
    for answer in (chat, job):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, code)
        assert error.keys() >= {"message", "type", "param", "code"}
    assert [offered(w) for w in (swarm.rome, swarm.berlin, swarm.new_york)] == [0, 0, 0]


async def test_a_job_for_a_worker_that_is_away_waits_for_it(swarm: Swarm) -> None:
    paris = h3.latlng_to_cell(48.8566, 2.3522, 7)
    french = swarm.worker(cell=paris)
    async with french.connected(swarm.url):
        pass
    await swarm.left(french)
    async with swarm.client(**{"x-hive-jurisdiction": "FR"}) as http:
        read = await http.post("/v1/chat/completions", json=CHAT)
        assert (read.status_code, read.json()["error"]["code"]) == (503, "no_workers")
        waits = await http.post("/hive/jobs", json=JOB)
        assert waits.status_code == 201
        async with french.connected(swarm.url):
            job = await swarm.ended(http, waits.json()["job_id"])
    assert (job["status"], job["worker_pk"]) == ("completed", french.pk)
