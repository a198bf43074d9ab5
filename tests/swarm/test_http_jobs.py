"""`/hive/jobs`: accepted, followed, listed, cancelled, refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from coordinator.queue.lifecycle import State
from coordinator.store.engine import Engine
from shared.geo.cells import cell_of, format_cell
from tests.swarm.http_hive import MODEL, PLACES, Served, make_key, online, serving, until

ROME = format_cell(cell_of(*PLACES["rome"]))
JOB = {"model_id": MODEL, "prompt": "What is decentralized AI inference?", "max_tokens": 60}


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        yield running


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, in the one shape."""
    error: dict[str, Any] = answer.json()["error"]
    assert error.keys() >= {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    return error


async def test_a_job_is_accepted_followed_and_completed(served: Served) -> None:
    rome = online("rome")
    served.hive.join(rome)
    async with served.client() as http:
        made = await http.post("/hive/jobs", json={**JOB, "h3_cell": ROME, "gns_reward": 0.01, "jurisdiction": "eu"})
        assert made.status_code == 201, made.text
        created = made.json()
        assert created.keys() == {"job_id", "status", "h3_cell", "created_at"}
        assert (created["status"], created["h3_cell"]) == ("pending", ROME)
        assert created["created_at"].endswith("Z")
        assert made.headers["x-hive-job-id"] == created["job_id"]
        job = await served.hive.accepted()
        assert (job.hold, job.reward, job.max_tokens, job.tokens_in) == (100_000, 100_000, 60, 5)
        waiting = (await http.get(f"/hive/jobs/{job.id}")).json()
        assert (waiting["status"], waiting["result_text"], waiting["gns_reward"]) == ("pending", None, 0.01)
        assert waiting["jurisdiction"] == "EU"
        async with http.stream("GET", f"/hive/jobs/{job.id}/events") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: status"
            served.hive.assign(job, rome)
            served.hive.say(job, 0, "De")
            served.hive.say(job, 1, "centralized")
            await served.hive.complete(job, "Decentralized", 2)
            rest = "\n".join([line async for line in lines])
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert rest.count("event: token") == 2
    assert rest.index("event: token") < rest.index("event: done")
    assert '"result_text":"Decentralized"' in rest
    ids = [int(line.removeprefix("id: ")) for line in rest.splitlines() if line.startswith("id: ")]
    assert len(ids) == 4
    assert ids == sorted(set(ids))
    assert served.hive.cancelled == []


async def test_a_reader_goes_on_after_its_last_event(served: Served) -> None:
    rome = online("rome")
    served.hive.join(rome)
    async with served.client() as http:
        await http.post("/hive/jobs", json=JOB)
        job = await served.hive.accepted()
        watching = served.hive.relay.open(job.id, attached=False)
        served.hive.assign(job, rome)
        served.hive.say(job, 0, "one")
        served.hive.say(job, 1, "two")
        await served.hive.complete(job, "onetwo", 2)
        again = await http.get(f"/hive/jobs/{job.id}/events", headers={"last-event-id": "2"})
        watching.close()
    assert '"one"' not in again.text
    assert '"two"' in again.text
    assert "event: done" in again.text


async def test_leaving_the_events_never_cancels(served: Served) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        await http.post("/hive/jobs", json=JOB)
        job = await served.hive.accepted()
        async with http.stream("GET", f"/hive/jobs/{job.id}/events") as stream:
            await anext(stream.aiter_lines())
        await until(lambda: not served.hive.relay.is_read(job.id))
        assert not served.hive.relay.abandoned.is_set()
        assert (await http.get(f"/hive/jobs/{job.id}")).json()["status"] == "pending"


async def test_others_do_not_see_a_job(served: Served) -> None:
    served.hive.join(online("rome"))
    stranger = {"authorization": f"Bearer {await make_key(served.hive)}"}
    async with served.client() as http:
        job_id = (await http.post("/hive/jobs", json=JOB)).json()["job_id"]
        for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
            answer = await http.request(method, f"/hive/jobs/{job_id}{path}", headers=stranger)
            assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")
        assert (await http.get("/hive/jobs", headers=stranger)).json() == {"data": [], "next_cursor": None}


async def test_jobs_are_listed_in_pages(served: Served) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        made = [(await http.post("/hive/jobs", json=JOB)).json()["job_id"] for _ in range(5)]
        seen: list[str] = []
        cursor = None
        while True:
            query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
            page = (await http.get("/hive/jobs", params=query)).json()
            seen += [job["id"] for job in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == made[::-1]
        none = await http.get("/hive/jobs", params={"status": "completed"})
        assert none.json()["data"] == []
        for query in ({"limit": "0"}, {"limit": "x"}, {"status": "sleeping"}, {"cursor": "no"}):
            answer = await http.get("/hive/jobs", params=query)
            assert (answer.status_code, error_of(answer)["param"]) == (400, next(iter(query)))


async def test_cancelling(served: Served) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        job_id = (await http.post("/hive/jobs", json=JOB)).json()["job_id"]
        answer = await http.delete(f"/hive/jobs/{job_id}")
        assert (answer.status_code, answer.json()["id"]) == (200, job_id)
        assert served.hive.cancelled == [(UUID(job_id), "cancelled by its owner")]
        missing = await http.delete(f"/hive/jobs/{uuid4()}")
        assert missing.status_code == 404


async def test_an_idempotency_key_stands_for_one_job(served: Served) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        key = {"idempotency-key": "once"}
        first = await http.post("/hive/jobs", json=JOB, headers=key)
        second = await http.post("/hive/jobs", json=JOB, headers=key)
        assert (second.status_code, second.json()) == (201, first.json())
        other = await http.post("/hive/jobs", json={**JOB, "max_tokens": 5}, headers=key)
        assert (other.status_code, error_of(other)["code"]) == (409, "idempotency_conflict")
        assert other.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"model_id": "gpt-7"}, "invalid_model", "model_id"),
        ({"h3_cell": "nonsense"}, "invalid_cell", "h3_cell"),
        ({"jurisdiction": "Atlantis"}, "invalid_jurisdiction", "jurisdiction"),
        ({"min_trust_tier": "emperor"}, "invalid_tier", "min_trust_tier"),
        ({"prompt": None}, "invalid_request", "prompt"),
        ({"prompt": "word " * 3000}, "context_length_exceeded", "messages"),
        ({"gns_reward": -1}, "invalid_request", "gns_reward"),
        ({"callback_url": "http://localhost:8080/done"}, "invalid_callback_url", "callback_url"),
        ({"redundancy": 2}, "unsupported_parameter", "redundancy"),
        ({"delegation_cert": "e30="}, "invalid_delegation", "delegation_cert"),
        ({"temperature": 3}, "invalid_request", "temperature"),
        ({"max_tokens": "many"}, "invalid_request", "max_tokens"),
        ({"idempotency_key": "a\0"}, "invalid_request", "idempotency_key"),
        ({"prompt": "nul \0 and more", "seed": "\0"}, "invalid_request", "seed"),
    ],
)
async def test_what_is_wrong_is_named(served: Served, change: dict[str, Any], code: str, param: str) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        answer = await http.post("/hive/jobs", json={**JOB, **change})
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


