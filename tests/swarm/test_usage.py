"""What callers and the operator read of what was used and what is left, after jobs that ended in several ways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx
import pytest

from coordinator.submit.price import cost
from shared.geo.cells import cell_of, format_cell
from shared.ids import to_stroops
from tests.swarm.scripted import ScriptedWorker
from tests.swarm.whole import NANO, Json, Swarm

TOKYO: Final = format_cell(cell_of(35.68, 139.69))
JOB: Json = {"model_id": "hive-nano", "prompt": "What is the capital of Italy?", "max_tokens": 20, "jurisdiction": "IT"}


def numbers(got: httpx.Response) -> Any:
    return got.raise_for_status().json()


async def completed(swarm: Swarm, http: httpx.AsyncClient, **different: Any) -> Json:
    made = (await http.post("/hive/jobs", json=JOB | different)).raise_for_status().json()
    job = await swarm.ended(http, made["job_id"])
    assert job["status"] == "completed"
    return job


@asynccontextmanager
async def tokyo(swarm: Swarm) -> AsyncIterator[ScriptedWorker]:
    """A worker in Tokyo that says two tokens, and then nothing more."""
    worker = swarm.worker(cell=TOKYO, gate=asyncio.Event(), chunk=2)
    async with worker.connected(swarm.url):
        yield worker


async def left_half_way(swarm: Swarm, http: httpx.AsyncClient, **different: Any) -> Json:
    """A job that is cancelled when two tokens have come."""
    async with tokyo(swarm):
        body = JOB | {"jurisdiction": "JP"} | different
        made = (await http.post("/hive/jobs", json=body)).raise_for_status().json()
        async with http.stream("GET", f"/hive/jobs/{made['job_id']}/events") as events:
            async for line in events.aiter_lines():
                if line == "event: token":
                    break
        return numbers(await http.delete(f"/hive/jobs/{made['job_id']}"))  # type: ignore[no-any-return]


async def test_a_job_that_is_cancelled_half_way_costs_what_was_made_of_it(swarm: Swarm) -> None:
    async with swarm.client() as http:
        by_price = await left_half_way(swarm, http)
        named = await left_half_way(swarm, http, gns_reward=0.0199999)
        unpaid = await left_half_way(swarm, http, gns_reward=0)
    for job, paid in ((by_price, cost(NANO, by_price["tokens_in"], 2, None)), (named, 199_999 * 2 // 20), (unpaid, 0)):
        assert (job["status"], job["tokens_generated"], job["result_text"]) == ("cancelled", 2, None)
        assert to_stroops(job["gns_cost"]) == paid


async def test_a_client_that_closes_its_stream_pays_for_what_came(swarm: Swarm) -> None:
    async with tokyo(swarm) as worker, swarm.client() as http:
        body = {"model": "hive-nano", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        async with http.stream("POST", "/v1/chat/completions", json=body, headers={"x-hive-jurisdiction": "JP"}) as got:
            job_id = got.headers["x-hive-job-id"]
            async for line in got.aiter_lines():
                if "content" in line:
                    break
        await worker.cancels.get()
        await swarm.ended(http, job_id)
        job = numbers(await http.get(f"/hive/jobs/{job_id}"))
    assert (job["status"], job["tokens_generated"]) == ("cancelled", 2)
    assert to_stroops(job["gns_cost"]) == cost(NANO, job["tokens_in"], 2, None)


async def test_a_job_that_runs_out_of_time_in_mid_answer_is_ended_by_its_own_coordinator(swarm: Swarm) -> None:
    async with tokyo(swarm), swarm.client() as http:
        body = JOB | {"jurisdiction": "JP", "deadline_s": 3, "gns_reward": 0.02}
        made = (await http.post("/hive/jobs", json=body)).raise_for_status().json()
        job = await swarm.ended(http, made["job_id"])
    assert (job["status"], job["tokens_generated"], job["result_text"]) == ("timed_out", 2, None)
    assert to_stroops(str(job["gns_cost"])) == 200_000 * 2 // 20


async def test_usage_adds_up_by_day_key_and_model(swarm: Swarm) -> None:
    async with swarm.client() as http:
        done = [await completed(swarm, http), await completed(swarm, http, gns_reward=0.5)]
        part = await left_half_way(swarm, http, gns_reward=0.0199999)
        (row,) = (await http.get("/hive/usage")).raise_for_status().json()["data"]
        (total,) = (await http.get("/hive/usage", params={"by": ""})).json()["data"]
        assert (await http.get("/hive/usage", params={"to": "2026-01-01"})).json() == {"data": []}
        left = numbers(await http.get("/hive/balance"))
    used = {
        "jobs": 3,
        "tokens_in": sum(job["tokens_in"] for job in (*done, part)),
        "cached": sum(job["cached_tokens"] for job in done),
        "tokens_out": sum(job["tokens_generated"] for job in (*done, part)),
        "cost": f"{sum(Decimal(str(job['gns_cost'])) for job in (*done, part)):.7f}",
    }
    today = datetime.now(UTC).date()
    assert date.fromisoformat(row.pop("day")) in {today, today - timedelta(days=1)}
    assert len(row.pop("key")) == 36
    assert swarm.api_key.startswith(row.pop("key_prefix"))
    assert row.pop("model") == "hive-nano"
    assert row == total == used
    assert Decimal(str(left["spent"])) == Decimal(used["cost"])
    assert (left["credit"], left["held"], left["budget"]) == (1000, 0, None)
    assert Decimal(str(left["available"])) == 1000 - Decimal(used["cost"])


async def test_usage_as_csv_and_everybodys_for_the_operator_alone(swarm: Swarm) -> None:
    operator = {"authorization": f"Bearer {swarm.admin_key}"}
    async with (
        swarm.client() as http,
        httpx.AsyncClient(base_url=swarm.admin_url, headers=operator, timeout=30) as admin,
    ):
        made = (await admin.post("/admin/keys", json={"name": "another", "grant": 5, "budget": 2})).json()
        await completed(swarm, http)
        async with swarm.client(authorization=f"Bearer {made['key']}") as other:
            await completed(swarm, other, gns_reward=0.25)
            theirs = (await other.get("/hive/usage")).json()["data"]
            budget = numbers(await other.get("/hive/balance"))["budget"]
        for query, headers in (("format=csv&by=model", {}), ("by=model", {"accept": "text/csv"})):
            told = await http.get(f"/hive/usage?{query}", headers=headers)
            head, line = told.text.splitlines()
            assert told.headers["content-type"] == "text/csv; charset=utf-8"
            assert head == "model,jobs,tokens_in,cached,tokens_out,cost"
            assert line.startswith("hive-nano,1,")
        assert [row["cost"] for row in theirs] == ["0.2500000"]
        assert (budget["total"], budget["spent"], budget["left"]) == (2, 0.25, 1.75)
        rows = (await admin.get("/admin/usage", params={"by": "account"})).raise_for_status().json()["data"]
        assert {row["account"] for row in rows} >= {made["account_id"]}
        assert len(rows) == 2
        (one,) = (await admin.get("/admin/usage", params={"account": made["account_id"]})).json()["data"]
        assert (one["account"], one["cost"]) == (made["account_id"], "0.2500000")
        assert (await http.get("/admin/usage")).status_code == 404


@pytest.mark.parametrize(
    ("query", "param"), [("by=hour", "by"), ("format=xml", "format"), ("from=now", "from"), ("to=9", "to")]
)
async def test_what_cannot_be_told_is_refused_by_name(swarm: Swarm, query: str, param: str) -> None:
    async with swarm.client() as http:
        got = await http.get(f"/hive/usage?{query}")
        assert (got.status_code, got.json()["error"]["param"]) == (400, param)
        assert (await http.get("/hive/usage", headers={"authorization": ""})).status_code == 401
