"""Embeddings and reranking from the official client through a real coordinator to real engines: the bundled model, and a
tiny BERT beside what numpy says of it."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import PoolingType
from openai import APIStatusError, AsyncOpenAI, BadRequestError

from coordinator.pinned import FOLDER, Terms, pin_file
from coordinator.store.engine import Engine
from shared.files import write_private
from shared.tokens import Vocabulary
from tests.machine.bert_model import WIDTH, Bert
from tests.machine.coordinator_double import ROME, clock
from tests.machine.engine_run import engine as engine_of
from tests.machine.scripted_upstream import HEAD, Call, scripted
from tests.support_outside import png
from tests.support_wait import eventually
from tests.swarm.whole import Swarm, coordinating
from worker.daemon import Daemon
from worker.hardware import hardware
from worker.identity import identity
from worker.models import add, local_models
from worker.settings import settings

pytestmark = pytest.mark.timeout(180)
BERT = Bert()
DOCUMENTS = ["abc", "de fg", "a b c d e", "hij hij"]
MODELS = ("hive-nano", "tiny-embedder", "tiny-reranker")


@asynccontextmanager
async def working(home: Path, url: str, *, models: bool = True) -> AsyncIterator[None]:
    """A real worker with the bundled model and those that were added, or only what its settings name besides."""
    chosen = settings(home, {}, {"cell": ROME, "coordinator": url, "slots": 2, "log_level": "error"})
    who = identity(home, now=clock(), entropy=os.urandom(32))
    served = list(local_models(home).values()) if models else []
    daemon = Daemon(home, chosen, who, served, clock=clock, probe=hardware([]))
    running = asyncio.create_task(daemon.run())
    try:
        yield
    finally:
        daemon.stop()
        daemon.stop()
        await running


@pytest.fixture
async def swarm(engine: Engine, database_url: str, tmp_path: Path) -> AsyncIterator[Swarm]:
    """A coordinator that has pinned the tiny models, and a worker that has all three in memory."""
    state, home = tmp_path / "state", tmp_path / "home"
    state.mkdir()
    home.mkdir()
    for name, pooling in zip(MODELS[1:], (PoolingType.CLS, PoolingType.RANK), strict=True):
        file = BERT.write(tmp_path / f"{name}.gguf", pooling)
        pin_file(state / FOLDER, file, Terms(id=name))
        add(home, file, name)
    async with coordinating(database_url, state) as made, working(home, made.base_url), made.client() as http:

        async def all_loaded() -> bool:
            models = (await http.get("/v1/models")).json()["data"]
            return {model["id"] for model in models if model["loaded"]} == set(MODELS)

        await eventually(all_loaded, 60, "the models in memory")
        yield made


def client(swarm: Swarm) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=swarm.api_key, base_url=f"{swarm.base_url}/v1", max_retries=0, timeout=60)


def cosine(one: Any, two: Any) -> float:
    return float(np.dot(one, two) / np.linalg.norm(one) / np.linalg.norm(two))


async def test_the_official_client_gets_the_models_own_vectors_and_scores(swarm: Swarm) -> None:
    vocabulary = Vocabulary(swarm.hive.catalogue["tiny-embedder"].path)
    texts = [f"{word} {'a' * (n % 7 + 1)}" for n, word in enumerate(DOCUMENTS * 25)]
    async with client(swarm) as openai:
        got = await openai.embeddings.create(model="tiny-embedder", input=texts)
        cut = await openai.embeddings.create(model="tiny-embedder", input=texts[0], dimensions=8)
    for text, item in zip(texts, got.data, strict=True):
        assert len(item.embedding) == WIDTH
        assert np.linalg.norm(item.embedding) == pytest.approx(1.0, abs=1e-4)
        assert cosine(item.embedding, BERT.vectors(vocabulary.text_ids(text))[0]) > 0.999
    assert got.usage.prompt_tokens == sum(len(vocabulary.text_ids(text)) for text in texts)
    assert np.linalg.norm(cut.data[0].embedding) == pytest.approx(1.0, abs=1e-5)
    assert cosine(cut.data[0].embedding, got.data[0].embedding[:8]) > 0.9999
    async with swarm.client() as http:
        body = {"model": "tiny-reranker", "query": "abc de", "documents": DOCUMENTS}
        ranked = (await http.post("/v1/rerank", json=body)).raise_for_status().json()
    wanted = [BERT.score(vocabulary.pair_ids("abc de", document)) for document in DOCUMENTS]
    assert [one["relevance_score"] for one in ranked["results"]] == pytest.approx(
        sorted(wanted, reverse=True), abs=0.02
    )
    assert [one["index"] for one in ranked["results"]] == sorted(range(len(wanted)), key=lambda i: -wanted[i])


async def test_the_bundled_model_embeds_and_its_receipt_is_one_like_any_other(swarm: Swarm) -> None:
    texts = ["the sea at night", "a fox"]
    async with client(swarm) as openai:
        raw = await openai.embeddings.with_raw_response.create(model="hive-nano", input=texts)
    got, nano = raw.parse(), swarm.hive.catalogue["hive-nano"]
    async with engine_of(nano.path) as alone:
        told = await alone.embed(texts)
    vectors = [np.frombuffer(vector, "<f4") for vector in told.vectors]
    assert all(cosine(item.embedding, vector) > 0.999 for item, vector in zip(got.data, vectors, strict=True))
    assert (got.usage.prompt_tokens, got.usage.total_tokens) == (told.tokens_in, told.tokens_in)
    async with swarm.client() as http:
        job = (await http.get(f"/hive/jobs/{raw.headers['x-hive-job-id']}")).json()
        receipt = (await http.get(job["receipt_url"])).json()["receipt"]
    assert (receipt["tokens_in"], receipt["tokens_out"], receipt["finish_reason"]) == (told.tokens_in, 0, "stop")
    assert (receipt["verifiability"], receipt["model_digest"]) == ("seeded", nano.digest)
    assert (job["tokens_generated"], job["status"]) == (0, "completed")


async def test_each_model_does_what_it_can_and_says_what_it_cannot(swarm: Swarm) -> None:
    async with client(swarm) as openai, swarm.client() as http:
        ranked = await http.post("/v1/rerank", json={"model": "hive-nano", "query": "q", "documents": ["d"]})
        with pytest.raises(APIStatusError) as mute:
            await openai.completions.create(model="tiny-embedder", prompt="abc")
        with pytest.raises(BadRequestError) as long:
            await openai.embeddings.create(model="tiny-embedder", input="a " * 200)
        among = await openai.embeddings.create(model="tiny-reranker", input="abc")
    assert (ranked.status_code, ranked.json()["error"]["param"]) == (400, "model")
    assert (mute.value.status_code, mute.value.code) == (503, "no_workers")
    assert "writes with the model" in mute.value.message
    assert long.value.code == "context_length_exceeded"
    assert len(among.data[0].embedding) == WIDTH


async def look(call: Call) -> None:
    """Sees a fox, and counts 900 tokens."""
    await call.send(HEAD)
    await call.event(choices=[{"delta": {"content": "A fox."}}])
    await call.event(choices=[{"delta": {}, "finish_reason": "stop"}])
    await call.event(choices=[], usage={"prompt_tokens": 900})
    await call.send(b"data: [DONE]\n\n")


async def test_an_owners_vision_model_sees_what_the_caller_shows(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    url = "data:image/png;base64," + base64.b64encode(png(64, 64)).decode()
    parts: Any = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    async with scripted() as upstream:
        upstream.pages, upstream.script = {"/props": '{"modalities":{"vision":true}}'}, look
        said = f'[worker]\nmodels = []\n[[worker.openai]]\nurl = "{upstream.url}"\nmodels = {{"hive-nano" = "nano"}}\n'
        write_private(tmp_path / "config.toml", said.encode())
        async with (
            coordinating(database_url, tmp_path / "state") as swarm,
            client(swarm) as openai,
            working(tmp_path, swarm.base_url, models=False),
            swarm.client() as http,
        ):

            async def seen() -> bool:
                models = (await http.get("/v1/models")).json()["data"]
                return any(model["loaded"] and "image" in model["input_modalities"] for model in models)

            await eventually(seen, 60, "the vision model")
            raw = await openai.chat.completions.with_raw_response.create(
                model="hive-nano", messages=[{"role": "user", "content": parts}]
            )
            job = (await http.get(f"/hive/jobs/{raw.headers['x-hive-job-id']}")).json()
            receipt = (await http.get(job["receipt_url"])).json()["receipt"]
    chat = raw.parse()
    assert chat.usage is not None
    assert (chat.choices[0].message.content, chat.usage.prompt_tokens) == ("A fox.", 900)
    assert (receipt["verifiability"], receipt["tokens_in"]) == ("weak", 900)
    assert upstream.calls[-1].body["messages"][0]["content"] == parts


async def test_long_texts_are_embedded_while_an_answer_is_written(swarm: Swarm) -> None:
    texts = ["once upon a time there was a fox by the sea " * 20] * 64
    async with client(swarm) as openai:
        writing = asyncio.create_task(
            openai.chat.completions.create(
                model="hive-nano", messages=[{"role": "user", "content": "Tell me a long story about a fox."}]
            )
        )
        got = await openai.embeddings.create(model="hive-nano", input=texts)
        chat = await writing
    assert chat.choices[0].message.content
    assert len(got.data) == 64
    assert all(cosine(got.data[0].embedding, item.embedding) > 0.999 for item in got.data)
