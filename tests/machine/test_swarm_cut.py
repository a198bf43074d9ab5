"""A real worker behind a line that is cut in mid-work: its result is delivered when it is back, or is late."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h3
import httpx
import msgspec
import pytest

from shared.catalogue import catalogue
from shared.protocol.messages import ModelOffer
from shared.tokens import Vocabulary
from tests.support_books import faults, history, value
from tests.support_line import Line, line_to
from tests.support_up import REPOSITORY, Up, ended, running
from tests.support_wait import eventually
from tests.swarm.scripted import ScriptedWorker
from worker.report import Report

pytestmark = pytest.mark.timeout(240)

PARIS = h3.latlng_to_cell(48.8566, 2.3522, 7)
NANO = catalogue()["hive-nano"]
MODEL = ModelOffer("hive-nano", NANO.digest, NANO.context, NANO.size_bytes, loaded=True)
STORY: Any = {
    "model": "hive-nano",
    "messages": [{"role": "user", "content": "Tell me a long story."}],
    "max_tokens": 96,
}
JOB = {"model_id": "hive-nano", "prompt": "Tell me a long story.", "max_tokens": 96, "jurisdiction": "FR"}
PAYABLES = "SELECT count(*) FROM payables WHERE job_id = :id AND sign_until IS NULL"
SIGNED = (
    "SELECT count(*) FROM payables WHERE job_id = :id AND attempt = 1 AND sign_until > now() AND state <> 'unsigned'"
)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running("--workers", "0") as swarm:
        yield swarm


@asynccontextmanager
async def bounded(up: Up, job_id: str) -> AsyncIterator[None]:
    """A block that must be over within 40 s; else it fails with all that happened to the job."""
    try:
        async with asyncio.timeout(40):
            yield
    except TimeoutError:
        raise AssertionError(f"{await history(up.ready.database_url, job_id)}\n{up.logs()}") from None


@pytest.fixture
async def http(up: Up) -> AsyncIterator[httpx.AsyncClient]:
    async with up.client() as client:
        yield client
    assert await faults(up.ready.database_url) == []


class Cut:
    """The worker, its line, and the folder in which its results wait."""

    def __init__(self, line: Line, home: Path, process: subprocess.Popen[bytes]) -> None:
        self.line, self.home, self.process = line, home, process

    def waiting(self) -> list[str]:
        return [file.name for file in (self.home / "outbox").glob("*.json")]

    def pk(self) -> str:
        return msgspec.json.decode((self.home / "ready.json").read_bytes(), type=Report).pk

    async def has_computed(self) -> None:
        async def look() -> bool:
            return bool(self.waiting())

        await eventually(look, 30, "a result in the outbox")

    async def is_rid_of_it(self) -> None:
        async def look() -> bool:
            return not self.waiting()

        await eventually(look, 30, "an empty outbox")


@pytest.fixture
async def french(up: Up, tmp_path: Path) -> AsyncIterator[Cut]:
    """A worker in Paris, the only one in France, that makes some 40 tokens a second."""
    port = urlsplit(up.ready.base_url).port
    assert port is not None
    async with line_to(port) as line, _worker(line, tmp_path) as cut:
        yield cut


def started(line: Line, home: Path) -> subprocess.Popen[bytes]:
    """A worker process of this home at the end of the line."""
    command = [sys.executable, "-m", "shared", "worker", "join", "--coordinator", f"http://127.0.0.1:{line.port}"]
    command += ["--cell", PARIS, "--max-tps", "40", "--ready-file", str(home / "ready.json")]
    env = {name: text for name, text in os.environ.items() if not name.startswith("HIVE_")} | {"HIVE_HOME": str(home)}
    with (home / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=log, stderr=log)


@asynccontextmanager
async def _worker(line: Line, home: Path) -> AsyncIterator[Cut]:
    process = started(line, home)
    cut = Cut(line, home, process)

    async def look() -> bool:
        assert process.poll() is None, (home / "log").read_text()
        return (home / "ready.json").exists()

    try:
        await eventually(look, 60, "the worker is ready")
        yield cut
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 20)


async def computing(http: httpx.AsyncClient, job_id: str) -> None:
    """Waits until the job's first token is there."""
    async with http.stream("GET", f"/hive/jobs/{job_id}/events") as stream:
        async for text in stream.aiter_lines():
            if text == "event: token":
                return
    raise AssertionError("the job ended before it made a token")


async def is_computed(http: httpx.AsyncClient, job_id: str) -> bool:
    """Whether the database has it that the job is computed: its readers hear of the first token before."""
    return bool((await http.get(f"/hive/jobs/{job_id}")).json()["status"] == "computing")


async def test_a_worker_cut_off_delivers_its_result_when_it_is_back(
    up: Up, http: httpx.AsyncClient, french: Cut
) -> None:
    job_id = (await http.post("/hive/jobs", json=JOB)).json()["job_id"]
    await computing(http, job_id)
    french.line.cut()
    await french.has_computed()
    await eventually(lambda: is_computed(http, job_id), 10, "a job that goes on")
    french.line.mend()
    job = await ended(up, http, job_id)
    assert (job["status"], job["attempts"], job["worker_pk"]) == ("completed", 1, french.pk())
    assert job["tokens_generated"] > 0
    await french.is_rid_of_it()


async def test_a_worker_cut_off_while_it_computes_goes_on_with_the_same_attempt(
    up: Up, http: httpx.AsyncClient, french: Cut
) -> None:
    job_id = (await http.post("/hive/jobs", json={**JOB, "max_tokens": 120})).json()["job_id"]
    await computing(http, job_id)
    french.line.cut()
    french.line.mend()
    job = await ended(up, http, job_id)
    assert (job["status"], job["attempts"], job["worker_pk"]) == ("completed", 1, french.pk())


async def test_a_result_that_comes_after_the_attempt_was_fenced_is_late_and_what_went_out_of_it_is_signed_for(
    up: Up, http: httpx.AsyncClient, french: Cut
) -> None:
    tokeniser = Vocabulary(NANO.path)
    heir = ScriptedWorker(model=MODEL, tokeniser=tokeniser, cell=PARIS, says="and they lived happily ever after. " * 9)
    said = []
    async with up.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(
            **STORY, stream=True, extra_headers={"x-hive-jurisdiction": "FR"}
        )
        job_id, first = raw.headers["x-hive-job-id"], raw.headers["x-hive-worker"]
        assert first == french.pk()
        french.line.cut()
        async with heir.connected(f"{up.ready.base_url.replace('http', 'ws')}/hive/worker"), bounded(up, job_id):
            async for chunk in raw.parse():
                said += [choice.delta.content or "" for choice in chunk.choices]
    before = await ended(up, http, job_id)
    assert (before["attempts"], before["worker_pk"]) == (2, heir.pk)
    assert "".join(said) == before["result_text"]
    await french.has_computed()
    french.line.mend()
    await french.is_rid_of_it()
    after = (await http.get(f"/hive/jobs/{job_id}")).json()
    told = ("status", "attempts", "worker_pk", "result_text", "gns_cost", "tokens_generated", "completed_at")
    assert {name: after[name] for name in told} == {name: before[name] for name in told}
    assert await value(up.ready.database_url, PAYABLES, id=job_id) == 1

    async def signed() -> bool:
        return await value(up.ready.database_url, SIGNED, id=job_id) == 1

    await eventually(signed, 30, "the signature of the worker that was cut off")
