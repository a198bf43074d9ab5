"""The routes of files and batches keep the manners of all others: HEAD, trailing slashes, pages of other origins, and two
requests at once where nothing was before."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from coordinator.store.engine import Engine
from tests.swarm.batching import CHAT, chat, jsonl
from tests.swarm.http_hive import Served, make_key, serving

FILE = {"file": ("a.jsonl", jsonl([chat()]))}
PURPOSE = {"purpose": "batch"}


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as made:
        yield made


def client(served: Served, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=served.base_url, headers={"authorization": f"Bearer {key}"}, timeout=20)


async def begun(http: httpx.AsyncClient, prefix: str = "/v1") -> tuple[str, str]:
    """A file and a batch that reads it."""
    file = (await http.post(f"{prefix}/files", files=FILE, data=PURPOSE)).raise_for_status().json()["id"]
    body = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
    return file, (await http.post(f"{prefix}/batches", json=body)).raise_for_status().json()["id"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_head_trailing_slashes_and_pages_of_other_origins(served: Served, prefix: str) -> None:
    async with served.client() as http:
        file, batch = await begun(http, prefix)
        for path in ("/files", f"/files/{file}", f"/files/{file}/content", "/batches", f"/batches/{batch}"):
            for written in (f"{prefix}{path}", f"{prefix}{path}/"):
                full, head = await http.get(written), await http.head(written)
                assert (full.status_code, head.status_code, head.content) == (200, 200, b""), written
                assert full.headers["access-control-allow-origin"] == "*"
                assert "x-request-id" in full.headers["access-control-expose-headers"]
        page = {"origin": "https://example.org", "access-control-request-headers": "authorization, content-type"}
        for path in ("/files", f"/files/{file}", "/batches", f"/batches/{batch}/cancel"):
            told = await http.options(f"{prefix}{path}", headers=page)
            assert told.status_code == 200
            assert "DELETE" in told.headers["access-control-allow-methods"]
            assert "authorization" in told.headers["access-control-allow-headers"]
        assert (await http.post(f"{prefix}/batches/{batch}/cancel/")).json()["status"] == "cancelling"
        assert (await http.post(f"{prefix}/files/", files=FILE, data=PURPOSE)).status_code == 200
        for path in ("/files", f"/files/{file}", "/batches", f"/batches/{batch}"):
            wrong = await http.put(f"{prefix}{path}")
            assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
            assert "GET" in wrong.headers["allow"]


async def test_two_first_requests_of_a_new_key_at_once(served: Served) -> None:
    key = await make_key(served.hive, rpm=3, tpm=100_000)
    async with client(served, key) as http:
        file, other = await asyncio.gather(begun(http), begun(http))
        assert len({*file, *other}) == 4, "whoever asks twice means it"
        listed = (await http.get("/v1/batches")).json()["data"]
        assert {one["id"] for one in listed} == {file[1], other[1]}


async def test_two_that_an_sdk_sends_at_once_become_one_batch(served: Served, engine: Engine) -> None:
    async with served.client() as http:
        file = (await http.post("/v1/files", files=FILE, data=PURPOSE)).json()["id"]
        body = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
        again = {"x-stainless-retry-count": "1"}
        both = await asyncio.gather(*(http.post("/v1/batches", json=body, headers=again) for _ in range(2)))
        made = {got.raise_for_status().json()["id"] for got in both}
        assert (await http.post("/v1/batches", json=body)).json()["id"] not in made, "whoever asks twice means it"
    assert len(made) == 1
    async with engine.connect() as conn:
        assert await conn.scalar(text("SELECT count(*) FROM batches")) == 2
