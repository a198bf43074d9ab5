"""Images in messages, from the official client to workers whose other program sees them, and where none does."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coordinator.store.engine import Engine
from coordinator.submit.price import cost
from shared.protocol.messages import IMAGE_TOKENS, Accept, Image, Message, Offer
from tests.support_outside import answering, other_side, png
from tests.swarm.faced import Faced, facing
from tests.swarm.floor import ENTRY, MODEL, opened
from tests.swarm.scripted import ScriptedWorker

SEES = msgspec.structs.replace(MODEL, verifiability="weak", vision=True, context=8192)
PNG = png(640, 480)
SAYS = "A fox."


@pytest.fixture
async def faced(engine: Engine, tmp_path: Path) -> AsyncIterator[Faced]:
    async with opened(engine) as floor, facing(floor, tmp_path, callback_allow=["127.0.0.1/32"]) as made:
        yield made


def written(data: bytes = PNG) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def shown(*urls: str, words: str = "What is it?") -> Any:
    images = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in urls]
    return {"model": "letters", "messages": [{"role": "user", "content": [{"type": "text", "text": words}, *images]}]}


async def see(worker: ScriptedWorker, offer: Offer) -> None:
    """Counts 700 tokens for each image."""
    await worker.send(Accept(offer.body.job_id, offer.body.attempt))
    ids, texts = worker.answer(offer.body)
    words = len("What is it?") + 700 * sum(len(message.images) for message in offer.body.messages or [])
    await worker.send(worker.result(offer.body, ids, "".join(texts), tokens_in=words))


@asynccontextmanager
async def seeing(faced: Faced) -> AsyncIterator[ScriptedWorker]:
    async with faced.floor.worker(model=SEES, script=see, says=SAYS).connected(faced.floor.url) as worker:
        yield worker


async def test_an_image_is_seen_and_paid_for_as_its_worker_counts(faced: Faced) -> None:
    async with seeing(faced) as worker, faced.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(**shown(written()), seed=7)
    chat = raw.parse()
    assert chat.usage is not None
    assert (chat.choices[0].message.content, chat.usage.prompt_tokens) == (SAYS, len("What is it?") + 700)
    offer = (await worker.offers.get()).body
    assert offer.messages == [Message("user", "What is it?", images=[Image(11, written())])]
    assert offer.fresh is False
    async with faced.client() as http:
        job = (await http.get(f"/hive/jobs/{raw.headers['x-hive-job-id']}")).json()
        receipt = (await http.get(job["receipt_url"])).json()["receipt"]
    assert (receipt["verifiability"], receipt["tokens_in"], job["tokens_in"]) == ("weak", 711, 711)
    assert job["gns_cost"] * 10_000_000 == pytest.approx(cost(ENTRY, 711, len(SAYS), None))


async def test_a_stream_tells_the_same_count(faced: Faced) -> None:
    async with seeing(faced), faced.openai() as client:
        stream = await client.chat.completions.create(
            **shown(written(), written(png(1, 1))), stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == len("What is it?") + 1400
    assert chunks[-1].usage.prompt_tokens < 2 * IMAGE_TOKENS


async def test_an_image_is_fetched_once_somebody_may_see_it(faced: Faced) -> None:
    async with other_side() as other, faced.openai() as client:
        other.scripts["/fox"] = answering(200, PNG, content_type="text/html")
        url = f"http://127.0.0.1:{other.port}/fox"
        with pytest.raises(Exception, match="no worker is online"):
            await client.chat.completions.create(**shown(url))
        assert other.connections == 0
        async with seeing(faced) as worker:
            await client.chat.completions.create(**shown(url, url))
        assert other.connections == 1
    messages = (await worker.offers.get()).body.messages or []
    assert [image.url for image in messages[0].images] == [written(), written()]


async def refused(faced: Faced, body: Any, path: str = "/v1/chat/completions") -> tuple[int, dict[str, Any]]:
    async with faced.client() as http:
        got = await http.post(path, json=body)
    return got.status_code, got.json()["error"]


async def test_where_the_model_is_and_sees_nothing_it_is_said_in_words(faced: Faced) -> None:
    async with faced.floor.worker().connected(faced.floor.url):
        status, error = await refused(faced, shown(written()))
        waits = await refused(faced, {**shown(written()), "model_id": "letters"}, "/hive/jobs")
    assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", "messages")
    assert "Hive's own engine reads text alone in this version" in error["message"]
    assert (waits[0], waits[1]["code"]) == (400, "unsupported_parameter")


async def test_where_who_could_see_it_is_away_it_may_be_tried_again(faced: Faced) -> None:
    async with seeing(faced), faced.floor.worker().connected(faced.floor.url):
        pass
    async with faced.floor.worker().connected(faced.floor.url):
        status, error = await refused(faced, shown(written()))
    assert (status, error["code"]) == (503, "no_workers")
    assert error["details"]["counts"]["vision"] == 0
    assert error["details"]["counts"]["possible"] == 1


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
    ],
)
async def test_what_nobody_is_trusted_with_beside_images(faced: Faced, change: dict[str, Any], param: str) -> None:
    async with seeing(faced):
        status, error = await refused(faced, {**shown(written()), **change})
    assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", param)


@pytest.mark.parametrize(
    ("url", "says"),
    [(written(b"%PDF-1.7"), "no PNG"), ("data:image/png;base64,A*", "damaged"), ("http://10.0.0.1/a.png", "10.0.0.1")],
)
async def test_what_is_no_image_is_refused(faced: Faced, url: str, says: str) -> None:
    async with seeing(faced) as worker:
        status, error = await refused(faced, shown(url))
        assert worker.offers.empty()
    assert (status, error["param"]) == (400, "messages")
    assert says in error["message"]


async def test_a_body_may_be_larger_with_images_alone(faced: Faced) -> None:
    padded = PNG + bytes(4 << 20)
    async with seeing(faced):
        status, error = await refused(faced, {**shown(), "user": "x" * (5 << 20)})
        assert (status, error["code"]) == (413, "request_too_large")
        async with faced.client() as http:
            got = await http.post("/v1/chat/completions", json=shown(written(padded)))
            assert got.status_code == 200, got.text
            assert (await http.post("/v1/chat/completions", json=shown(written(bytes(16 << 20))))).status_code == 413


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/responses/input_tokens"])
async def test_what_may_be_sent_may_be_counted(faced: Faced, path: str) -> None:
    padded = base64.b64encode(PNG + bytes(4 << 20)).decode()
    if path.startswith("/v1/messages"):
        image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": padded}}
        large, plain = {"messages": [{"role": "user", "content": [image]}]}, {"messages": shown()["messages"]}
    else:
        image = {"type": "input_image", "image_url": f"data:image/png;base64,{padded}"}
        large, plain = {"input": [{"role": "user", "content": [image]}]}, {"input": "Hello"}
    async with faced.client() as http:
        got = await http.post(path, json={"model": "letters", **large})
        assert got.status_code == 200, got.text
        got = await http.post(path, json={"model": "letters", **plain, "user": "x" * (5 << 20)})
        assert (got.status_code, got.json()["error"]["code"]) == (413, "request_too_large")
