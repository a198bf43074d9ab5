"""What the log says of jobs: one line for each that ended, with its id, and nothing of what was asked or said, or by whom."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from coordinator.observe import jobs as observed
from tests.support_wait import eventually
from tests.swarm.test_at_once import capped, tokyo
from tests.swarm.whole import Json, Swarm

CHAT: Json = {"model": "hive-nano", "messages": [{"role": "user", "content": "What is the capital of Italy?"}]}
LINE = {
    "event", "log_level", "job", "parent", "model", "source", "state", "error", "attempts", "lost", "queue_ms", "run_ms",
    "tokens_in", "tokens", "worker",
}  # fmt: skip


def ends(lines: Any) -> list[Json]:
    return [dict(line) for line in lines if line["event"] == "a job ended"]


async def test_each_job_that_ends_is_one_line_which_tells_how(swarm: Swarm) -> None:
    with capture_logs() as lines:
        async with swarm.client() as http, tokyo(swarm) as worker:
            got = await http.post("/v1/chat/completions", json=CHAT | {"n": 2, "jurisdiction": "EU,US"})
            made = await http.post(
                "/hive/jobs", json={"model_id": "hive-nano", "prompt": "Secret", "jurisdiction": "JP"}
            )
            await worker.offers.get()
            await http.delete(f"/hive/jobs/{made.json()['job_id']}")
    found = ends(lines)
    assert [line["state"] for line in found] == ["completed", "completed", "cancelled"]
    assert all(set(line) == LINE | {"request"} for line in found)
    parent = got.headers["x-hive-job-id"]
    assert {line["parent"] for line in found[:2]} == {parent}
    first = found[0]
    assert (first["model"], first["source"], first["attempts"], first["lost"], first["error"]) == (
        "hive-nano",
        "v1",
        1,
        0,
        None,
    )
    assert first["tokens"] * 2 == got.json()["usage"]["completion_tokens"]
    assert first["worker"] in {swarm.rome.pk, swarm.berlin.pk, swarm.new_york.pk}
    assert 0 <= first["queue_ms"] < 20_000
    assert 0 <= first["run_ms"] < 20_000
    assert (found[2]["job"], found[2]["worker"]) == (made.json()["job_id"], worker.pk)
    asked = [got.headers["x-request-id"]] * 2 + [made.headers["x-request-id"]]
    assert [line["request"] for line in found] == asked, "not the one that cancels"
    text = str(found)
    assert not any(said in text for said in ("capital", "Secret", swarm.api_key))


async def test_what_the_sweep_ends_is_told_as_well(swarm: Swarm) -> None:
    with capture_logs() as lines:
        async with swarm.client() as http, tokyo(swarm) as worker, capped(swarm, 1) as other:
            job = {"model_id": "hive-nano", "prompt": "Secret", "jurisdiction": "JP", "deadline_s": 0.05}
            await other.post("/hive/jobs", json=job | {"deadline_s": 60})
            await worker.offers.get()
            made = (await other.post("/hive/jobs", json=job)).json()
            await swarm.ended(other, made["job_id"])

            async def told() -> bool:
                """It has ended in the database a moment before the log says so."""
                return any(line["job"] == made["job_id"] for line in ends(lines))

            await eventually(told, 20, "the line of its end")
            assert (await http.get("/health")).status_code == 200
    (line,) = [line for line in ends(lines) if line["job"] == made["job_id"]]
    assert (line["state"], line["error"], line["worker"], line["run_ms"]) == ("timed_out", "job_timeout", None, None)
    assert line["queue_ms"] >= 50


async def test_lines_of_one_request_have_its_id(swarm: Swarm) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with swarm.client() as http:
            first, second = await asyncio.gather(*(http.post("/v1/chat/completions", json=CHAT) for _ in range(2)))
    accepted = {line["job"]: line["request"] for line in lines if line["event"] == "jobs are accepted"}
    assert accepted == {got.headers["x-hive-job-id"]: got.headers["x-request-id"] for got in (first, second)}
    assert {line["job"]: line["request"] for line in ends(lines)} == accepted
    assert not set(map(UUID, accepted)) & observed._requests.keys()
    assert structlog.contextvars.get_contextvars() == {}


def test_of_what_waits_for_ever_nothing_is_known_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "KNOWN", 3)
    monkeypatch.setattr(observed, "_requests", {})
    jobs = [uuid4() for _ in range(5)]
    observed.asked(jobs[:1])
    assert not observed._requests, "a batch's lines are asked for by no request"
    for job in jobs:
        with structlog.contextvars.bound_contextvars(request=f"req_{job}"):
            observed.asked([job])
    assert observed._requests == {job: f"req_{job}" for job in jobs[2:]}