async def test_nobody_there(served: Served) -> None:
    served.hive.join(online("new york", tier=1))
    async with served.client() as http:
        refused = await http.post("/hive/jobs", json={**JOB, "jurisdiction": "EU"})
        assert (refused.status_code, error_of(refused)["code"]) == (503, "no_workers")
        counts = refused.json()["error"]["details"]["counts"]
        assert (counts["online"], counts["has_model"], counts["in_place"]) == (1, 1, 0)
        assert "retry-after" not in refused.headers
        too_high = await http.post("/hive/jobs", json=JOB, headers={"x-hive-min-tier": "trusted"})
        assert too_high.status_code == 503
        for tier in ("explorer", "observed"):
            taken = await http.post("/hive/jobs", json=JOB, headers={"x-hive-min-tier": tier})
            assert taken.status_code == 201


async def test_money_runs_out(served: Served) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        answer = await http.post("/hive/jobs", json={**JOB, "gns_reward": 1001})
        assert (answer.status_code, error_of(answer)["code"]) == (403, "insufficient_balance")


async def test_an_ended_job_is_told_to_who_comes_late(served: Served) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        job_id = UUID((await http.post("/hive/jobs", json=JOB)).json()["job_id"])
        await http.delete(f"/hive/jobs/{job_id}")
        watching = served.hive.relay.open(job_id, attached=False)
        await served.hive.end(job_id, State.TIMED_OUT)
        events = await http.get(f"/hive/jobs/{job_id}/events")
        watching.close()
    assert "event: error" in events.text
    assert "job_timeout" in events.text


async def test_an_operators_own_jurisdiction_can_be_asked_for(engine: Engine, tmp_path: Path) -> None:
    async with serving(engine, tmp_path, groups={"DACH": "DE,AT,CH"}) as served, served.client() as http:
        served.hive.join(online("rome"))
        refused = await http.post("/hive/jobs", json={**JOB, "jurisdiction": "dach"})
        assert (refused.status_code, error_of(refused)["code"]) == (503, "no_workers")
        served.hive.join(online("berlin"))
        made = await http.post("/hive/jobs", json=JOB, headers={"x-hive-jurisdiction": "DACH"})
        assert made.status_code == 201, made.text
        unknown = error_of(await http.post("/hive/jobs", json={**JOB, "jurisdiction": "dachs"}))
    assert (unknown["code"], unknown["param"]) == ("invalid_jurisdiction", "jurisdiction")
    assert "DACH" in unknown["message"]
