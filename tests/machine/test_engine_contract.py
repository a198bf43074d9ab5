"""What every engine must do, whoever makes the tokens: ours over llama.cpp, and the one in front of a real llama-server."""

import asyncio
import math
import os
import signal
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import pytest
from nacl.signing import SigningKey

from coordinator.verify.checks import Expected, check
from shared.crypto import public_key
from shared.protocol.messages import Done, Message, OfferBody, Sampling
from shared.receipt import sign_receipt
from shared.tokens import Vocabulary
from tests.machine.coordinator_double import body, model_file
from tests.machine.engine_run import ending, events, ids_of, request, text_of
from tests.machine.llama_server import LlamaServer, started
from worker.engine.face import Engine
from worker.engine.process import Engine as LlamaEngine, RequestFailedError
from worker.engine.wire import Failed, Finished, Generate, Made, OfRequest, Prefill
from worker.receipts import Work, receipt_of
from worker.remote.engine import RemoteEngine
from worker.remote.upstream import Upstream

VOCABULARY = Vocabulary(model_file())
GREEDY = Sampling(temperature=0)
ENDLESS = "a a a a a a a a a a a a"
"""The bundled model goes on with it for seconds: what is killed meanwhile has not said all of it yet."""
KEY = SigningKey(b"\1" * 32)
Kind = Literal["llama.cpp", "openai"]


class Case:
    """A running engine, and what kills and brings back whoever makes its tokens."""

    def __init__(
        self, kind: Kind, it: Engine, kill: Callable[[], Awaitable[None]], revive: Callable[[], Awaitable[None]]
    ):
        self.kind, self.it, self.kill, self.revive = kind, it, kill, revive


