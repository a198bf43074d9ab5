"""The answer cache over HTTP: what is given again, to whom, in every shape, and that it costs nothing."""

from typing import Any

import httpx
import pytest

from tests.swarm.whole import Swarm

CHAT: dict[str, Any] = {
    "model": "hive-nano",
    "messages": [{"role": "user", "content": "What is the capital of Italy?"}],
    "temperature": 0,
    "max_tokens": 40,
}
WHERE = "/v1/chat/completions"


async def asked(http: httpx.AsyncClient, body: dict[str, Any], path: str = WHERE, **headers: str) -> httpx.Response:
    got = await http.post(path, json=body, headers={name.replace("_", "-"): said for name, said in headers.items()})
    assert got.status_code == 200, got.text
    return got


async def jobs(http: httpx.AsyncClient) -> list[str]:
    return [job["id"] for job in (await http.get("/hive/jobs")).json()["data"]]


def said(got: httpx.Response) -> tuple[str | None, str]:
    return got.headers.get("x-hive-cache"), got.headers["x-hive-job-id"]


async def available(swarm: Swarm) -> tuple[str, Any]:
    async with httpx.AsyncClient(
        base_url=swarm.admin_url, headers={"authorization": f"Bearer {swarm.admin_key}"}, timeout=30
    ) as admin:
        keys = (await admin.get("/admin/keys")).json()["data"]
        account = next(key["account_id"] for key in keys if key["name"] == "tests")
        money = (await admin.get(f"/admin/accounts/{account}")).json()
    return account, (money["held"], money["spent"])


async def test_the_same_question_is_answered_by_the_first_job(swarm: Swarm) -> None:
    async with swarm.client() as http:
        first = await asked(http, CHAT)
        assert said(first)[0] == "miss"
        _, money = await available(swarm)
        again = await asked(http, CHAT)
        assert said(again) == ("hit", said(first)[1])
        assert again.json() == first.json()
        assert await jobs(http) == [said(first)[1]]
        assert (await available(swarm))[1] == money
        job = (await http.get(f"/hive/jobs/{said(first)[1]}")).json()
    assert again.headers["x-hive-worker"] == first.headers["x-hive-worker"] == job["worker_pk"]
    assert again.headers["x-hive-cell"] == first.headers["x-hive-cell"]
    assert again.headers["x-hive-jurisdiction"] == first.headers["x-hive-jurisdiction"]


async def test_a_hit_streams_as_one_piece(swarm: Swarm) -> None:
    async with swarm.client() as http:
        whole = await asked(http, CHAT)
        streamed = await asked(http, {**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    assert said(streamed) == ("hit", said(whole)[1])
    assert streamed.headers["content-type"].startswith("text/event-stream")
    events = [event for event in streamed.text.split("\n\n") if event]
    assert events[-1] == "data: [DONE]"
    chunks = [httpx.Response(200, text=event.removeprefix("data: ")).json() for event in events[:-1]]
    texts = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    assert [text for text in texts if text] == [whole.json()["choices"][0]["message"]["content"]]
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]] == ["stop"]
    assert chunks[-1]["usage"] == whole.json()["usage"]


async def test_a_question_by_another_face_is_the_same_question(swarm: Swarm) -> None:
    anthropic = {name: CHAT[name] for name in ("model", "messages", "max_tokens", "temperature")}
    async with swarm.client() as http:
        first = await asked(http, CHAT)
        again = await asked(http, anthropic, "/v1/messages")
    assert said(again) == ("hit", said(first)[1])
    assert again.json()["content"][0]["text"] == first.json()["choices"][0]["message"]["content"]


async def test_false_asks_anew_and_what_came_is_kept(swarm: Swarm) -> None:
    async with swarm.client() as http:
        first = await asked(http, CHAT)
        anew = await asked(http, CHAT, x_hive_cache="false")
        assert said(anew)[0] == "miss"
        assert said(anew)[1] != said(first)[1]
        assert said(await asked(http, CHAT)) == ("hit", said(anew)[1])


