"""Embeddings and ranking by models that do nothing else: a tiny BERT, beside what numpy says of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from gguf import PoolingType

from shared.protocol.messages import Sampling
from shared.tokens import Vocabulary
from tests.machine.bert_model import CONTEXT, END, START, WIDTH, WORDS, Bert
from tests.machine.coordinator_double import model_file
from tests.machine.engine_run import engine, events
from worker.engine.process import Engine, RequestFailedError
from worker.engine.wire import Embedded, Failed, Finished, Generate, OfRequest

BERT = Bert()
Vector = npt.NDArray[np.float32]
POOLED: dict[PoolingType, Callable[[Vector], Vector]] = {
    PoolingType.CLS: lambda rows: rows[0],
    PoolingType.MEAN: lambda rows: np.asarray(rows.mean(0)),
    PoolingType.LAST: lambda rows: rows[-1],
}


def vectors(told: Embedded) -> list[Vector]:
    return [np.frombuffer(vector, "<f4") for vector in told.vectors]


def texts(count: int) -> list[str]:
    chance = Random(1)
    words = ["".join(chance.choices("abcdefghij", k=chance.randrange(1, 6))) for _ in range(30)]
    return [" ".join(chance.choices(words, k=chance.randrange(1, 12))) for _ in range(count)]


async def written(it: Engine) -> OfRequest:
    """The last that is said of an answer."""
    asked = Generate(0, 200, Sampling(), 1, prompt="Once upon a time")
    return (await events(it, asked))[-1]


def cosine(one: Vector, two: Vector) -> float:
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


@pytest.mark.parametrize("pooling", list(POOLED))
async def test_vectors_are_pooled_as_the_file_says_normalised_and_in_order(
    pooling: PoolingType, tmp_path: Path
) -> None:
    file = BERT.write(tmp_path / "bert.gguf", pooling)
    vocabulary, asked = Vocabulary(file), texts(5)
    async with engine(file) as it:
        told = await it.embed(asked)
        for text, vector in zip(asked, vectors(told), strict=True):
            ids = vocabulary.text_ids(text)
            assert (ids[0], ids[-1]) == (START, END)
            assert vector.shape == (WIDTH,)
            assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
            assert cosine(vector, POOLED[pooling](BERT.vectors(ids))) > 0.999
        assert told.tokens_in == sum(len(vocabulary.text_ids(text)) for text in asked)


async def test_a_vector_is_the_same_alone_and_among_others(tmp_path: Path) -> None:
    async with engine(BERT.write(tmp_path / "bert.gguf", PoolingType.CLS)) as it:
        asked = texts(40)
        together = vectors(await it.embed(asked))
        alone = [vectors(await it.embed([text]))[0] for text in asked]
        assert all(cosine(one, two) > 0.9999 for one, two in zip(together, alone, strict=True))
        both = await asyncio.gather(it.embed(asked), it.embed(asked[::-1]))
        assert [cosine(a, b) > 0.9999 for a, b in zip(vectors(both[0]), vectors(both[1])[::-1], strict=True)] == [
            True
        ] * 40


async def test_documents_are_scored_by_the_models_classifier(tmp_path: Path) -> None:
    file = BERT.write(tmp_path / "bert.gguf", PoolingType.RANK)
    vocabulary, documents = Vocabulary(file), texts(40)
    async with engine(file) as it:
        assert (await it.ready()).tasks == ("embed", "rank")
        told = await it.rank("abc de", documents)
        wanted = [BERT.score(vocabulary.pair_ids("abc de", document)) for document in documents]
        assert told.scores == pytest.approx(wanted, abs=0.02)
        assert np.std(wanted) > 0.1
        assert vectors(await it.embed(documents))[0].shape == (WIDTH,)


async def test_what_cannot_be_embedded_or_ranked_is_said_and_ends_nothing(tmp_path: Path) -> None:
    async with engine(BERT.write(tmp_path / "bert.gguf", PoolingType.CLS)) as it:
        pid = it.pid
        for ask, code in (
            (it.embed(["a " * 200]), "context_length_exceeded"),
            (it.embed(["a"] * 5000), "invalid_request"),
            (it.rank("a", ["b"]), "invalid_request"),
        ):
            with pytest.raises(RequestFailedError) as failed:
                await ask
            assert failed.value.code == code
        assert (await it.embed([])).vectors == []
        assert len((await it.embed(["", "\0", "\n", "é😀", "!" * 50, "a " * (CONTEXT - 2)])).vectors) == 6
        assert len((await it.embed(texts(1000))).vectors) == 1000
        assert it.pid == pid


async def test_a_model_that_only_embeds_says_so_when_it_is_to_write(tmp_path: Path) -> None:
    async with engine(BERT.write(tmp_path / "bert.gguf", PoolingType.CLS)) as it:
        asked = Generate(0, 5, Sampling(), 1, prompt="abc", response_format='{"type": "json_object"}')
        said = [event async for event in it.generate(asked)]
        assert isinstance(said[-1], Failed)
        assert (said[-1].code, said[-1].message) == ("invalid_request", "this model embeds texts and writes none")
        assert (await it.embed(["abc"])).tokens_in == 5


async def test_embeddings_come_beside_answers_and_both_are_whole() -> None:
    async with engine(model_file()) as it:
        asked = texts(60)
        alone = vectors(await it.embed(asked))
        writing = asyncio.create_task(written(it))
        beside = vectors(await it.embed(asked))
        assert all(cosine(one, two) > 0.999 for one, two in zip(alone, beside, strict=True))
        assert isinstance(await writing, Finished)


async def test_an_embedding_that_is_given_up_leaves_nothing_behind() -> None:
    async with engine(model_file()) as it:
        for _ in range(20):
            asking = asyncio.create_task(it.embed(texts(100)))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait((asking,))
        assert not it.busy
        assert len((await it.embed(["a fox"])).vectors) == 1


def test_a_text_may_have_more_tokens_than_bytes(tmp_path: Path) -> None:
    spelled = [word if word.startswith("[") else word.strip("\u2581") or "\u2581" for word in WORDS]
    spelled[4:30] = ["\u2581", *(f"[unused{i}]" for i in range(25))]
    vocabulary = Vocabulary(BERT.write(tmp_path / "bert.gguf", PoolingType.CLS, spelled))
    assert len(vocabulary.text_ids("a b c d e f")) == 2 + 2 * 6
