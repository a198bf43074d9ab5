"""A worker and the account that it is linked to: who may link and part them, whose jobs go first, and `owner: me`."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from coordinator.store.kinds import first as waiting_kinds
from shared.worker_request import HEADER, signed
from tests.support_wait import eventually
from tests.swarm.scripted import ScriptedWorker, now_ms
from tests.swarm.whole import Json, Swarm
from worker.identity import identity

JOB = {"model_id": "hive-nano", "prompt": "Hello", "max_tokens": 20}


def proof(swarm: Swarm, worker: ScriptedWorker, method: str) -> dict[str, str]:
    path = f"/hive/workers/{worker.pk}/owner"
    return {HEADER: signed(worker.key, method, urlsplit(swarm.base_url).netloc, path, now_ms())}


async def link(swarm: Swarm, http: httpx.AsyncClient, worker: ScriptedWorker, **body: Any) -> Json:
    path = f"/hive/workers/{worker.pk}/owner"
    made = await http.post(path, headers=proof(swarm, worker, "POST"), json=body or None)
    assert made.status_code == 200, made.text
    told: Json = made.json()
    return told


async def other_key(swarm: Swarm) -> str:
    """A key of another account, which has credit."""
    headers = {"authorization": f"Bearer {swarm.admin_key}"}
    async with httpx.AsyncClient(base_url=swarm.admin_url, headers=headers, timeout=30) as admin:
        made = await admin.post("/admin/keys", json={"plan": "enterprise", "name": "neighbour", "grant": 10})
    return str(made.raise_for_status().json()["key"])


async def served_by(swarm: Swarm, http: httpx.AsyncClient, **fields: Any) -> str:
    made = await http.post("/hive/jobs", json={**JOB, **fields})
    assert made.status_code == 201, made.text
    return str((await swarm.ended(http, made.json()["job_id"]))["worker_pk"])


async def test_an_owners_jobs_go_to_its_own_worker_while_others_go_anywhere(swarm: Swarm) -> None:
    async with swarm.client() as http:
        assert await link(swarm, http, swarm.new_york) == {
            "worker": swarm.new_york.pk,
            "owner": "tests",
            "spend": False,
        }
        assert {await served_by(swarm, http) for _ in range(4)} == {swarm.new_york.pk}
        assert await served_by(swarm, http, jurisdiction="EU") != swarm.new_york.pk
    neighbour = httpx.AsyncClient(
        base_url=swarm.base_url, headers={"authorization": f"Bearer {await other_key(swarm)}"}, timeout=30
    )
    async with neighbour:
        assert len({await served_by(swarm, neighbour) for _ in range(6)}) == 3


async def test_owner_me_uses_no_other_machine(swarm: Swarm) -> None:
    async with swarm.client(**{"x-hive-owner": "me"}) as http:
        alone = await http.post("/hive/jobs", json=JOB)
        error = alone.json()["error"]
        assert (alone.status_code, error["code"]) == (503, "no_workers")
        assert (error["details"]["counts"]["online"], error["details"]["counts"]["owner"]) == (3, 0)
        await link(swarm, http, swarm.berlin)
        assert {await served_by(swarm, http) for _ in range(4)} == {swarm.berlin.pk}
        chat = {"model": "hive-nano", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "owner": "me"}
        got = await http.post("/v1/chat/completions", json=chat)
        assert (got.status_code, got.headers["x-hive-worker"]) == (200, swarm.berlin.pk)
        swarm.berlin.gate, swarm.berlin.offers = asyncio.Event(), asyncio.Queue()
        swarm.berlin.says = "A very long answer, of which the first part is all that there is for now, and more."
        busy = [(await http.post("/hive/jobs", json=JOB)).json()["job_id"] for _ in range(5)]
        for _ in range(4):
            await swarm.berlin.offers.get()
        waiting = (await http.get(f"/hive/jobs/{busy[-1]}")).json()
        assert waiting["status"] == "pending", "four slots are taken, and two other workers are free"
        swarm.berlin.gate.set()
        assert {(await swarm.ended(http, job))["worker_pk"] for job in busy} == {swarm.berlin.pk}
    async with swarm.client() as http:
        assert (await http.post("/hive/jobs", json={**JOB, "owner": "you"})).status_code == 400


async def test_both_must_agree_to_a_link_and_one_can_end_it(swarm: Swarm) -> None:
    worker = swarm.rome
    path = f"/hive/workers/{worker.pk}/owner"
    neighbour = {"authorization": f"Bearer {await other_key(swarm)}"}
    async with swarm.client() as http:
        assert (await http.post(path)).status_code == 401
        assert (await http.post(path, headers=proof(swarm, swarm.berlin, "POST"))).status_code == 401
        assert (await http.post(path, headers=proof(swarm, worker, "DELETE"))).status_code == 401
        bare = await http.post(path, headers={"authorization": "", **proof(swarm, worker, "POST")})
        assert bare.status_code == 401
        await link(swarm, http, worker)
        assert (await http.delete(path, headers=neighbour)).status_code == 404
        assert (await http.delete(path, headers={"authorization": ""})).status_code == 401
        assert swarm.hive.hub.sessions[worker.pk].facts.owner is not None
        assert (await http.delete(path)).json() == {"worker": worker.pk, "owner": None, "spend": False}
        assert (await http.delete(path)).status_code == 404
        assert swarm.hive.hub.sessions[worker.pk].facts.owner is None
        assert (await link(swarm, http, worker, spend=True))["spend"]
        by_worker = {"authorization": "", **proof(swarm, worker, "DELETE")}
        assert (await http.delete(path, headers=by_worker)).status_code == 200
        gone = await http.post("/hive/jobs", json={**JOB, "owner": "me"})
        assert gone.status_code == 503


async def test_another_coordinator_learns_of_a_link_and_a_worker_keeps_it(swarm: Swarm) -> None:
    from coordinator.dispatch import watch  # noqa: PLC0415
    from coordinator.store import owners  # noqa: PLC0415

    async with swarm.client() as http:
        await link(swarm, http, swarm.rome)
        account = swarm.hive.hub.sessions[swarm.rome.pk].facts.owner
        assert isinstance(account, UUID)
    async with swarm.hive.engine.begin() as conn:
        assert await owners.unlink(conn, swarm.rome.pk)
        await owners.link(conn, swarm.berlin.pk, account, swarm.hive.clock(), spend=False)

    async def learned() -> bool:
        """A renewal of the coordinator's own that began before the link was moved may have the last word once."""
        await watch.renew(swarm.hive.dispatch)
        owned = {pk: session.facts.owner for pk, session in swarm.hive.hub.sessions.items()}
        return owned == {swarm.rome.pk: None, swarm.berlin.pk: account, swarm.new_york.pk: None}

    await eventually(learned, 20, "whose workers they are")
    again = swarm.worker(key=swarm.berlin.key)
    async with again.connected(swarm.url):
        assert swarm.hive.hub.sessions[swarm.berlin.pk].facts.owner == account


