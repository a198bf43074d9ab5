"""What all routes share: keys, errors, CORS, HEAD; the public routes, and the operator's listener."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from coordinator.api.app import DESCRIBED
from coordinator.api.operations import OPERATIONS
from coordinator.api.swarm import Snapshot, Swarm
from coordinator.store.engine import Engine
from tests.swarm.http_hive import MODEL, Served, make_key, online, serving
from tests.swarm.test_http_jobs import JOB, error_of


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        yield running


async def test_keys(served: Served) -> None:
    served.hive.join(online("rome"))
    bare = httpx.AsyncClient(base_url=served.base_url, timeout=20)
    async with bare:
        for headers in ({}, {"authorization": "Bearer nonsense"}, {"authorization": "Basic abc"}):
            answer = await bare.get("/hive/jobs", headers=headers)
            assert (answer.status_code, error_of(answer)["code"]) == (401, "unauthorized")
            answer = await bare.get("/v1/models", headers=headers)
            assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")
        for headers in ({"x-api-key": served.api_key}, {"authorization": f"Token {served.api_key}"}):
            assert (await bare.get("/hive/jobs", headers=headers)).status_code == 200
        narrow = await make_key(served.hive, models=["another"])
        answer = await bare.post("/hive/jobs", json=JOB, headers={"x-api-key": narrow})
        assert (answer.status_code, error_of(answer)["code"]) == (403, "model_not_allowed")


async def test_routes_methods_and_bodies_fail_in_the_one_shape(served: Served) -> None:
    async with served.client() as http:
        cases = [
            (await http.get("/nowhere"), 404, "not_found"),
            (await http.get("/hive/jobs/not-a-uuid"), 404, "not_found"),
            (await http.post("/v1/vector_stores", json={}), 404, "not_found"),
            (await http.put("/hive/jobs", json={}), 405, "method_not_allowed"),
            (await http.post("/hive/jobs", content=b"{"), 400, "invalid_request"),
            (await http.post("/hive/jobs", content=b"[]"), 400, "invalid_request"),
            (await http.post("/hive/jobs", json=JOB | {"prompt": "x" * (4 << 20)}), 413, "request_too_large"),
            (await http.post("/v1/embeddings", content=b"{" + b" " * (4 << 20)), 413, "request_too_large"),
            (await http.get(f"/hive/receipts/{uuid4()}"), 404, "not_found"),
            (await http.get("/hive/workers/abc"), 404, "not_found"),
        ]
    for answer, status, code in cases:
        assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    assert "/v1/vector_stores" in error_of(cases[2][0])["message"]
    assert "yet" in error_of(cases[2][0])["message"]
    assert {"GET", "POST"} <= set(cases[3][0].headers["allow"].replace(" ", "").split(","))


async def test_a_bug_is_ours_and_says_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.hive, "hub", None)
    async with served.client() as http:
        answer = await http.post("/hive/jobs", json={**JOB, "prompt": "a secret"})
    assert (answer.status_code, error_of(answer)["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


async def test_cors_head_and_trailing_slash(served: Served) -> None:
    async with served.client() as http:
        asked = {
            "origin": "https://example.org",
            "access-control-request-headers": "authorization, x-hive-jurisdiction",
        }
        preflight = await http.options("/v1/chat/completions", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "x-hive-jurisdiction" in preflight.headers["access-control-allow-headers"]
        for path in ("/hive/status", "/hive/status/", "/v1/models/"):
            full, head = await http.get(path), await http.head(path)
            assert (full.status_code, head.status_code, head.content) == (200, 200, b"")
            assert full.headers["access-control-allow-origin"] == "*"


async def test_anthropics_clients_find_their_name_of_a_request(served: Served) -> None:
    async with served.client() as http:
        for path in ("/v1/messages", "/messages/count_tokens", "/v1/messages/nowhere"):
            got = await http.post(path, json={})
            assert got.headers["request-id"] == got.headers["x-request-id"]
            assert got.json()["type"] == "error"
            assert "request-id" in got.headers["access-control-expose-headers"].split(", ")
        assert "request-id" not in (await http.get("/health")).headers


async def test_the_public_routes(served: Served) -> None:
    served.hive.join(online("rome"))
    bare = httpx.AsyncClient(base_url=served.base_url, timeout=20)
    async with bare:
        status = (await bare.get("/hive/status")).json()
        six = {
            "active_nodes",
            "total_tflops",
            "computing_nodes",
            "avg_ram_gb",
            "active_h3_cells",
            "total_tokens_distributed",
        }
        assert status.keys() > six
        assert status["ledger"] == "local"
        models = (await bare.get("/hive/models")).json()["data"]
        assert [(m["id"], m["workers_online"], m["datacenters"]) for m in models] == [
            (MODEL, 1, [{"country_code": "IT"}])
        ]
        assert (await bare.get("/hive/workers")).status_code == 200
        assert (await bare.get("/health")).json()["status"] == "ok"
        document = (await bare.get("/openapi.json")).json()
        assert document["paths"]["/hive/jobs"]["post"]["requestBody"]
        page = await bare.get("/")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "http" not in page.text.replace("http-equiv", "")


async def test_a_probe_asks_the_database_for_a_sign_of_life_and_reads_no_worker(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(_: Swarm) -> Snapshot:
        raise AssertionError("the swarm is read")

    monkeypatch.setattr(Swarm, "_read", read)
    async with served.client() as http:
        assert (await http.get("/health")).json()["status"] == "ok"


async def test_a_probe_says_that_the_database_holds_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_: Engine) -> bool:
        return False

    monkeypatch.setattr("coordinator.api.swarm.has_tables", none)
    async with served.client() as http:
        got = await http.get("/health")
    assert (got.status_code, error_of(got)["code"]) == (503, "database_away")


async def test_the_operators_listener(served: Served) -> None:
    admin = {"authorization": f"Bearer {served.admin_key}"}
    async with httpx.AsyncClient(base_url=served.admin_url, timeout=20) as http:
        for headers in ({}, {"authorization": f"Bearer {served.api_key}"}):
            for path in ("/admin/keys", "/metrics"):
                assert (await http.get(path, headers=headers)).status_code == 401
        made = await http.post("/admin/keys", json={"name": "ci", "grant": "0.5", "budget": "0.1"}, headers=admin)
        assert made.status_code == 201, made.text
        key = made.json()
        listed = (await http.get("/admin/keys", headers=admin)).json()["data"]
        assert [(k["budget"], k["name"]) for k in listed if k["id"] == key["id"]] == [(0.1, "ci")]
        assert key["key"] not in str(listed)
        granted = await http.post(f"/admin/accounts/{key['account_id']}/grant", json={"gns": 1.5}, headers=admin)
        assert granted.json()["available"] == 2
        assert (await http.post(f"/admin/accounts/{uuid4()}/grant", json={"gns": 1}, headers=admin)).status_code == 404
        served.hive.join(online("rome"))
        mine = {"authorization": f"Bearer {key['key']}"}
        async with served.client() as public:
            dear = await public.post("/hive/jobs", json={**JOB, "gns_reward": 0.2}, headers=mine)
            assert (dear.status_code, error_of(dear)["code"]) == (402, "budget_exceeded")
        revoked = await http.delete(f"/admin/keys/{key['id']}", headers=admin)
        assert revoked.json()["revoked_at"] is not None
        text = (await http.get("/metrics", headers=admin)).text
        assert "hive_http_requests_total" in text
        assert "x-request-id" in revoked.headers
        assert "access-control-allow-origin" not in revoked.headers


def test_every_route_is_in_the_document() -> None:
    routed = {
        (method.lower(), path.replace(":uuid", "").replace(":str", "").replace(":path", ""))
        for handler in DESCRIBED
        for path in handler.paths
        for method in handler.http_methods
    }
    bare = {(method, path) for method, path in routed if (method, f"/v1{path}") in routed}
    assert routed - bare == {(operation.method, operation.path) for operation in OPERATIONS}