@pytest.fixture(params=["llama.cpp", "openai"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@asynccontextmanager
async def running(it: Engine) -> AsyncIterator[None]:
    task = asyncio.create_task(it.run())
    try:
        await it.ready()
        yield
    finally:
        await it.stop()
        await task


@asynccontextmanager
async def case(kind: Kind, *, slots: int = 2, context: int = 2048) -> AsyncIterator[Case]:
    """An engine of this kind with its model loaded."""
    async with (_ours if kind == "llama.cpp" else _theirs)(slots, context) as found:
        yield found


@asynccontextmanager
async def _ours(slots: int, context: int) -> AsyncIterator[Case]:
    it = LlamaEngine(model_file(), slots=slots, context=context)

    async def kill() -> None:
        assert it.pid is not None
        os.kill(it.pid, signal.SIGKILL)

    async def revive() -> None:
        """It comes back by itself."""

    async with running(it):
        yield Case("llama.cpp", it, kill, revive)


@asynccontextmanager
async def _theirs(slots: int, context: int) -> AsyncIterator[Case]:
    parameters: dict[str, Any] = {"n_parallel": slots, "n_ctx": slots * context, "embedding": True}
    servers: list[LlamaServer] = [await started(**parameters)]
    said = Upstream(url=servers[0].url, models={"hive-nano": "nano"}, slots=slots)
    it = RemoteEngine(said, "nano", model_file(), context=context)

    async def kill() -> None:
        await servers[-1].kill()

    async def revive() -> None:
        servers.append(await started(**parameters, port=servers[0].port))
        it.wake()

    try:
        async with running(it):
            yield Case("openai", it, kill, revive)
    finally:
        await kill()


async def test_streamed_text_is_the_text_of_the_ids(kind: Kind) -> None:
    async with case(kind) as c:
        said = await events(c.it, request())
        assert len([event for event in said if isinstance(event, Made)]) > 5
        assert text_of(said) == VOCABULARY.detokenise(ids_of(said)).decode("utf-8", "replace")
        assert not VOCABULARY.end_ids & set(ids_of(said))
        asked = body("00" * 32, "00" * 32, messages=request().messages)
        assert ending(said).tokens_in == len(VOCABULARY.prompt_ids(asked))


async def test_a_raw_prompt_is_continued(kind: Kind) -> None:
    async with case(kind) as c:
        said = await events(c.it, request(prompt="Once upon a time", max_tokens=5))
        assert len(ids_of(said)) == 5 or ending(said).reason == "stop"


async def test_length_ends_after_exactly_so_many_tokens(kind: Kind) -> None:
    async with case(kind) as c:
        for most in (1, 3):
            said = await events(c.it, request(max_tokens=most))
            assert (len(ids_of(said)), ending(said).reason) == (most, "length")
        assert ids_of(await events(c.it, request(max_tokens=0))) == []


async def test_a_stop_string_over_pieces_cuts_the_text_before_it(kind: Kind) -> None:
    async with case(kind) as c:
        whole = text_of(await events(c.it, request(sampling=GREEDY)))
        stop = whole[9:14]
        said = await events(c.it, request(sampling=GREEDY, stop=[stop]))
        assert text_of(said) == whole[: whole.index(stop)]
        assert ending(said).reason == "stop"


async def test_a_closed_iterator_frees_its_slot(kind: Kind) -> None:
    async with case(kind, slots=1) as c, asyncio.timeout(30):
        for _ in range(3):
            async with aclosing(c.it.generate(request(max_tokens=1500))) as stream:
                async for event in stream:
                    if isinstance(event, Made):
                        break
        assert ids_of(await events(c.it, request(max_tokens=2)))


async def test_several_run_at_once_and_more_wait_their_turn(kind: Kind) -> None:
    async with case(kind, slots=2) as c:
        said = await asyncio.gather(*(events(c.it, request(seed=seed, max_tokens=30)) for seed in range(5)))
        assert all(isinstance(one[-1], Finished) for one in said)
        assert len({tuple(ids_of(one)) for one in said}) > 1


async def test_a_prompt_that_does_not_fit_is_an_error_with_the_counts(kind: Kind) -> None:
    async with case(kind, context=256) as c:
        loaded = await c.it.ready()
        assert loaded.context == 256
        said = await events(c.it, request("word " * 400))
        assert isinstance(said[-1], Failed)
        assert (said[-1].code, said[-1].retryable) == ("context_length_exceeded", False)
        assert "256" in said[-1].message
        assert ids_of(await events(c.it, request(max_tokens=2)))


async def test_a_full_context_ends_the_answer(kind: Kind) -> None:
    async with case(kind, context=256) as c:
        said = await events(c.it, request(prompt=" word" * 250, max_tokens=100))
        made = ending(said)
        assert 240 <= made.tokens_in < 256
        assert len(ids_of(said)) <= 256 - made.tokens_in + 1
        assert made.reason == "stop" or made.tokens_in + len(ids_of(said)) >= 256


async def test_what_is_told_of_reading_a_prompt_goes_up(kind: Kind) -> None:
    async with case(kind) as c:
        said = await events(c.it, request("word " * 1200, max_tokens=1))
        read = [event for event in said if isinstance(event, Prefill)]
        assert [event.done for event in read] == sorted({event.done for event in read})
        assert all(0 < event.done < event.total == ending(said).tokens_in for event in read)


async def test_embeddings_are_normalised_and_in_order(kind: Kind) -> None:
    async with case(kind) as c:
        texts = ["a fox", "the sea at night", "a fox", *(f"number {n}" for n in range(20))]
        told = await c.it.embed(texts)
        vectors = [struct.unpack(f"<{len(v) // 4}f", v) for v in told.vectors]
        assert len(vectors) == len(texts)
        assert all(math.isclose(math.fsum(x * x for x in v), 1.0, rel_tol=1e-4) for v in vectors)
        assert cosine(vectors[0], vectors[2]) > 0.999 > cosine(vectors[0], vectors[1])
        assert told.tokens_in == sum(len(VOCABULARY.text_ids(text)) for text in texts)


async def test_both_engines_embed_alike() -> None:
    async with case("llama.cpp") as ours, case("openai") as theirs:
        one, two = [(await c.it.embed(["the sea at night"])).vectors[0] for c in (ours, theirs)]
        assert cosine(struct.unpack(f"<{len(one) // 4}f", one), struct.unpack(f"<{len(two) // 4}f", two)) > 0.99


async def test_a_model_that_cannot_rank_says_so(kind: Kind) -> None:
    async with case(kind) as c:
        assert "rank" not in (await c.it.ready()).tasks
        with pytest.raises(RequestFailedError):
            await c.it.rank("a fox", ["the sea", "a vixen"])


async def test_who_makes_the_tokens_may_die_and_come_back(kind: Kind) -> None:
    async with case(kind) as c:
        said: list[OfRequest] = []
        async with aclosing(c.it.generate(request(prompt=ENDLESS, max_tokens=1500, sampling=GREEDY))) as stream:
            async for event in stream:
                if isinstance(event, Made) and not ids_of(said):
                    await c.kill()
                said.append(event)
        assert isinstance(said[-1], Failed), said[-1]
        assert (said[-1].code, said[-1].retryable) == ("engine_crashed", True)
        await c.revive()
        async with asyncio.timeout(30):
            while not isinstance((await events(c.it, request(max_tokens=2)))[-1], Finished):
                await c.it.ready()
        assert c.it.starts >= 2


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"max_tokens": 4},
        {"stop": ["e", "fox"]},
        {"stop": ["."], "sampling": GREEDY},
        {"messages": None, "prompt": "Once upon a time"},
        {"messages": [Message("system", "Answer in Greek: αβγ"), Message("user", "日本 😀?")]},
        {"sampling": Sampling(1_500_000, 950_000, 10_000, 50, 100_000, 100_000, 1_100_000), "max_tokens": 120},
    ],
)
async def test_results_pass_the_checks_of_the_coordinator(kind: Kind, terms: dict[str, Any]) -> None:
    async with case(kind) as c:
        offer = body(public_key(KEY), "ab" * 32, **terms)
        said = await events(
            c.it,
            Generate(
                0, offer.max_tokens, offer.sampling, 7, messages=offer.messages, prompt=offer.prompt, stop=offer.stop
            ),
        )
        done = _done(c, offer, said)
        expected = Expected(len(VOCABULARY.prompt_ids(offer)), "", VOCABULARY.context, weak=kind == "openai")
        receipt = receipt_of(offer, _work(c, said))
        assert check(done, receipt, offer, VOCABULARY, expected) == []


def _work(c: Case, said: list[OfRequest]) -> Work:
    end = ending(said)
    assert c.it.loaded is not None
    build = c.it.loaded.engine_build
    weak: Literal["seeded", "weak"] = "weak" if c.kind == "openai" else "seeded"
    return Work(ids_of(said), text_of(said), end.tokens_in, end.reason, 1, 2, build, weak)


def _done(c: Case, offer: OfferBody, said: list[OfRequest]) -> Done:
    work, end = _work(c, said), ending(said)
    receipt = receipt_of(offer, work)
    fields = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
    return Done(fields, sign_receipt(KEY, receipt), work.ids, work.text, end.prefill_ms, end.decode_ms)


def cosine(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    return math.fsum(a * b for a, b in zip(one, two, strict=True))
