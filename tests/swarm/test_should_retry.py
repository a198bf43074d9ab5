"""Whether an SDK may send a failed request again by itself: not once a worker has had the job, on every face alike."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coordinator.store.engine import Engine
from shared.protocol.messages import Failed, Offer
from tests.swarm.faced import Faced, facing
from tests.swarm.floor import ENTRY, MODEL, opened
from tests.swarm.scripted import ScriptedWorker

CAN = msgspec.structs.replace(MODEL, tasks=("generate", "embed", "rank"))
CHAT: dict[str, Any] = {"model": "letters", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
FACES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/chat/completions": CHAT,
    "/api/v3/chat/completions": CHAT,
    "/v1/completions": {"model": "letters", "prompt": "Hi", "max_tokens": 5},
    "/v1/messages": CHAT,
    "/v1/responses": {"model": "letters", "input": "Hi", "max_output_tokens": 20},
    "/v1/responses/compact": {"model": "letters", "input": "Hi"},
    "/v1/embeddings": {"model": "letters", "input": "Hi"},
    "/v1/rerank": {"model": "letters", "query": "Hi", "documents": ["Ho"]},
    "/v1/moderations": {"model": "letters", "input": "Hi"},
}
STREAMS = {path: body for path, body in FACES.items() if "max_tokens" in body or "max_output_tokens" in body}
DETACHED: dict[str, dict[str, Any]] = {
    "/hive/jobs": {"model_id": "letters", "prompt": "Hi", "min_trust_tier": "sovereign"}
}


@pytest.fixture
async def faced(engine: Engine, tmp_path: Path) -> AsyncIterator[Faced]:
    async with opened(engine) as floor, facing(floor, tmp_path) as made:
        catalogue: Any = floor.dispatch.catalogue
        catalogue["letters"] = msgspec.structs.replace(ENTRY, guard=True)
        yield made


async def told(faced: Faced, path: str, body: dict[str, Any]) -> tuple[int, str, str | None]:
    async with faced.client() as http:
        got = await http.post(path, json=body)
    return got.status_code, got.json()["error"]["code"], got.headers.get("x-should-retry")


async def test_where_nobody_was_there_it_may_come_again(faced: Faced) -> None:
    faces = [*FACES.items(), *((path, body | {"stream": True}) for path, body in STREAMS.items()), *DETACHED.items()]
    found = {(path, "stream" in body): await told(faced, path, body) for path, body in faces}
    assert found == dict.fromkeys(found, (503, "no_workers", None))


async def test_what_a_worker_has_had_is_not_sent_again(faced: Faced) -> None:
    async def fail(worker: ScriptedWorker, offer: Offer) -> None:
        body = offer.body
        await worker.send(Failed(body.job_id, body.attempt, "engine_crashed", "It broke.", retryable=False))

    async with faced.floor.worker(model=CAN, slots=16, script=fail).connected(faced.floor.url):
        faces = [*FACES.items(), *((path, body | {"stream": True}) for path, body in STREAMS.items())]
        found = {(path, "stream" in body): await told(faced, path, body) for path, body in faces}
    assert found == dict.fromkeys(found, (502, "job_failed", "false"))


async def test_a_word_of_ours_that_cannot_be_told_is_not_sent_again_either(faced: Faced) -> None:
    """The guard model said something else, the summary is empty: the work is done, and would be done again."""
    async with faced.floor.worker(says="Hm.", slots=4).connected(faced.floor.url):
        found = await told(faced, "/v1/moderations", FACES["/v1/moderations"])
    assert found == (502, "job_failed", "false")
