"""Plans over HTTP: what is left in every answer's headers, 429 and its end, scopes, ends of keys, and a caller's own view."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.store.engine import Engine
from coordinator.submit.limits import UNLIMITED_SHOWN
from tests.swarm.http_hive import MODEL, Served, make_key, online, serving
from tests.swarm.test_http_jobs import JOB, error_of

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "one two three"}], "max_tokens": 7}


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        running.hive.join(online("rome"))
        running.hive.stopped = running.hive.clock()
        yield running


def with_key(served: Served, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=served.base_url, headers={"authorization": f"Bearer {key}"}, timeout=20)


def said(answer: httpx.Response, of: str) -> tuple[int, int, datetime]:
    """Limit, remaining and reset of `requests` or `tokens`."""
    shown = [answer.headers[f"x-ratelimit-{what}-{of}"] for what in ("limit", "remaining", "reset")]
    assert shown[2].endswith("Z")
    return int(shown[0]), int(shown[1]), datetime.fromisoformat(shown[2])


async def chat(served: Served, http: httpx.AsyncClient, text: str = "hi", **more: Any) -> httpx.Response:
    """A chat whose worker says this."""
    asked = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT | more))
    job = await served.hive.accepted()
    served.hive.say(job, 0, text)
    await served.hive.complete(job, text, 1)
    return await asked


async def test_a_key_without_a_plan_has_60_requests_and_150000_tokens(served: Served) -> None:
    async with with_key(served, await make_key(served.hive, plan=None)) as http:
        before = await http.get("/v1/models")
        assert said(before, "requests")[:2] == (60, 60)
        assert said(before, "tokens")[:2] == (150_000, 150_000)
        answer = await chat(served, http, max_tokens=2000)
        assert answer.status_code == 200
        assert said(answer, "requests")[:2] == (60, 59)
        assert 150_000 - 2003 <= said(answer, "tokens")[1] < 150_000
        assert timedelta() < said(answer, "requests")[2] - served.hive.clock() <= timedelta(seconds=2)
        assert said(await http.get("/hive/jobs"), "requests")[1] == 59


async def test_an_unlimited_key_is_told_so_everywhere(served: Served) -> None:
    async with served.client() as http:
        stream = await chat(served, http, stream=True)
        answers = [
            stream,
            await http.get("/v1/models"),
            await http.get("/hive/jobs/nonsense"),
            await http.post("/hive/jobs"),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 400]
    for answer in (answers[0], answers[1], answers[3]):
        assert said(answer, "requests")[:2] == said(answer, "tokens")[:2] == (UNLIMITED_SHOWN, UNLIMITED_SHOWN)


async def test_no_key_is_told_nothing_and_pages_may_read_the_rest(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.base_url) as http:
        refused = await http.get("/v1/models")
    assert refused.status_code == 401
    assert not any(name.startswith("x-ratelimit") for name in refused.headers)
    exposed = refused.headers["access-control-expose-headers"].split(", ")
    assert {f"x-ratelimit-{a}-{b}" for a in ("limit", "remaining", "reset") for b in ("requests", "tokens")} <= set(
        exposed
    )


async def test_over_the_limit_is_429_until_time_has_passed(served: Served) -> None:
    async with with_key(served, await make_key(served.hive, rpm=2)) as http:
        for _ in range(2):
            assert (await http.post("/hive/jobs", json=JOB)).status_code == 201
        refused = await http.post("/hive/jobs", json=JOB)
        assert (refused.status_code, error_of(refused)["code"]) == (429, "rate_limit_exceeded")
        assert error_of(refused)["type"] == "rate_limit_error"
        wait = int(refused.headers["retry-after"])
        assert 28 <= wait <= 30
        assert said(refused, "requests")[:2] == (2, 0)
        assert (await http.get("/hive/jobs")).status_code == 200
        served.hive.late += timedelta(seconds=wait)
        answers = [await http.post("/hive/jobs", json=JOB) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 429]


async def test_the_free_plan_counts_its_messages_by_the_day(served: Served) -> None:
    async with with_key(served, await make_key(served.hive, plan="free")) as http:
        first = await http.post("/hive/jobs", json=JOB)
        assert said(first, "requests")[:2] == (50, 49)
        tomorrow = (served.hive.clock() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        assert said(first, "requests")[2] == tomorrow
        assert said(first, "tokens")[0] == UNLIMITED_SHOWN


async def test_what_is_refused_costs_nothing(served: Served) -> None:
    async with with_key(served, await make_key(served.hive, rpm=5, tpm=3000)) as http:
        for body in ({}, {**JOB, "model_id": "other"}, {**JOB, "jurisdiction": "JP"}, {**JOB, "gns_reward": 5000}):
            assert (await http.post("/hive/jobs", json=body)).status_code in (400, 403, 503)
        for _ in range(2):
            kept = await http.post("/hive/jobs", json=JOB, headers={"idempotency-key": "same"})
            assert kept.status_code == 201
        assert said(kept, "requests")[1] == 4


async def test_what_can_never_fit_says_so(served: Served) -> None:
    async with with_key(served, await make_key(served.hive, tpm=100)) as http:
        refused = await http.post("/v1/chat/completions", json=CHAT | {"max_tokens": 98})
        assert (refused.status_code, error_of(refused)["param"]) == (400, "max_tokens")
        assert "never fit" in error_of(refused)["message"]
        left_out = {name: value for name, value in CHAT.items() if name != "max_tokens"}
        asked = asyncio.create_task(http.post("/v1/chat/completions", json=left_out))
        job = await served.hive.accepted()
        assert (job.tokens_in, job.max_tokens) == (3, 97)
        await served.hive.complete(job, "hi", 1)
        assert (await asked).status_code == 200


async def test_scopes(served: Served) -> None:
    only = {scope: await make_key(served.hive, scopes=[scope]) for scope in ("inference", "jobs", "read")}
    allowed = {}
    for scope, key in only.items():
        async with with_key(served, key) as http:
            answers = {
                "models": await http.get("/v1/models"),
                "key": await http.get("/hive/key"),
                "list": await http.get("/hive/jobs"),
                "secret": await http.get("/hive/webhook-secret"),
                "submit": await http.post("/hive/jobs", json={}),
                "cancel": await http.delete(f"/hive/jobs/{'0' * 8}-0000-0000-0000-{'0' * 12}"),
                "chat": await http.post("/v1/chat/completions", json={}),
            }
        allowed[scope] = {name for name, answer in answers.items() if answer.status_code != 403}
        for answer in answers.values():
            assert answer.status_code != 403 or error_of(answer)["code"] == "scope_not_allowed"
            assert "x-ratelimit-limit-requests" in answer.headers
    assert allowed == {
        "inference": {"models", "key", "chat"},
        "jobs": {"models", "key", "list", "secret", "submit", "cancel"},
        "read": {"models", "key", "list"},
    }


async def test_a_key_ends(served: Served) -> None:
    key = await make_key(served.hive, expires_at=served.hive.clock() + timedelta(hours=1))
    async with with_key(served, key) as http:
        assert (await http.get("/v1/models")).status_code == 200
        served.hive.late += timedelta(hours=1)
        refused = await http.get("/v1/models")
        assert (refused.status_code, error_of(refused)["code"]) == (401, "invalid_api_key")
        assert "expired" in error_of(refused)["message"]
        assert error_of(await http.get("/hive/jobs"))["code"] == "unauthorized"


async def test_a_caller_sees_its_own_key(served: Served) -> None:
    async with with_key(served, await make_key(served.hive, models=[MODEL], plan=None, at_once=3)) as http:
        await http.post("/hive/jobs", json=JOB)
        shown = (await http.get("/hive/key")).json()
        assert (shown["plan"], shown["models"], shown["budget"]) == (None, [MODEL], None)
        assert shown["limits"] == {"requests": 60, "daily": False, "tokens": 150_000, "at_once": 3}
        assert shown["remaining"]["requests"]["remaining"] == 59
        assert shown["scopes"] == ["inference", "jobs", "read"]


async def test_a_rotated_key_has_two_secrets_until_the_overlap_ends(served: Served) -> None:
    admin = {"authorization": f"Bearer {served.admin_key}"}
    async with httpx.AsyncClient(base_url=served.admin_url, headers=admin, timeout=20) as operator:
        made = (await operator.post("/admin/keys", json={"plan": "pro", "budget": 5})).json()
        turned = await operator.post(f"/admin/keys/{made['prefix']}/rotate", json={"overlap_s": 3600})
        assert turned.status_code == 201
        assert turned.headers["cache-control"] == "no-store"
        second = turned.json()
        assert (second["id"], second["old_prefix"]) == (made["id"], made["prefix"])

        async def works(secret: str) -> bool:
            async with with_key(served, secret) as http:
                answer = await http.get("/hive/key")
            assert answer.status_code == 401 or answer.json()["id"] == made["id"]
            return answer.status_code == 200

        assert [await works(made["key"]), await works(second["key"])] == [True, True]
        served.hive.late += timedelta(hours=1)
        assert [await works(made["key"]), await works(second["key"])] == [False, True]
        third = (await operator.post(f"/admin/keys/{made['id']}/rotate", json={"overlap_s": 0})).json()
        assert await works(third["key"])
        listed = (await operator.get("/admin/keys")).json()["data"]
        assert {row["prefix"] for row in listed if row["id"] == made["id"]} == {third["prefix"]}
        assert (await operator.delete(f"/admin/keys/{third['prefix']}")).status_code == 200
        refused = await operator.post(f"/admin/keys/{made['id']}/rotate")
        assert (refused.status_code, "revoked" in error_of(refused)["message"]) == (400, True)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"plan": "gold"}, "plan"),
        ({"plan": "free", "rpm": 5}, "rpm"),
        ({"rpm": 0}, "rpm"),
        ({"tpm": 10**10}, "tpm"),
        ({"scopes": ["write"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"recharge": 1}, "budget"),
        ({"recharge_daily": 1, "budget": 1}, "recharge"),
        ({"recharge": 0, "budget": 1}, "recharge"),
        ({"recharge": 1, "recharge_daily": 0, "budget": 1}, "recharge_daily"),
    ],
)
async def test_keys_that_cannot_be_made(served: Served, wrong: dict[str, Any], param: str) -> None:
    admin = {"authorization": f"Bearer {served.admin_key}"}
    async with httpx.AsyncClient(base_url=served.admin_url, headers=admin, timeout=20) as operator:
        refused = await operator.post("/admin/keys", json=wrong)
    assert (refused.status_code, error_of(refused)["param"]) == (400, param)
