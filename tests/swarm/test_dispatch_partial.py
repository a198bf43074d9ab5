"""A job that ends in mid-answer: what came of it is paid for, to the worker that made it, whatever ended it."""

import asyncio

from sqlalchemy import text

from coordinator.dispatch.channel import Token
from coordinator.dispatch.relay import Reader
from coordinator.queue.lifecycle import State
from coordinator.settle.split import split
from coordinator.store.rows import JobView
from shared.protocol.messages import Failed, Offer, Tokens
from tests.support_books import faults_in
from tests.swarm.floor import Floor, rest
from tests.swarm.scripted import ScriptedWorker

PROMPT = "Say hello." * 30
ANSWER = "The capital of Italy is Rome."
EACH = 8
"""How many tokens come before a worker waits for its gate."""


def price(tokens: int) -> int:
    return len(PROMPT) * 100 + tokens * 200


async def first_token(reader: Reader) -> None:
    await anext(event async for event in reader if isinstance(event, Token))


async def owed(floor: Floor, view: JobView) -> tuple[str, int, int]:
    """To whom the job's payable is, the worker's leg and all legs; the books hold."""
    legs = text("SELECT worker_pk, worker, worker + platform + resilience + quorum FROM payables WHERE job_id = :id")
    async with floor.engine.connect() as conn:
        assert await faults_in(conn) == []
        worker_pk, worker, whole = (await conn.execute(legs, {"id": view.id})).one()
    return worker_pk, worker, whole


async def test_a_reader_that_leaves_pays_for_what_came(floor: Floor) -> None:
    worker = floor.worker(says=ANSWER, gate=asyncio.Event())
    async with worker.connected(floor.url):
        reader = await floor.read(await floor.kind(), prompt=PROMPT)
        await first_token(reader)
        reader.close()
        await worker.cancels.get()
        view = await floor.ended(reader.job_id)
    assert (view.status, view.tokens_generated, view.cost) == (State.CANCELLED, EACH, price(EACH))
    assert (view.result_text, view.worker_pk) == (None, worker.pk)
    assert await owed(floor, view) == (worker.pk, split(price(EACH)).worker, price(EACH))


async def test_a_reader_that_leaves_before_the_first_token_pays_nothing(floor: Floor) -> None:
    async def accept_alone(worker: ScriptedWorker, offer: Offer) -> None:
        pass

    async with floor.worker(script=accept_alone).connected(floor.url) as worker:
        reader = await floor.read(await floor.kind(), prompt=PROMPT)
        await worker.offers.get()
        reader.close()
        await worker.cancels.get()
        view = await floor.ended(reader.job_id)
    assert (view.status, view.tokens_generated, view.cost) == (State.CANCELLED, 0, 0)


async def test_three_lost_workers_are_each_owed_for_their_own_tokens_once_they_sign(floor: Floor) -> None:
    kind = await floor.kind()
    reader = await floor.read(kind, prompt=PROMPT)
    workers = [floor.worker(says=ANSWER, gate=asyncio.Event()) for _ in range(3)]
    for worker in workers:
        async with worker.connected(floor.url):
            await first_token(reader)
            worker.cut()
    await rest(reader)
    view = await floor.view(reader.job_id)
    assert (view.status, view.error_code) == (State.FAILED, "workers_lost")
    assert (view.tokens_generated, view.cost) == (3 * EACH, price(3 * EACH))
    third = split(view.cost).worker // 3
    async with floor.engine.connect() as conn:
        assert await faults_in(conn) == []
        rows = await conn.execute(text("SELECT worker_pk, worker, state FROM payables ORDER BY attempt"))
        assert [tuple(row) for row in rows] == [(worker.pk, third, "unsigned") for worker in workers]


async def test_a_failure_in_mid_answer_costs_what_came_before_it(floor: Floor) -> None:
    async def break_down(worker: ScriptedWorker, offer: Offer) -> None:
        body, offset = offer.body, len(offer.body.resume_ids)
        await worker.send(Tokens(body.job_id, body.attempt, offset, [65, 66], "AB"))
        await worker.send(Failed(body.job_id, body.attempt, "engine_crashed", "the engine broke", retryable=False))

    async with floor.worker(script=break_down).connected(floor.url) as worker:
        view = await floor.ended(await floor.submit(await floor.kind(), prompt=PROMPT, reward=5000))
    assert (view.status, view.error_code, view.attempts) == (State.FAILED, "job_failed", 2)
    assert (view.tokens_generated, view.cost) == (4, 5000 * 4 // view.max_tokens)
    async with floor.engine.connect() as conn:
        assert await faults_in(conn) == []
        rows = await conn.execute(text("SELECT attempt, worker_pk, worker, state FROM payables ORDER BY attempt"))
        half = split(view.cost).worker // 2
        assert [tuple(row) for row in rows] == [(1, worker.pk, half, "unsigned"), (2, worker.pk, half, "accrued")]


async def test_what_was_streamed_of_a_rejected_result_is_not_paid_for(floor: Floor) -> None:
    go = asyncio.Event()

    async def turncoat(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Tokens(offer.body.job_id, offer.body.attempt, 0, [65, 66], "AB"))
        await go.wait()
        ids, texts = worker.answer(offer.body)
        await worker.send(worker.result(offer.body, ids, "".join(texts)))

    async with floor.worker(script=turncoat, says=ANSWER).connected(floor.url):
        reader = await floor.read(await floor.kind(), prompt=PROMPT)
        await first_token(reader)
        go.set()
        await rest(reader)
        view = await floor.view(reader.job_id)
    assert (view.status, view.tokens_generated, view.cost) == (State.FAILED, 0, 0)
    async with floor.engine.connect() as conn:
        assert await faults_in(conn) == []


async def test_a_job_that_is_cancelled_while_it_waits_for_its_next_worker_owes_the_lost_one(floor: Floor) -> None:
    lost = floor.worker(says=ANSWER, gate=asyncio.Event())
    async with lost.connected(floor.url):
        reader = await floor.read(await floor.kind(), prompt=PROMPT)
        await first_token(reader)
        lost.cut()
        await anext(event async for event in reader if getattr(event, "state", None) is State.PENDING)
    assert await floor.dispatch.relay.cancel(reader.job_id, "asked")
    view = await floor.view(reader.job_id)
    assert (view.status, view.worker_pk, view.cost) == (State.CANCELLED, None, price(EACH))
    assert await owed(floor, view) == (lost.pk, split(price(EACH)).worker, price(EACH))
    async with floor.engine.connect() as conn:
        assert await conn.scalar(text("SELECT state FROM payables")) == "unsigned"
