"""Attempts that make no tokens: what is read in which batches, what is signed, and what an unsound engine leads to."""

import asyncio
import math
from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from nacl.signing import SigningKey

from shared.crypto import chain_start, public_key
from shared.protocol.messages import Done, Failed, OfferBody, Progress, Sampling, ToCoordinator
from shared.receipt import Receipt, worker_signed
from shared.text import prompt_hash, result_hash
from shared.vectors import numbers_of, packed, rows_of
from worker.attempt import PREFILL_S, Attempt
from worker.engine import wire
from worker.engine.process import RequestFailedError
from worker.texts import MOST, MOST_CHARACTERS, batches

KEY = SigningKey(b"w" * 32)
OFFER = OfferBody(
    job_id="00000000-0000-4000-8000-000000000000", attempt=1, worker_pk=public_key(KEY), model_id="m",
    model_digest="ab" * 32, max_tokens=0, sampling=Sampling(), stop=[], seed="7", salt="00" * 32, price=1, scope="s",
    cell="841e805ffffffff", jurisdictions=["IT"], evidence="claimed", geo_digest="00" * 32, expires_at=9, task="embed",
    inputs=["one", "two", "three"],
)  # fmt: skip


class Counting:
    """An engine whose vector of a text points the way of its length, and whose score of a document is its length."""

    verifiability = "seeded"

    def __init__(self, vector: bytes | None = None) -> None:
        self.batches: list[int] = []
        self._vector = vector
        self.asked, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def ready(self) -> wire.Loaded:
        return wire.Loaded(10, 1, 1, "b", 1)

    async def embed(self, texts: list[str]) -> wire.Embedded:
        self.batches.append(len(texts))
        self.asked.set()
        await self.gate.wait()
        made = [self._vector or packed([math.cos(len(text)), math.sin(len(text))]) for text in texts]
        return wire.Embedded(0, made, sum(map(len, texts)))

    async def rank(self, query: str, documents: list[str]) -> wire.Ranked:
        self.batches.append(len(documents))
        return wire.Ranked(0, [float(len(one)) for one in documents], sum(len(query + one) for one in documents))


async def done(engine: Any, **asked: Any) -> tuple[Done | Failed, list[ToCoordinator]]:
    said: list[ToCoordinator] = []
    attempt = Attempt(msgspec.structs.replace(OFFER, **asked), KEY, say=said.append, clock=lambda: 1)
    return await attempt.run(engine), said


@given(st.lists(st.text(max_size=3 * MOST_CHARACTERS // 2), max_size=80))
def test_every_text_is_in_one_batch_and_no_batch_is_larger_than_a_step(texts: list[str]) -> None:
    made = list(batches(texts))
    assert list(chain.from_iterable(made)) == texts
    assert all(0 < len(batch) <= MOST for batch in made)
    assert all(len(batch) == 1 or sum(map(len, batch)) <= MOST_CHARACTERS for batch in made)


async def test_vectors_are_signed_as_a_result_without_tokens() -> None:
    result, _ = await done(Counting())
    assert isinstance(result, Done)
    receipt = msgspec.convert(result.receipt, Receipt)
    assert worker_signed(receipt, result.signature)
    assert (receipt.tokens_in, receipt.tokens_out, receipt.finish_reason, result.ids) == (11, 0, "stop", [])
    assert receipt.chain_head == chain_start(OFFER.job_id, 1).hex()
    assert receipt.result_hash == result_hash(OFFER.salt, result.text)
    assert receipt.prompt_hash == prompt_hash(OFFER) != prompt_hash(msgspec.structs.replace(OFFER, task="rank"))
    assert [row == packed([math.cos(n), math.sin(n)]) for row, n in zip(rows_of(result.text), (3, 3, 5), strict=True)]


async def test_a_query_goes_with_every_batch_of_documents_and_all_scores_are_one_line() -> None:
    engine, documents = Counting(), ["d" * n for n in range(1, 71)]
    result, _ = await done(engine, task="rank", inputs=["q", *documents])
    assert isinstance(result, Done)
    (row,) = rows_of(result.text)
    assert numbers_of(row) == tuple(float(n) for n in range(1, 71))
    assert engine.batches == [32, 32, 6]
    assert result.receipt["tokens_in"] == sum(range(1, 71)) + 70


async def test_progress_is_told_between_batches_and_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.attempt.PREFILL_S", 0.0)
    assert PREFILL_S > 0
    _, said = await done(Counting(), inputs=["abc"] * 100)
    assert [(one.stage, one.done) for one in said if isinstance(one, Progress)] == [
        ("prefill", 96), ("prefill", 192), ("prefill", 288), ("prefill", 300),
    ]  # fmt: skip


async def test_a_batch_that_takes_long_is_said_to_be_read_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.attempt.PREFILL_S", 0.0)
    monkeypatch.setattr("worker.texts.ALIVE_S", 0.0)
    engine = Counting()
    engine.gate.clear()
    told, said = asyncio.Event(), list[ToCoordinator]()

    def say(message: ToCoordinator) -> None:
        said.append(message)
        told.set()

    attempt = Attempt(OFFER, KEY, say=say, clock=lambda: 1)
    running = asyncio.create_task(attempt.run(engine))  # type: ignore[arg-type]  # of an engine it has what is used
    await told.wait()
    engine.gate.set()
    assert isinstance(await running, Done)
    assert [one.done for one in said if isinstance(one, Progress)][:1] == [0]


async def test_a_cancelled_attempt_reads_no_further_batch() -> None:
    engine = Counting()
    engine.gate.clear()
    running = asyncio.create_task(done(engine, inputs=["abc"] * 100))
    await engine.asked.wait()
    running.cancel()
    await asyncio.wait((running,))
    assert (running.cancelled(), engine.batches) == (True, [32])


@pytest.mark.parametrize("vector", [packed([math.nan, 0.0]), packed([0.0, 0.0]), packed([2.0, 0.0])])
async def test_what_the_coordinator_would_reject_is_not_signed(vector: bytes) -> None:
    result, _ = await done(Counting(vector))
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("engine_error", True)


async def test_an_engine_that_refuses_is_passed_on_in_its_words() -> None:
    class Refusing(Counting):
        async def embed(self, texts: list[str]) -> wire.Embedded:
            raise RequestFailedError(wire.Failed(0, "context_length_exceeded", "too long", retryable=False))

    result, _ = await done(Refusing())
    assert isinstance(result, Failed)
    assert (result.code, result.message, result.retryable) == ("context_length_exceeded", "too long", False)
