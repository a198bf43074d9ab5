"""Jobs go only to workers whose engine, price and owner fit what they need, and results tell of engine and cache."""

import asyncio
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from coordinator.dispatch.channel import Ended, Token
from coordinator.match.needs import Need
from coordinator.queue.lifecycle import State
from shared.protocol.messages import Accept, Offer
from tests.swarm.floor import MODEL, Floor, rest
from tests.swarm.scripted import ScriptedWorker

WEAK = msgspec.structs.replace(MODEL, verifiability="weak")
ANSWER = "The capital of Italy is Rome."


@pytest.mark.parametrize(
    ("unfit", "asked"),
    [
        ({"model": WEAK}, {"needs": int(Need.SEEDED)}),
        ({"price_floor": 2_000}, {"price": 11}),
        ({}, {"needs": int(Need.OWN), "owner": uuid4()}),
    ],
)
async def test_a_worker_that_does_not_fit_is_not_offered_the_job(
    floor: Floor, unfit: dict[str, Any], asked: dict[str, Any]
) -> None:
    kind, open_kind = await floor.kind(**asked), await floor.kind()
    worker = floor.worker(says=ANSWER, **unfit)
    async with worker.connected(floor.url):
        waiting = await floor.submit(kind)
        taken = await floor.submit(open_kind) if "price_floor" not in unfit else await floor.submit(
            await floor.kind(price=12)
        )  # fmt: skip
        assert (await floor.ended(taken)).status is State.COMPLETED
        assert (await floor.view(waiting)).status is State.PENDING
        counts = floor.dispatch.hub.counts(kind)
        assert (counts.online, counts.eligible, counts.possible) == (1, 0, 0)
    assert worker.offers.qsize() == 1


async def test_a_weak_result_stands_and_says_that_it_is(floor: Floor) -> None:
    weak = floor.worker(says=ANSWER, model=WEAK)
    async with weak.connected(floor.url):
        view = await floor.ended(await floor.submit(await floor.kind()))
        assert (await weak.acks.get()).verdict == "accepted"
    assert (view.status, view.result_text) == (State.COMPLETED, ANSWER)


async def test_a_weak_worker_cannot_sign_as_if_it_were_not(floor: Floor) -> None:
    async def lie(worker: ScriptedWorker, offer: Offer) -> None:
        ids, texts = worker.answer(offer.body)
        await worker.send(worker.result(offer.body, ids, "".join(texts), verifiability="seeded"))

    weak = floor.worker(says=ANSWER, model=WEAK, script=lie)
    async with weak.connected(floor.url):
        await floor.submit(await floor.kind())
        ack = await weak.acks.get()
    assert (ack.verdict, ack.reason) == ("rejected", "verifiability does not fit the offer")


async def test_only_a_seeded_worker_goes_on_from_the_tokens_of_another(floor: Floor) -> None:
    dying = floor.worker(says=ANSWER, gate=asyncio.Event())
    weak, heir = floor.worker(says=ANSWER, model=WEAK), floor.worker(says=ANSWER)
    async with dying.connected(floor.url):
        reader = await floor.read(await floor.kind())
        await anext(event async for event in reader if isinstance(event, Token))
        async with weak.connected(floor.url), heir.connected(floor.url):
            dying.cut()
            last = (await rest(reader))[-1]
    assert isinstance(last, Ended)
    assert (last.view.status, last.view.result_text, last.view.worker_pk) == (State.COMPLETED, ANSWER, heir.pk)
    assert weak.offers.empty()


@pytest.mark.parametrize(("said", "kept"), [(0, 0), (4, 4), (10**6, len("Say hello."))])
async def test_what_of_the_prompt_was_cached_is_kept_and_is_never_more_than_the_prompt(
    floor: Floor, said: int, kept: int
) -> None:
    async def cached(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))
        ids, texts = worker.answer(offer.body)
        done = worker.result(offer.body, ids, "".join(texts))
        await worker.send(msgspec.structs.replace(done, cached_tokens=said))

    worker = floor.worker(says=ANSWER, script=cached)
    async with worker.connected(floor.url):
        view = await floor.ended(await floor.submit(await floor.kind()))
    assert (view.cached_tokens, view.tokens_in) == (kept, len("Say hello."))
