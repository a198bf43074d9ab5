"""Callbacks from end to end: a whole coordinator, scripted workers, and another side that listens on loopback."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from standardwebhooks import Webhook

from coordinator.outside import courier
from coordinator.store.engine import Engine
from tests.support_outside import Heard, Other, answering, other_side
from tests.support_wait import eventually
from tests.swarm.whole import Swarm, coordinating

JOB = {"model_id": "hive-nano", "prompt": "What is the capital of Italy?", "max_tokens": 40}


@asynccontextmanager
async def listening(database_url: str, folder: Path) -> AsyncIterator[tuple[Swarm, Other, str]]:
    """A swarm that may call the other side, the other side, and where it wants to be told."""
    async with other_side() as other:
        other.scripts["/done"] = answering(204)
        place = f"127.0.0.1:{other.port}"
        async with coordinating(database_url, folder, callback_allow=[place]) as swarm, swarm.three_cities():
            yield swarm, other, f"http://{place}/done"


async def told(other: Other) -> Heard:
    return await asyncio.wait_for(other.heard.get(), 30)


async def given_up(http: httpx.AsyncClient, log: io.StringIO) -> bool:
    """A callback is dead, and what is logged after that holds is logged."""
    dead = (await http.get("/hive/callbacks?state=dead")).json()["data"]
    return bool(dead) and "given up" in log.getvalue()


async def test_each_face_tells_of_its_end_in_its_own_shape(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with listening(database_url, tmp_path) as (swarm, other, url), swarm.client() as http:
        secret = Webhook((await http.get("/hive/webhook-secret")).json()["secret"])
        made = (await http.post("/hive/jobs", json={**JOB, "callback_url": url})).raise_for_status().json()
        heard = await told(other)
        job = secret.verify(heard.body, heard.headers)
        assert (job["id"], job["status"], job["result_text"]) == (made["job_id"], "completed", "The capital is Rome.")
        assert job["error"] is None
        seen = (await http.get(f"/hive/jobs/{made['job_id']}")).json()
        settling = ("settled", "stellar_tx_hash")
        assert {name: job[name] for name in job if name not in settling} == {
            name: seen[name] for name in seen if name not in settling
        }
        chat = {"model": "hive-nano", "messages": [{"role": "user", "content": "And of Italy?"}], "callback_url": url}
        task = {"text_data": "And of Italy?", "callback_url": url, "model": "hive-nano", "max_tokens": 40}
        for path, body in (("/api/v3/chat/completions", chat), ("/api/v2/task/async", task)):
            id_ = (await http.post(path, json=body)).raise_for_status().json()["task_id"]
            heard = await told(other)
            assert secret.verify(heard.body, heard.headers) == {
                "task_id": id_, "status": "completed", "output": {"text": "The capital is Rome."}, "error": None,
            }  # fmt: skip


async def test_a_cancelled_job_is_told_of_too(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with listening(database_url, tmp_path) as (swarm, other, url), swarm.client() as http:
        for worker in (swarm.rome, swarm.berlin, swarm.new_york):
            worker.cut()
        made = await http.post("/hive/jobs", json={**JOB, "callback_url": url})
        id_ = made.raise_for_status().json()["job_id"]
        await http.delete(f"/hive/jobs/{id_}")
        body = json.loads((await told(other)).body)
        assert (body["id"], body["status"], body["result_text"]) == (id_, "cancelled", None)
        assert body["error"]["code"] == "job_failed"


def _written_to(lines: io.StringIO) -> Any:
    """A logger that does as it is told here, however another test has set all others."""
    render = structlog.processors.KeyValueRenderer()
    return structlog.wrap_logger(structlog.PrintLogger(lines), [render], structlog.BoundLogger)


async def test_nothing_of_a_job_is_in_the_log(
    engine: Engine,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    lines = io.StringIO()
    monkeypatch.setattr(courier, "log", _written_to(lines))
    async with listening(database_url, tmp_path) as (swarm, other, url), swarm.client() as http:
        other.scripts["/done"] = answering(410)
        (await http.post("/hive/jobs", json={**JOB, "callback_url": f"{url}?token=abracadabra"})).raise_for_status()
        await eventually(partial(given_up, http, lines), 30, "the callback's end")
    told_by_log = "".join([lines.getvalue(), *capfd.readouterr()])
    assert "a callback is given up" in told_by_log
    for secret in ("capital", "Rome.", "abracadabra", "whsec_"):
        assert secret not in told_by_log
