"""Embeddings, reranking and moderations from the official client to scripted workers and back."""

import asyncio
import base64
import math
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai import APIStatusError, BadRequestError

from coordinator.store.engine import Engine
from coordinator.submit.texts import CHARACTERS, NUMBERS
from shared.protocol.messages import Accept, Logprob, Offer, Tokens
from tests.swarm.faced import Faced, facing
from tests.swarm.floor import ENTRY, MODEL, opened
from tests.swarm.letters import score_of, vector_of
from tests.swarm.scripted import ScriptedWorker

CAN = msgspec.structs.replace(MODEL, tasks=("generate", "embed", "rank"))
TEXTS = ["a fox", "the sea at night", "été"]


@pytest.fixture
async def faced(engine: Engine, tmp_path: Path) -> AsyncIterator[Faced]:
    async with opened(engine) as floor, facing(floor, tmp_path) as made:
        yield made


@pytest.fixture
async def worker(faced: Faced) -> AsyncIterator[ScriptedWorker]:
    async with faced.floor.worker(model=CAN, slots=16).connected(faced.floor.url) as made:
        yield made


def near(one: list[float], two: list[float]) -> bool:
    return len(one) == len(two) and all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(one, two, strict=True))


async def refused(faced: Faced, path: str, body: dict[str, Any]) -> tuple[int, str, str | None]:
    async with faced.client() as http:
        got = await http.post(path, json=body)
    error = got.json()["error"]
    return got.status_code, error["code"], error["param"]


@pytest.mark.usefixtures("worker")
async def test_the_official_client_gets_its_vectors(faced: Faced) -> None:
    async with faced.openai() as client:
        got = await client.embeddings.create(model="letters", input=TEXTS)
        one = await client.embeddings.create(model="letters", input=TEXTS[1], encoding_format="float")
    assert [item.index for item in got.data] == [0, 1, 2]
    assert all(near(item.embedding, vector_of(text)) for item, text in zip(got.data, TEXTS, strict=True))
    assert near(one.data[0].embedding, vector_of(TEXTS[1]))
    assert (got.object, got.model, got.data[0].object) == ("list", "letters", "embedding")
    assert got.usage.prompt_tokens == got.usage.total_tokens == len("".join(TEXTS).encode())


@pytest.mark.usefixtures("worker")
async def test_base64_is_little_endian_float32_and_routes_go_without_v1(faced: Faced) -> None:
    async with faced.client() as http:
        body = {"model": "letters", "input": ["a fox"], "encoding_format": "base64", "user": "somebody"}
        got = await http.post("/embeddings", json=body)
        again = await http.post("/v1/embeddings", json={**body, "encoding_format": None})
    raw = base64.b64decode(got.json()["data"][0]["embedding"])
    assert near(list(struct.unpack("<3f", raw)), vector_of("a fox"))
    assert near(again.json()["data"][0]["embedding"], vector_of("a fox"))
    assert len(got.headers["x-hive-worker"]) == 64


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("form", ["float", "base64"])
async def test_fewer_dimensions_are_cut_and_have_length_one(faced: Faced, form: Any) -> None:
    async with faced.openai() as client:
        got = await client.embeddings.create(model="letters", input="a fox", dimensions=2, encoding_format=form)
    told: Any = got.data[0].embedding
    numbers = list(struct.unpack("<2f", base64.b64decode(told))) if isinstance(told, str) else told
    whole = vector_of("a fox")[:2]
    assert near(numbers, [number / math.hypot(*whole) for number in whole])


