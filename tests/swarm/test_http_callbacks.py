"""Callbacks over HTTP: asked for, listed, replayed, signed; and thehive's two faces in front of the same jobs."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from coordinator.outside.schedule import Outcome
from coordinator.outside.signing import secrets_of, shown
from coordinator.store import callbacks
from coordinator.store.callbacks import FIRST_LANE, CallbackRow
from coordinator.store.engine import Engine
from coordinator.store.rows import NewJob
from tests.swarm.http_hive import MODEL, Served, make_key, online, serving
from tests.swarm.test_http_jobs import JOB, error_of

URL = "https://hooks.example/done?token=1"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hi there"}]}


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path, callback_allow=["10.0.0.0/8"], default_model=MODEL) as running:
        running.hive.join(online("rome"))
        yield running


async def row_of(served: Served, id_: UUID) -> CallbackRow | None:
    async with served.hive.engine.begin() as conn:
        return await callbacks.get(conn, id_)


async def end(served: Served, job: NewJob, came: Outcome | None = None) -> None:
    """The job has ended, and with an outcome its callback was sent."""
    now = served.hive.clock()
    async with served.hive.engine.begin() as conn:
        await callbacks.ended(conn, {job.id: 1}, now)
        if came is not None:
            due, _ = await callbacks.due(conn, FIRST_LANE, now, lanes=100, each=100)
            (one,) = [one for one in due if one.id == job.id]
            await callbacks.claim(conn, [one.id], now)
            await callbacks.record(conn, one.id, one.calls + 1, came, now)


async def submitted(served: Served, http: httpx.AsyncClient, **different: Any) -> NewJob:
    made = await http.post("/hive/jobs", json={**JOB, "callback_url": URL, **different})
    assert made.status_code == 201, made.text
    return await served.hive.accepted()


async def test_a_job_keeps_whom_to_tell(served: Served) -> None:
    async with served.client() as http:
        job = await submitted(served, http)
        other = await submitted(served, http, callback_url=None)
        allowed = await submitted(served, http, callback_url="http://10.1.2.3/done")
    row = await row_of(served, job.id)
    assert row is not None
    assert (row.url, row.state, row.ended) == (URL, "waiting", False)
    assert await row_of(served, other.id) is None
    assert await row_of(served, allowed.id) is not None


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://0x7f000001/", "https://localhost./", "hooks", 7, {}])
async def test_what_can_never_be_called_is_refused_at_once_on_every_face(served: Served, url: Any) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/hive/jobs": JOB,
        "/api/v3/chat/completions": CHAT,
        "/api/v2/task/async": {"text_data": "Hi"},
    }
    async with served.client() as http:
        for path, body in bodies.items():
            answer = await http.post(path, json={**body, "callback_url": url})
            assert answer.status_code == 400, path
            if isinstance(url, str):
                assert (error_of(answer)["code"], error_of(answer)["param"]) == ("invalid_callback_url", "callback_url")
    assert served.hive.writer.accepted.empty()


async def test_the_list_shows_what_waits_what_was_delivered_and_what_is_dead(served: Served) -> None:
    now = served.hive.clock()
    async with served.client() as http:
        jobs = [await submitted(served, http) for _ in range(4)]
        await end(served, jobs[1], Outcome("delivered", now, 204, None))
        await end(served, jobs[2], Outcome("dead", now, None, "has no public address"))
        await end(served, jobs[3], Outcome("waiting", now + timedelta(seconds=5), 500, "answers with status 500"))
        everything = (await http.get("/hive/callbacks")).json()
        assert [one["id"] for one in everything["data"]] == [str(job.id) for job in reversed(jobs)]
        assert everything["next_cursor"] is None
        states = {
            state: [one["id"] for one in (await http.get(f"/hive/callbacks?state={state}")).json()["data"]]
            for state in ("waiting", "delivered", "dead")
        }
        assert states == {
            "waiting": [str(jobs[3].id), str(jobs[0].id)],
            "delivered": [str(jobs[1].id)],
            "dead": [str(jobs[2].id)],
        }
        retrying, dead, _, waiting = everything["data"]
        assert (retrying["attempts"], retrying["last_status"], retrying["last_error"]) == (
            1,
            500,
            "answers with status 500",
        )
        assert retrying["next_attempt_at"] is not None
        assert (dead["last_status"], dead["last_error"], dead["next_attempt_at"]) == (
            None,
            "has no public address",
            None,
        )
        assert (waiting["attempts"], waiting["next_attempt_at"], waiting["last_attempt_at"]) == (0, None, None)
        page = (await http.get("/hive/callbacks?limit=3")).json()
        rest = (await http.get("/hive/callbacks", params={"limit": 3, "cursor": page["next_cursor"]})).json()
        assert [one["id"] for one in page["data"] + rest["data"]] == [one["id"] for one in everything["data"]]
        for query in ("state=lost", "limit=0", "cursor=x"):
            assert (await http.get(f"/hive/callbacks?{query}")).status_code == 400


async def test_a_dead_one_is_replayed_by_its_owner_alone(served: Served) -> None:
    now = served.hive.clock()
    stranger = {"authorization": f"Bearer {await make_key(served.hive)}"}
    async with served.client() as http:
        job = await submitted(served, http)
        early = await http.post(f"/hive/callbacks/{job.id}/replay")
        assert (early.status_code, error_of(early)["code"]) == (409, "not_ended")
        await end(served, job, Outcome("dead", now, 410, "wants no more of it (status 410)"))
        assert (await http.get("/hive/callbacks", headers=stranger)).json()["data"] == []
        for id_, headers in ((job.id, stranger), (uuid4(), {})):
            assert (await http.post(f"/hive/callbacks/{id_}/replay", headers=headers)).status_code == 404
        again = await http.post(f"/hive/callbacks/{job.id}/replay")
        assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (200, "waiting", 1)
        assert again.json()["next_attempt_at"] is not None
        assert (await http.get("/hive/callbacks", headers={"authorization": ""})).status_code == 401


async def test_the_operator_sees_and_replays_everybodys(served: Served) -> None:
    async with served.client() as http:
        job = await submitted(served, http)
        await end(served, job, Outcome("dead", served.hive.clock(), 500, "answers with status 500"))
    headers = {"authorization": f"Bearer {served.admin_key}"}
    async with httpx.AsyncClient(base_url=served.admin_url, headers=headers) as admin:
        (one,) = (await admin.get("/admin/callbacks?state=dead")).json()["data"]
        assert (one["id"], one["account_id"]) == (str(job.id), str(job.account_id))
        assert len((await admin.get(f"/admin/callbacks?account={job.account_id}")).json()["data"]) == 1
        assert (await admin.get(f"/admin/callbacks?account={uuid4()}")).json()["data"] == []
        assert (await admin.get("/admin/callbacks?account=x")).status_code == 400
        assert (await admin.post(f"/admin/callbacks/{job.id}/replay")).json()["state"] == "waiting"
        assert (await admin.get("/admin/callbacks", headers={"authorization": "Bearer x"})).status_code == 401
    async with served.client() as http:
        assert (await http.get("/admin/callbacks")).status_code == 404


async def test_a_secret_is_the_accounts_and_a_rotation_keeps_the_old_one_for_a_day(served: Served) -> None:
    hive = served.hive
    async with served.client() as http:
        job = await submitted(served, http)
        first = await http.get("/hive/webhook-secret")
        assert first.headers["cache-control"] == "no-store"
        assert first.json() == (await http.get("/hive/webhook-secret")).json()
        assert (first.json()["generation"], first.json()["previous_until"]) == (1, None)
        (known,) = secrets_of(hive.secrets.pepper, job.account_id, 1, None, hive.clock())
        assert first.json()["secret"] == shown(known)
        second = (await http.post("/hive/webhook-secret/rotate")).json()
        assert second["generation"] == 2
        assert second["secret"] != first.json()["secret"]
        assert second["previous_until"] is not None
        hive.late = timedelta(hours=25)
        later = (await http.get("/hive/webhook-secret")).json()
        assert later == second | {"previous_until": None}
        other = {"authorization": f"Bearer {await make_key(hive)}"}
        theirs = (await http.get("/hive/webhook-secret", headers=other)).json()
        assert theirs["secret"] not in (first.json()["secret"], second["secret"])


async def test_a_task_is_answered_at_once_and_told_of_later(served: Served) -> None:
    token = {"authorization": f"Token {served.api_key}"}
    async with httpx.AsyncClient(base_url=served.base_url, headers=token) as http:
        body = {"text_data": "Say hello to me", "callback_url": URL, "options": {"system_prompt": "Be kind"}}
        made = await http.post("/api/v2/task/async", json=body)
        assert made.status_code == 200, made.text
        job = await served.hive.accepted()
        assert made.json() == {"task_id": str(job.id)}
        assert made.headers["x-hive-job-id"] == str(job.id)
        roles = [message["role"] for message in json.loads(job.request)["messages"]]
        assert (roles, job.attached, job.model, job.tokens_in) == (["system", "user"], False, MODEL, 6)
        row = await row_of(served, job.id)
        assert row is not None
        assert row.url == URL
        for wrong, status in (
            ({"callback_url": URL}, 400),
            ({"text_data": "Hi"}, 400),
            ({**body, "model": "gpt-7"}, 400),
        ):
            assert (await http.post("/api/v2/task/async", json=wrong)).status_code == status
        denied = await http.post("/api/v2/task/async", json=body, headers={"authorization": "Token no"})
        assert (denied.status_code, error_of(denied)["type"]) == (401, "authentication_error")


async def test_a_chat_on_v3_is_openais_unless_it_has_a_callback(served: Served) -> None:
    async with served.client() as http:
        too_long = await http.post("/api/v3/chat/completions", json={**CHAT, "max_tokens": 2049})
        assert (too_long.status_code, error_of(too_long)["param"]) == (400, "max_tokens")
        asking = asyncio.create_task(http.post("/api/v3/chat/completions", json={**CHAT, "stream": True}))
        job = await served.hive.accepted()
        assert job.attached
        assert job.max_tokens <= 2048
        served.hive.say(job, 0, "Hello")
        await served.hive.complete(job, "Hello", 1)
        lines = [line for line in (await asking).text.splitlines() if line]
        assert lines[-1] == "data: [DONE]"
        assert '"content":"Hello"' in "".join(lines)
        task = await http.post("/api/v3/chat/completions", json={**CHAT, "callback_url": URL})
        job = await served.hive.accepted()
        assert (task.status_code, task.json()) == (200, {"task_id": str(job.id)})
        assert not job.attached
        row = await row_of(served, job.id)
        assert row is not None


async def test_a_callback_on_openais_own_route_is_refused(served: Served) -> None:
    async with served.client() as http:
        answer = await http.post("/v1/chat/completions", json={**CHAT, "callback_url": URL})
        assert (answer.status_code, error_of(answer)["code"]) == (400, "unsupported_parameter")
