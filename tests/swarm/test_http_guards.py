"""Guards in front of every way to a model, and what they say of themselves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coordinator.store.engine import Engine
from tests.swarm.http_hive import MODEL, Served, entry, online, serving

SECRET = "anna.rossi@studio-legale.it"
ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"model": MODEL, "messages": [{"role": "user", "content": f"Write to {SECRET}."}]}),
    ("/v1/completions", {"model": MODEL, "prompt": ["Hello.", f"Write to {SECRET}."]}),
    ("/hive/jobs", {"model_id": MODEL, "prompt": f"Write to {SECRET}."}),
]
GUARDED = {"guards": ["pii", "toxicity"]}


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        running.hive.join(online("rome"))
        yield running


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_named_guard_refuses_and_nothing_is_made(served: Served, path: str, body: dict[str, Any]) -> None:
    async with served.client() as http:
        got = await http.post(path, json=body, headers={"x-hive-guard": "toxicity,pii"})
    error = got.json()["error"]
    assert (got.status_code, error["code"], error["type"]) == (403, "blocked_by_guardrail", "permission_error")
    assert error["details"] == {"guard": "pii", "kind": "e-mail"}
    assert error["param"] in ("messages[0]", "prompt")
    assert "check digits" in error["message"]
    assert "anna" not in got.text
    assert served.hive.writer.accepted.empty()


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_an_unknown_guard_is_refused(served: Served, path: str, body: dict[str, Any]) -> None:
    async with served.client() as http:
        got = await http.post(path, json=body, headers={"x-hive-guard": "pii,secrets"})
    assert (got.status_code, got.json()["error"]["code"]) == (400, "invalid_request")
    assert "none, pii, prompt-injection, toxicity" in got.json()["error"]["message"]


async def test_the_operators_guards_and_none(engine: Engine, tmp_path: Path) -> None:
    path, body = ROUTES[0]
    async with serving(engine, tmp_path, **GUARDED) as served:
        served.hive.join(online("rome"))
        async with served.client() as http:
            assert (await http.post(path, json=body)).status_code == 403
            for header in ("none", "toxicity", "prompt-injection"):
                asking = asyncio.create_task(http.post(path, json=body, headers={"x-hive-guard": header}))
                job = await served.hive.accepted()
                served.hive.assign(job, online("rome"))
                await served.hive.complete(job, "done", 1)
                assert (await asking).status_code == 200
            shown = (await http.get("/hive/guards")).json()
    assert shown["default"] == ["pii", "toxicity"]


async def test_guards_say_how_they_decide_and_what_they_miss(served: Served) -> None:
    async with served.client(trust_env=False) as http:
        shown = (await http.get("/hive/guards", headers={"authorization": ""})).json()
    assert shown["default"] == []
    assert [guard["name"] for guard in shown["data"]] == ["prompt-injection", "toxicity", "pii"]
    assert all(len(guard["method"]) > 40 and len(guard["limits"]) > 40 for guard in shown["data"])


async def test_a_guard_model_sees_what_it_is_to_judge(engine: Engine, tmp_path: Path) -> None:
    body = {"input": f"You are an idiot, and your mail is {SECRET}."}
    async with serving(engine, tmp_path, **GUARDED) as served:
        served.hive.catalogue["judge"] = msgspec.structs.replace(entry(), id="judge", guard=True)
        served.hive.vocabularies["judge"] = served.hive.vocabularies[MODEL]
        rome = online("rome")
        rome.facts = msgspec.structs.replace(rome.facts, models={"judge": rome.facts.models[MODEL]})
        served.hive.join(rome)
        async with served.client() as http:
            asking = asyncio.create_task(http.post("/v1/moderations", json=body))
            job = await served.hive.accepted()
            assert job.model == "judge"
            asking.cancel()
            await asyncio.wait([asking])
            refused = await http.post("/v1/moderations", json=body, headers={"x-hive-guard": "pii"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "blocked_by_guardrail")