async def test_only_accounts_with_workers_make_kinds_of_their_own(swarm: Swarm) -> None:
    swarm.hive.hub.sessions.clear()
    async with swarm.client() as http:
        await http.post("/hive/jobs", json=JOB)
    async with swarm.hive.engine.connect() as conn:
        ((kind, *_),) = await swarm.hive.kinds.first(conn)
        assert list(await waiting_kinds(conn)) == [kind.id]
    assert kind.owner is None


@pytest.mark.timeout(120)
async def test_the_commands_link_and_part(swarm: Swarm, tmp_path: Path) -> None:
    who = identity(tmp_path, now=0, entropy=b"\3" * 32)
    (tmp_path / "config.toml").write_text(f'[worker]\ncell = "871e8052affffff"\ncoordinator = "{swarm.base_url}"\n')

    async def hive(*words: str, **variables: str) -> tuple[int | None, str]:
        environment = {**os.environ, "HIVE_HOME": str(tmp_path), "COLUMNS": "200", **variables}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "shared", "worker", *words, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    code, out = await hive("link", "--api-key", swarm.api_key, "--spend", "--json")
    assert (code, json.loads(out)) == (0, {"worker": who.pk, "owner": "tests", "spend": True})
    code, out = await hive("link", HIVE_API_KEY="sk-hive-wrong")
    assert (code, "refused: The API key is not valid." in out, "Traceback" in out) == (1, True, False)
    assert await hive("unlink") == (0, "This worker is linked to no account.\n")