async def test_chance_is_repeated_for_those_who_ask_for_it(swarm: Swarm) -> None:
    warm = {**CHAT, "temperature": 1}
    async with swarm.client() as http:
        for _ in range(2):
            assert said(await asked(http, warm))[0] is None
        first = await asked(http, warm, x_hive_cache="true")
        assert said(first)[0] == "miss"
        assert said(await asked(http, warm, x_hive_cache="true")) == ("hit", said(first)[1])
        assert said(await asked(http, warm))[0] is None
        seeded = await asked(http, {**warm, "seed": 7}, x_hive_cache="true")
        assert said(await asked(http, {**warm, "seed": 7}, x_hive_cache="true")) == ("hit", said(seeded)[1])
        assert said(await asked(http, {**warm, "seed": 8}, x_hive_cache="true"))[0] == "miss"


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 41},
        {"messages": [{"role": "user", "content": "What is the capital of Italy ?"}]},
        {"stop": ["x"]},
        {"jurisdiction": "EU"},
        {"min_trust_tier": "explorer"},
        {"verifiability": "seeded"},
    ],
)
async def test_what_matters_makes_another_question(swarm: Swarm, change: dict[str, Any]) -> None:
    await swarm.raise_tier(swarm.rome.key, "871e8052affffff", "explorer")
    async with swarm.worker(key=swarm.rome.key).connected(swarm.url), swarm.client() as http:
        await asked(http, CHAT)
        other = await asked(http, {**CHAT, **change})
        assert said(other)[0] == "miss"
        assert said(await asked(http, {**CHAT, **change})) == ("hit", said(other)[1])


@pytest.mark.parametrize("change", [{"n": 2}, {"logprobs": True}, {"store": True}])
async def test_what_is_never_given_again(swarm: Swarm, change: dict[str, Any]) -> None:
    async with swarm.client() as http:
        answers = [await asked(http, {**CHAT, **change}, x_hive_cache="true") for _ in range(2)]
    assert [said(got)[0] for got in answers] == [None, None]
    assert said(answers[0])[1] != said(answers[1])[1]


async def test_never_across_accounts(swarm: Swarm) -> None:
    admin = {"authorization": f"Bearer {swarm.admin_key}"}
    async with httpx.AsyncClient(base_url=swarm.admin_url, headers=admin, timeout=30) as operator:
        made = await operator.post("/admin/keys", json={"plan": "enterprise", "grant": 1})
        account, _ = await available(swarm)
        sister = await operator.post("/admin/keys", json={"plan": "enterprise", "account_id": account})
    async with swarm.client() as http:
        mine = await asked(http, CHAT)
        stranger = await asked(http, CHAT, authorization=f"Bearer {made.json()['key']}")
        assert said(stranger)[0] == "miss"
        assert said(await asked(http, CHAT, authorization=f"Bearer {sister.json()['key']}")) == ("hit", said(mine)[1])


async def test_an_idempotency_key_has_a_job_of_its_own(swarm: Swarm) -> None:
    async with swarm.client() as http:
        first = await asked(http, CHAT)
        keyed = await asked(http, CHAT, idempotency_key="once")
        assert said(keyed)[0] == "miss"
        assert said(keyed)[1] != said(first)[1]


async def test_a_hit_needs_no_worker_and_no_limit(swarm: Swarm) -> None:
    admin = {"authorization": f"Bearer {swarm.admin_key}"}
    async with httpx.AsyncClient(base_url=swarm.admin_url, headers=admin, timeout=30) as operator:
        made = (await operator.post("/admin/keys", json={"plan": "enterprise", "grant": 1, "rpm": 1})).json()
    mine = f"Bearer {made['key']}"
    async with swarm.client(authorization=mine) as http:
        first = await asked(http, CHAT)
        for session in list(swarm.hive.hub.sessions.values()):
            swarm.hive.hub.leave(session)
        for _ in range(3):
            assert said(await asked(http, CHAT)) == ("hit", said(first)[1])
        refused = await http.post(WHERE, json=CHAT, headers={"x-hive-cache": "false"})
    assert refused.status_code == 429


async def test_another_word_in_the_header_is_refused(swarm: Swarm) -> None:
    async with swarm.client() as http:
        got = await http.post(WHERE, json=CHAT, headers={"x-hive-cache": "no-store"})
    error = got.json()["error"]
    assert (got.status_code, error["code"], error["param"]) == (400, "invalid_request", "x-hive-cache")


async def test_guards_look_at_a_question_that_was_answered_before(swarm: Swarm) -> None:
    body = {**CHAT, "messages": [{"role": "user", "content": "Mail anna@studio.it"}]}
    async with swarm.client() as http:
        await asked(http, body)
        got = await http.post(WHERE, json=body, headers={"x-hive-guard": "pii"})
    assert (got.status_code, got.json()["error"]["code"]) == (403, "blocked_by_guardrail")