@pytest.mark.usefixtures("worker")
async def test_token_ids_are_the_texts_that_they_spell(faced: Faced) -> None:
    ids = [list(text.encode()) for text in TEXTS]
    async with faced.openai() as client:
        lists = await client.embeddings.create(model="letters", input=ids)
        alone = await client.embeddings.create(model="letters", input=ids[2])
    assert all(near(item.embedding, vector_of(text)) for item, text in zip(lists.data, TEXTS, strict=True))
    assert near(alone.data[0].embedding, vector_of(TEXTS[2]))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [1.5]}, "input"),
        ({"input": [True]}, "input"),
        ({"input": [97, 257]}, "input"),
        ({"input": [[97], [-1]]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 4}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
async def test_what_cannot_be_embedded_is_refused_by_its_name(faced: Faced, change: dict[str, Any], param: str) -> None:
    body = {"model": "letters", "input": "a"}
    assert await refused(faced, "/v1/embeddings", {**body, **change}) == (400, "invalid_request", param)


async def test_a_text_that_is_too_long_is_counted(faced: Faced) -> None:
    async with faced.client() as http:
        got = await http.post("/v1/embeddings", json={"model": "letters", "input": ["a", "b" * 2049]})
    error = got.json()["error"]
    assert (error["code"], error["param"], error["details"]) == (
        "context_length_exceeded", "input[1]", {"tokens": 2049, "most": 2048}
    )  # fmt: skip
    assert await refused(faced, "/v1/embeddings", {"model": "x", "input": "a"}) == (400, "invalid_model", "model")


async def test_nobody_who_embeds_is_told_as_such(faced: Faced) -> None:
    async with faced.floor.worker().connected(faced.floor.url), faced.client() as http:
        got = await http.post("/v1/embeddings", json={"model": "letters", "input": "a"})
    error = got.json()["error"]
    assert (got.status_code, error["code"]) == (503, "no_workers")
    assert error["message"] == "No eligible worker: no worker online embeds with the model."
    assert (error["details"]["counts"]["has_model"], error["details"]["counts"]["task"]) == (1, 0)


async def test_many_texts_are_jobs_of_a_fair_size_and_come_back_in_order(faced: Faced, worker: ScriptedWorker) -> None:
    texts = [f"{n} " * 100 for n in range(2048)]
    async with faced.openai() as client:
        got = await client.embeddings.create(model="letters", input=texts)
    assert all(near(item.embedding, vector_of(text)) for item, text in zip(got.data, texts, strict=True))
    assert [item.index for item in got.data] == list(range(2048))
    assert got.usage.prompt_tokens == sum(map(len, texts))
    parts = [offer.body.inputs for offer in (worker.offers.get_nowait() for _ in range(worker.offers.qsize()))]
    assert len(parts) > 1
    assert sorted(text for part in parts for text in part) == sorted(texts)
    assert all(sum(map(len, part)) <= CHARACTERS and 3 * len(part) <= NUMBERS for part in parts)


async def test_a_client_that_leaves_frees_the_slot(faced: Faced) -> None:
    gate = asyncio.Event()
    async with faced.floor.worker(model=CAN, gate=gate).connected(faced.floor.url) as worker, faced.client() as http:
        asking = asyncio.create_task(http.post("/v1/embeddings", json={"model": "letters", "input": "a"}))
        offer = await worker.offers.get()
        asking.cancel()
        assert (await worker.cancels.get()).job_id == offer.body.job_id


@pytest.mark.usefixtures("worker")
async def test_documents_come_back_best_first(faced: Faced) -> None:
    documents: list[Any] = ["the sea", "a red fox", {"text": "a fox", "title": "unread"}, "no"]
    body = {"model": "letters", "query": "a fox", "documents": documents}
    async with faced.client() as http:
        got = (await http.post("/v1/rerank", json=body)).json()
        few = (await http.post("/rerank", json={**body, "top_n": 2, "return_documents": True})).json()
    assert [one["index"] for one in got["results"]] == [1, 2, 0, 3]
    assert got["results"][0] == {"index": 1, "relevance_score": score_of("a fox", "a red fox")}
    assert [one["document"]["text"] for one in few["results"]] == ["a red fox", "a fox"]
    assert got["usage"]["total_tokens"] == sum(len(f"a fox{text}") for text in ("the sea", "a red fox", "a fox", "no"))
    assert (got["model"], got["object"]) == ("letters", "list")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"documents": []}, "documents"),
        ({"documents": ["d"] * 2049}, "documents"),
        ({"documents": [{"title": "t"}]}, "documents[0]"),
        ({"top_n": 0}, "top_n"),
        ({"query": None}, "query"),
    ],
)
async def test_what_cannot_be_ranked_is_refused_by_its_name(faced: Faced, change: dict[str, Any], param: str) -> None:
    body = {"model": "letters", "query": "q", "documents": ["d"]}
    assert await refused(faced, "/v1/rerank", {**body, **change}) == (400, "invalid_request", param)


GUARD = msgspec.structs.replace(ENTRY, guard=True)


