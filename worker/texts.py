"""A task that makes no tokens: texts are embedded or scored, a batch at a time."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from shared.protocol.messages import OfferBody
from shared.vectors import UnsoundVectors, check_scores, check_vectors, lines_of, packed
from worker.engine.face import Engine
from worker.engine.process import RequestFailedError
from worker.engine.wire import Failed, Finished

MOST: Final = 32
MOST_CHARACTERS: Final = 8192
"""About what an engine computes in one step: between two batches progress is told, and a cancelled attempt ends."""
ALIVE_S: Final = 5.0
"""How often it is told within a batch that it is still read: a large model may need long for one text."""

_Told = TypeVar("_Told")


async def read_texts(engine: Engine, offer: OfferBody, progress: Callable[[int], None]) -> Finished | Failed:
    """The vectors or scores of the offer's inputs as the text of a result, or why there are none; `progress` is told how
    many tokens are read, after each batch and every 5 s within one."""
    started = asyncio.get_running_loop().time()
    try:
        text, tokens_in = await (_ranked if offer.task == "rank" else _embedded)(engine, offer.inputs, progress)
    except RequestFailedError as error:
        return error.failed
    except UnsoundVectors as error:
        return Failed(0, "engine_error", f"the engine's result is unsound: {error}", retryable=True)
    spent = asyncio.get_running_loop().time() - started
    return Finished(0, "stop", text, tokens_in, 0, prefill_ms=round(spent * 1000), decode_ms=0)


def batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in their order, in batches of at least one."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == MOST or size + len(text) > MOST_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


async def _alive(call: Coroutine[Any, Any, _Told], say: Callable[[], None]) -> _Told:
    """What the call returns, saying every 5 s that it is waited for."""
    running = asyncio.create_task(call)
    try:
        while not (await asyncio.wait((running,), timeout=ALIVE_S))[0]:
            say()
        return running.result()
    finally:
        running.cancel()


async def _embedded(engine: Engine, texts: Sequence[str], progress: Callable[[int], None]) -> tuple[str, int]:
    vectors: list[bytes] = []
    tokens_in = 0
    for batch in batches(texts):
        told = await _alive(engine.embed(batch), partial(progress, tokens_in))
        vectors += told.vectors
        tokens_in += told.tokens_in
        progress(tokens_in)
    text = lines_of(vectors)
    check_vectors(text, len(texts))
    return text, tokens_in


async def _ranked(engine: Engine, texts: Sequence[str], progress: Callable[[int], None]) -> tuple[str, int]:
    query, *documents = texts
    scores: list[float] = []
    tokens_in = 0
    for batch in batches(documents):
        told = await _alive(engine.rank(query, batch), partial(progress, tokens_in))
        scores += told.scores
        tokens_in += told.tokens_in
        progress(tokens_in)
    text = lines_of([packed(scores)])
    check_scores(text, len(documents))
    return text, tokens_in
