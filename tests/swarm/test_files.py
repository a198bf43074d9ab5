"""Files by the official client and by hand: what comes in is what goes out, for its account alone, and never in memory."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import text

from coordinator.batch import rounds
from coordinator.openai import uploading
from coordinator.store import files
from coordinator.store.engine import Engine
from tests.support_wait import eventually
from tests.swarm.batching import begun, chat, jsonl
from tests.swarm.http_hive import Served, make_key, serving
from tests.swarm.lane import lane
from tests.swarm.responding import client_of
from tests.swarm.whole import coordinating

MIB = 2**20
BOUNDARY = "multipart/form-data; boundary=XyZ"


async def form(data: bytes, times: int = 1, purpose: str = "batch") -> AsyncIterator[bytes]:
    """A form with so many times these bytes in its file, as it comes."""
    yield b'--XyZ\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n%b\r\n' % purpose.encode()
    yield b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    for _ in range(times):
        yield data
    yield b"\r\n--XyZ--\r\n"


async def upload(http: httpx.AsyncClient, body: AsyncIterator[bytes], **headers: str) -> httpx.Response:
    return await http.post("/v1/files", content=body, headers={"content-type": BOUNDARY, **headers})


async def rows(engine: Engine) -> tuple[int, int]:
    """How many files and pieces of files there are."""
    async with engine.connect() as conn:
        both = text("SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM file_chunks)")
        found, pieces = (await conn.execute(both)).one()
        return found, pieces


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path, file_quota=8 * MIB) as made:
        yield made


def client(served: Served, key: str | None = None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{served.base_url}/v1", api_key=key or served.api_key, max_retries=0)


async def test_what_comes_in_goes_out(served: Served) -> None:
    data = bytes(range(256)) * 3000  # three pieces
    async with client(served) as hive, served.client() as http:
        made = await hive.files.create(
            file=("übung.jsonl", data), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        assert (made.bytes, made.filename, made.purpose, made.status) == (
            len(data), "übung.jsonl", "batch", "processed",
        )  # fmt: skip
        assert made.expires_at == made.created_at + 3600
        assert await hive.files.retrieve(made.id) == made
        content = await hive.files.content(made.id)
        assert content.content == data
        assert "filename*=UTF-8''%C3%BCbung.jsonl" in content.response.headers["content-disposition"]
        for header, part in (("bytes=5-9", data[5:10]), ("bytes=262143-262145", data[262143:262146])):
            got = await http.get(f"/v1/files/{made.id}/content", headers={"range": header})
            assert (got.status_code, got.content) == (206, part)
            assert got.headers["content-range"] == f"{header.replace('=', ' ')}/{len(data)}"
        assert (await http.head(f"/files/{made.id}/content")).headers["content-length"] == str(len(data))
        gone = await hive.files.delete(made.id)
        assert (gone.id, gone.object, gone.deleted) == (made.id, "file", True)
        with pytest.raises(openai.NotFoundError):
            await hive.files.content(made.id)
        assert not (await hive.files.list()).data
    async with served.hive.engine.begin() as conn:
        now = served.hive.clock()
        assert (await files.purge_pieces(conn, now, 10), await files.purge(conn, now, 10)) == (3, 1)


async def test_an_empty_file(served: Served) -> None:
    async with client(served) as hive:
        made = await hive.files.create(file=("empty", b""), purpose="batch")
        assert (made.bytes, (await hive.files.content(made.id)).content) == (0, b"")


async def test_a_list_by_pages(served: Served) -> None:
    async with client(served) as hive:
        made = [(await hive.files.create(file=(f"{n}", b"x"), purpose="batch")).id for n in range(5)]
        assert [one.id async for one in hive.files.list()] == made[::-1]
        assert [one.id async for one in hive.files.list(order="asc", limit=2)] == made
        assert [one.id async for one in hive.files.list(limit=2, after=made[3])] == made[2::-1]
        assert [one.id async for one in hive.files.list(purpose="batch_output")] == []
        for wrong in ({"limit": 0}, {"limit": 10_001}, {"order": "up"}):
            with pytest.raises(openai.BadRequestError):
                await hive.files.list(**wrong)
        with pytest.raises(openai.NotFoundError):
            await hive.files.list(after="file-" + "0" * 32)


async def told_of(served: Served, size: int) -> str:
    """What is answered to the head of an upload of this size."""
    address = httpx.URL(served.base_url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.api_key}\r\ncontent-type: {BOUNDARY}\r\n"
    )
    writer.write(f"{head}content-length: {size}\r\n\r\n".encode())
    try:
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


@pytest.mark.parametrize("purpose", ["assistants", "fine-tune", "vision", "user_data", "evals", "batch_output"])
async def test_other_purposes_are_refused_by_name(served: Served, purpose: Any) -> None:
    async with client(served) as hive:
        with pytest.raises(openai.BadRequestError, match=purpose) as refused:
            await hive.files.create(file=("a", b"x" * MIB), purpose=purpose)
    assert refused.value.param == "purpose"
    assert await rows(served.hive.engine) == (0, 0)


async def test_what_is_no_upload(served: Served) -> None:
    async with client(served) as hive, served.client() as http:
        for expiry in ({"anchor": "last_used", "seconds": 3600}, {"anchor": "created_at", "seconds": 60}):
            with pytest.raises(openai.BadRequestError):
                await hive.files.create(file=("a", b"x"), purpose="batch", expires_after=expiry)  # type: ignore[arg-type]
        assert (await http.post("/v1/files", json={"purpose": "batch"})).status_code == 400
        assert (await http.post("/v1/files", data={"purpose": "batch"})).status_code == 400
        missing = await http.post("/v1/files", files={"file": ("a", b"x")})
        assert (missing.status_code, missing.json()["error"]["param"]) == (400, "purpose")
        bad = await http.post("/v1/files", files={"file": ("a", b"x")}, headers={"authorization": "Bearer no"})
        assert (bad.status_code, bad.json()["error"]["code"]) == (401, "invalid_api_key")
        for id_ in ("file-1", "batch_1", "file-" + "g" * 32, "%00"):
            assert (await http.get(f"/v1/files/{id_}")).status_code == 404
    assert await rows(served.hive.engine) == (0, 0)


async def test_too_much_is_refused_whether_or_not_it_was_announced(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "MAX_FILE", 2 * MIB)
    async with served.client() as http:
        for body, headers in (
            (form(b"x" * MIB, 3), {}), (form(b"x" * MIB, 3), {"transfer-encoding": "chunked"}),
        ):  # fmt: skip
            refused = await upload(http, body, **headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (413, "request_too_large")
        assert (await upload(http, form(b"x" * MIB, 2))).status_code == 200
    assert await told_of(served, 300 * MIB) == "HTTP/1.1 413 Request Entity Too Large"
    assert (await rows(served.hive.engine))[0] == 1


async def test_the_quota_holds_for_what_is_there_and_on_its_way(served: Served) -> None:
    other = await make_key(served.hive)
    async with client(served) as hive, client(served, other) as stranger:
        kept = await hive.files.create(file=("a", b"x" * 5 * MIB), purpose="batch")
        with pytest.raises(openai.PermissionDeniedError, match="delete some") as refused:
            await hive.files.create(file=("b", b"x" * 4 * MIB), purpose="batch")
        assert refused.value.code == "file_quota_exceeded"
        came = await asyncio.gather(
            *(hive.files.create(file=("c", b"x" * 2 * MIB), purpose="batch") for _ in range(3)), return_exceptions=True
        )
        assert sum(isinstance(one, openai.PermissionDeniedError) for one in came) == 2
        await stranger.files.create(file=("d", b"x" * 7 * MIB), purpose="batch")
        await hive.files.delete(kept.id)
        await hive.files.create(file=("b", b"x" * 4 * MIB), purpose="batch")


async def test_of_an_upload_that_is_cut_off_nothing_is_kept(served: Served) -> None:
    more = asyncio.Event()

    async def cut() -> AsyncIterator[bytes]:
        async for part in form(b"x" * MIB, 1):
            yield part
        await more.wait()

    async def gone() -> bool:
        return await rows(served.hive.engine) == (0, 0)

    async def on_its_way() -> bool:
        return (await rows(served.hive.engine))[1] > 0

    async with served.client() as http:
        sending = asyncio.create_task(upload(http, cut(), **{"content-length": str(4 * MIB)}))
        await eventually(on_its_way, 10, "some of it is there")
        sending.cancel()
        await asyncio.wait([sending])
    await eventually(gone, 10, "nothing is kept of it")


async def test_a_large_file_is_never_in_memory(engine: Engine, tmp_path: Path) -> None:
    async with serving(engine, tmp_path) as served, served.client() as http:
        await upload(http, form(b"y" * 65_536))
        tracemalloc.start()
        try:
            made = (await upload(http, form(b"x" * 65_536, 16 * 48))).json()
            async with http.stream("GET", f"/v1/files/{made['id']}/content") as got:
                size = sum([len(part) async for part in got.aiter_bytes()])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert made["bytes"] == size == 48 * MIB
    assert peak < 12 * MIB, "of 48 MiB"


async def test_files_and_batches_are_forgotten_when_their_time_is_over(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.finished(await made.begin([chat()]))
        waiting = await made.begin([chat()])
        assert await rows(engine) == (3, 3)
        made.wait(timedelta(hours=2))  # the output is kept for an hour
        await rounds.tidy(made.face)
        assert await rows(engine) == (2, 2)
        made.wait(timedelta(days=3))
        await rounds.tidy(made.face)
        async with engine.connect() as conn:
            assert await files.get(conn, made.key.account_id, batch.input_file) is None
            assert await files.get(conn, made.key.account_id, waiting.input_file) is not None, "a batch reads it yet"
        assert (await made.finished(waiting)).status == "expired"
        await rounds.tidy(made.face)
        made.wait(timedelta(days=100))
        await rounds.tidy(made.face)
        async with engine.connect() as conn:
            assert await conn.scalar(text("SELECT count(*) FROM batches")) == 0
        assert await rows(engine) == (0, 0)


async def test_a_file_that_a_batch_reads_stays(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with coordinating(database_url, tmp_path) as swarm, client_of(swarm) as hive:
        batch = await begun(hive, jsonl([chat()]))
        with pytest.raises(openai.ConflictError) as refused:
            await hive.files.delete(batch.input_file_id)
        assert refused.value.code == "file_in_use"
        await hive.batches.cancel(batch.id)
        await eventually(lambda: _deleted(hive, batch.input_file_id), 20, "the file can be deleted")


async def _deleted(hive: openai.AsyncOpenAI, id_: str) -> bool:
    try:
        return (await hive.files.delete(id_)).deleted
    except openai.ConflictError:
        return False