@pytest.fixture
def guarded(faced: Faced) -> Faced:
    catalogue: Any = faced.floor.dispatch.catalogue
    catalogue["letters"] = GUARD
    return faced


def judging(says: str, likely: int = -10_000) -> Any:
    """A script that says one thing of all, whose every token has this likelihood (in millionths of the logarithm)."""

    async def judge(worker: ScriptedWorker, offer: Offer) -> None:
        worker.says = says
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))
        ids, texts = worker.answer(offer.body)
        told = [Logprob(likely) for _ in ids]
        await worker.send(Tokens(offer.body.job_id, offer.body.attempt, 0, ids, "".join(texts), told))
        await worker.send(worker.result(offer.body, ids, "".join(texts)))

    return judge


async def test_a_guards_verdict_is_told_in_openais_shape(guarded: Faced) -> None:
    unsafe = guarded.floor.worker(script=judging("unsafe\nS1,S10,S6"))
    async with unsafe.connected(guarded.floor.url), guarded.openai() as client:
        got = await client.moderations.create(input=["how to hurt somebody", "again"], model="letters")
    assert (got.model, got.id.startswith("modr-"), len(got.results)) == ("letters", True, 2)
    result = got.results[0]
    flagged = {name for name, value in result.categories.model_dump(by_alias=True).items() if value}
    assert (result.flagged, flagged) == (True, {"violence", "illicit/violent", "hate"})
    assert result.category_scores.violence == pytest.approx(math.exp(-0.01))
    assert result.category_scores.sexual == 0.0
    assert result.category_applied_input_types.hate == ["text"]
    told: Any = result.model_dump()
    assert told["guard_categories"] == ["S1: Violent Crimes", "S10: Hate", "S6: Specialized Advice"]


async def test_a_safe_text_is_as_unsafe_as_the_guard_is_unsure(guarded: Faced) -> None:
    safe = guarded.floor.worker(script=judging("\n\nsafe", likely=-200_000))
    async with safe.connected(guarded.floor.url), guarded.openai() as client:
        got = await client.moderations.create(input="a fox")
        parts: Any = [{"type": "text", "text": "a fox"}, {"type": "text", "text": "by the sea"}]
        whole = await client.moderations.create(input=parts, model="letters")
    (result,) = got.results
    assert not result.flagged
    assert not any(result.categories.model_dump().values())
    assert result.category_scores.violence == pytest.approx(1 - math.exp(-0.2))
    assert len(whole.results) == 1
    asked = [(await safe.offers.get()).body for _ in range(2)]
    assert [body.messages[0].content for body in asked if body.messages] == ["a fox", "a fox\nby the sea"]
    assert all(body.sampling.temperature == 0 for body in asked)


async def test_a_guard_that_says_neither_has_failed(guarded: Faced) -> None:
    async with (
        guarded.floor.worker(script=judging("I cannot say.")).connected(guarded.floor.url),
        guarded.openai() as client,
    ):
        with pytest.raises(APIStatusError) as failed:
            await client.moderations.create(input="a fox")
    assert (failed.value.status_code, failed.value.code) == (502, "job_failed")
    assert failed.value.response.headers["x-should-retry"] == "false"


async def test_where_no_guard_is_known_or_served_it_is_said(faced: Faced) -> None:
    assert await refused(faced, "/v1/moderations", {"input": "a"}) == (400, "invalid_model", "model")
    assert (await refused(faced, "/v1/moderations", {"input": "a", "model": "letters"}))[1] == "invalid_model"
    catalogue: Any = faced.floor.dispatch.catalogue
    catalogue["letters"] = GUARD
    assert await refused(faced, "/moderations", {"input": "a"}) == (503, "no_workers", None)
    assert (await refused(faced, "/v1/moderations", {"input": "a", "model": "other"}))[1] == "invalid_model"


@pytest.mark.parametrize("given", [[], ["a"] * 129, ["a", {"type": "text", "text": "b"}]])
async def test_what_cannot_be_judged_is_refused(guarded: Faced, given: Any) -> None:
    assert await refused(guarded, "/v1/moderations", {"input": given}) == (400, "invalid_request", "input")


async def test_guards_see_no_images(guarded: Faced) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    async with guarded.openai() as client:
        with pytest.raises(BadRequestError) as wrong:
            await client.moderations.create(input=[image])
    assert (wrong.value.code, wrong.value.param) == ("unsupported_parameter", "input")
