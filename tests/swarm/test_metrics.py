"""What a coordinator counts, as Prometheus reads it: true, bounded however odd the requests, without a word of anybody's."""

import asyncio
import json
import re
from typing import Any

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from coordinator.api.metrics import exposition
from coordinator.observe.jobs import loss_of
from coordinator.observe.series import REGISTRY
from coordinator.queue import moves
from shared.protocol.messages import Decline, Offer
from tests.support_wait import eventually
from tests.swarm.scripted import ScriptedWorker
from tests.swarm.test_at_once import capped, tokyo
from tests.swarm.whole import Json, Swarm

JOB: Json = {"model_id": "hive-nano", "prompt": "What is the capital of Italy?", "max_tokens": 20}
CHAT: Json = {"model": "hive-nano", "messages": [{"role": "user", "content": "Hi there"}]}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def value(name: str, **labels: str) -> float:
    """What this process has counted so far."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def scraped(swarm: Swarm, accept: str = "text/plain") -> str:
    headers = {"authorization": f"Bearer {swarm.admin_key}", "accept": accept}
    async with httpx.AsyncClient(base_url=swarm.admin_url, headers=headers, timeout=30) as admin:
        return (await admin.get("/metrics")).raise_for_status().text


async def submitted(http: httpx.AsyncClient, **different: Any) -> str:
    return str((await http.post("/hive/jobs", json=JOB | different)).raise_for_status().json()["job_id"])


async def test_each_step_of_a_job_is_timed_and_counted(swarm: Swarm) -> None:
    steps = ("job_queue", "first_token", "decode", "dispatch", "submit", "commit")

    def counts() -> dict[str, float]:
        lane = {"job_queue": {"priority": "interactive"}}
        return {step: value(f"hive_{step}_seconds_count", **lane.get(step, {})) for step in steps}

    before, ended = counts(), value("hive_jobs_ended_total", state="completed", source="v1")
    tokens = {way: value("hive_tokens_total", model="hive-nano", direction=way) for way in ("in", "out")}
    async with swarm.client() as http:
        got = (await http.post("/v1/chat/completions", json=CHAT)).raise_for_status().json()
    after = counts()
    assert {step: after[step] - before[step] for step in steps if step != "commit"} == dict.fromkeys(steps[:-1], 1.0)
    assert after["commit"] > before["commit"]
    assert value("hive_jobs_ended_total", state="completed", source="v1") == ended + 1
    made = {way: value("hive_tokens_total", model="hive-nano", direction=way) - tokens[way] for way in tokens}
    assert made == {"in": got["usage"]["prompt_tokens"], "out": got["usage"]["completion_tokens"]}


async def test_an_exemplar_leads_to_the_job_where_openmetrics_is_asked_for(swarm: Swarm) -> None:
    async with swarm.client() as http:
        job = await submitted(http)
        await swarm.ended(http, job)
    families = {family.name: family for family in openmetrics(await scraped(swarm, OPENMETRICS))}  # type: ignore[no-untyped-call]
    marks = {
        sample.exemplar.labels["job"]
        for name in ("hive_job_queue_seconds", "hive_submit_seconds", "hive_dispatch_seconds")
        for sample in families[name].samples
        if sample.exemplar is not None
    }
    assert job in marks
    assert "job=" not in await scraped(swarm)


async def test_what_waits_and_who_is_there_is_looked_at_when_asked_for(swarm: Swarm) -> None:
    async with tokyo(swarm) as worker, capped(swarm, 1) as http, swarm.client() as other:
        running = await submitted(http, jurisdiction="JP")
        await worker.offers.get()
        await submitted(http, jurisdiction="JP")
        await submitted(other, h3_cell="872f5aad9ffffff", min_evidence="claimed", jurisdiction="JP", priority="batch")
        await worker.offers.get()
        await scraped(swarm)
        assert value("hive_jobs_parked") == 1
        assert value("hive_jobs_pending", priority="interactive") == value("hive_jobs_pending", priority="batch") == 0
        assert 0 < value("hive_oldest_pending_seconds") < 60
        assert (value("hive_worker_sessions"), value("hive_workers_online")) == (4, 4)
        assert (value("hive_slots", state="taken"), value("hive_slots", state="free")) == (2, 4 * 3 + 8 - 2)
        assert value("hive_database_connections", state="used") >= 0
        assert value("hive_database_connections", state="idle") > 0
        await http.delete(f"/hive/jobs/{running}")


async def declines(worker: ScriptedWorker, offer: Offer) -> None:
    await worker.send(Decline(offer.body.job_id, offer.body.attempt, "no room"))


async def test_attempts_that_come_to_nothing_are_counted_by_reason(swarm: Swarm) -> None:
    gone, again = value("hive_attempts_lost_total", reason="gone"), value("hive_job_retries_total")
    refused = value("hive_attempts_declined_total")
    async with swarm.client() as http:
        chat = CHAT | {"jurisdiction": "JP", "stream": True}
        first = swarm.worker(cell="872f5aad9ffffff", gate=asyncio.Event(), chunk=1, slots=8)
        async with AsyncExit(first, swarm) as leave:
            asking = asyncio.ensure_future(http.post("/v1/chat/completions", json=chat))
            await first.offers.get()
            await leave()
            async with swarm.worker(cell="872f5aad9ffffff").connected(swarm.url):
                assert "[DONE]" in (await asking).text
        assert value("hive_attempts_lost_total", reason="gone") == gone + 1
        assert value("hive_job_retries_total") == again + 1
        async with swarm.worker(cell="872f5aad9ffffff", script=declines).connected(swarm.url):
            job = await submitted(http, jurisdiction="JP")

            async def counted() -> bool:
                return value("hive_attempts_declined_total") > refused

            await eventually(counted, 20, "an offer that was not taken")
            await http.delete(f"/hive/jobs/{job}")
    assert value("hive_jobs_ended_total", state="cancelled", source="hive") >= 1


def test_what_we_say_of_a_lost_attempt_is_not_counted_as_the_workers_word() -> None:
    ours = (moves.LEASE_OVER, "no progress for 15 s", "the worker went away", "the worker forgot it")
    assert [loss_of(reason) for reason in ours] == ["lease", "silent", "gone", "forgotten"]
    assert loss_of("rejected: a receipt") == "rejected"
    assert loss_of("out of memory") == "worker"


class AsyncExit:
    """A connected worker that can be made to leave before the block is over."""

    def __init__(self, worker: ScriptedWorker, swarm: Swarm) -> None:
        self._connected = worker.connected(swarm.url)
        self._there = False

    async def __aenter__(self) -> Any:
        await self._connected.__aenter__()
        self._there = True
        return self.leave

    async def leave(self) -> None:
        if self._there:
            self._there = False
            await self._connected.__aexit__(None, None, None)

    async def __aexit__(self, *_: object) -> None:
        await self.leave()


async def test_refusals_are_counted_by_their_codes(swarm: Swarm) -> None:
    codes = ("no_workers", "invalid_model", "not_found", "blocked_by_guardrail", "invalid_request", "unauthorized")
    before = {code: value("hive_errors_total", code=code) for code in codes}
    guarded = value("hive_guard_refusals_total", guard="pii")
    async with swarm.client() as http, swarm.client(authorization="Bearer nobody") as stranger:
        await http.post("/v1/chat/completions", json=CHAT | {"min_trust_tier": "sovereign"})
        await http.post("/v1/chat/completions", json=CHAT | {"model": "gpt-5"})
        await http.get("/nowhere")
        mail = CHAT | {"messages": [{"role": "user", "content": "Charge 4111 1111 1111 1111"}]}
        assert (await http.post("/v1/chat/completions", json=mail, headers={"x-hive-guard": "pii"})).status_code == 403
        await http.post("/v1/chat/completions", json=CHAT | {"temperature": 9})
        await stranger.get("/hive/jobs")
    after = {code: value("hive_errors_total", code=code) for code in codes}
    assert {code: after[code] - before[code] for code in codes} | {"unauthorized": 1} == dict.fromkeys(codes, 1)
    assert value("hive_guard_refusals_total", guard="pii") == guarded + 1


async def test_an_answer_that_is_given_again_is_counted(swarm: Swarm) -> None:
    def counts() -> tuple[float, float]:
        return value("hive_answer_cache_total", result="miss"), value("hive_answer_cache_total", result="hit")

    missed, hit = counts()
    async with swarm.client() as http:
        asked = CHAT | {"temperature": 0, "messages": [{"role": "user", "content": "Once"}]}
        for _ in range(2):
            (await http.post("/v1/chat/completions", json=asked)).raise_for_status()
    assert counts() == (missed + 1, hit + 1)


async def test_how_late_the_event_loop_is_shows_as_long_as_a_coordinator_runs(swarm: Swarm) -> None:
    looked = value("hive_event_loop_lag_seconds_count")

    async def more() -> bool:
        return value("hive_event_loop_lag_seconds_count") >= looked + 2

    await eventually(more, 20, "two looks at the event loop")


METHODS = ("GET", "POST", "DELETE", "PUT", "BREW", "PATCH")


async def test_no_series_is_made_by_what_callers_make_up(swarm: Swarm) -> None:
    """After 1 000 odd requests there are no more series than after the first few of each sort; what tests of this process made
    before, with other models, is not these requests' doing."""

    async def odd(http: httpx.AsyncClient, start: int, many: int) -> None:
        for number in range(start, start + many):
            match number % 6:
                case 0:
                    await http.request(METHODS[number // 6 % 6], f"/nowhere/{number}?{number}")
                case 1:
                    await http.post("/v1/chat/completions", json=CHAT | {"model": f"model-{number}"})
                case 2:
                    await http.get(f"/hive/jobs/{number:08d}-0000-4000-8000-000000000000/why")
                case 3:
                    body = CHAT | {"user": f"u{number}", "jurisdiction": f"{number}", "min_trust_tier": f"t{number}"}
                    await http.post("/v1/chat/completions", json=body, headers={"x-hive-guard": f"g{number}"})
                case 4:
                    await http.get(f"/v1/models/{number}", headers={"x-request-id": f"{number}"})
                case _:
                    await http.get(
                        f"/hive/workers/{number}", headers={"traceparent": f"00-{number:032x}-{number:016x}-01"}
                    )

    others = series(await scraped(swarm))
    async with swarm.client() as http:
        await swarm.ended(http, await submitted(http))
        await odd(http, 0, 36)
        before = series(await scraped(swarm))
        await odd(http, 36, 1000)
        after = series(await scraped(swarm))
    assert after - before == set()
    assert len(after - others) < 1500


def series(text: str) -> set[str]:
    return {
        f"{sample.name}{json.dumps(sample.labels, sort_keys=True)}"
        for family in plain(text)
        for sample in family.samples
    }


async def test_no_label_says_what_was_asked_or_by_whom(swarm: Swarm) -> None:
    async with swarm.client() as http:
        await swarm.ended(http, await submitted(http, prompt="a most abracadabra prompt"))
    text = await scraped(swarm, OPENMETRICS)
    assert "abracadabra" not in text
    assert swarm.api_key not in text
    assert not re.search(r"[0-9a-f]{64}", text), "a worker's key"
    body, kind = exposition("")
    assert kind.startswith("text/plain")
    assert b"# HELP hive_job_queue_seconds" in body
