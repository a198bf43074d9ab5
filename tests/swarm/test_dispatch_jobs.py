"""The way of a job through dispatch: offered, streamed, checked, ended, acknowledged; and what else can become of it."""

import asyncio
from typing import Any

import pytest

from coordinator.dispatch import rounds
from coordinator.dispatch.channel import Ended, JobEvent, Status, Token
from coordinator.queue import moves
from coordinator.queue.lifecycle import State
from coordinator.store.engine import Away
from coordinator.store.rows import JobView
from shared.protocol.messages import Accept, Decline, Failed, Held, Offer, Tokens
from tests.swarm.floor import Floor, rest, serving
from tests.swarm.scripted import BERLIN, NEW_YORK, ROME, ScriptedWorker

ANSWER = "The capital of Italy is Rome."


def text_of(events: list[JobEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def states_of(events: list[JobEvent]) -> list[State]:
    return [event.state for event in events if isinstance(event, Status)]


def end_of(events: list[JobEvent]) -> JobView:
    assert isinstance(events[-1], Ended)
    return events[-1].view


async def test_a_job_is_streamed_completed_and_acknowledged(floor: Floor) -> None:
    worker = floor.worker(says=ANSWER)
    async with worker.connected(floor.url):
        events = await rest(await floor.read(await floor.kind()))
        ack = await worker.acks.get()
    view = end_of(events)
    assert text_of(events) == ANSWER
    assert states_of(events) == [State.ASSIGNED, State.COMPUTING]
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert (view.status, view.result_text, view.worker_pk) == (State.COMPLETED, ANSWER, worker.pk)
    assert (view.finish_reason, view.tokens_generated, view.attempts) == ("stop", len(ANSWER), 1)
    assert (ack.verdict, len(ack.coordinator_signature)) == ("accepted", 128)


async def test_a_worker_that_dies_in_mid_answer_is_replaced_without_the_reader_noticing(floor: Floor) -> None:
    dying = floor.worker(says=ANSWER, gate=asyncio.Event())
    async with dying.connected(floor.url):
        reader = await floor.read(await floor.kind())
        first = await dying.offers.get()
        await anext(event async for event in reader if isinstance(event, Token))
        heir = floor.worker(says=ANSWER, cell=BERLIN)
        async with heir.connected(floor.url):
            dying.cut()
            events = await rest(reader)
            second = await heir.offers.get()
    view = end_of(events)
    assert (view.status, view.result_text, view.worker_pk, view.attempts) == (State.COMPLETED, ANSWER, heir.pk, 2)
    assert ANSWER[:8] + text_of(events) == ANSWER
    assert bytes(second.body.resume_ids).decode() == ANSWER[:8]
    assert (first.body.attempt, second.body.attempt, first.body.seed) == (1, 2, second.body.seed)


async def test_a_worker_that_comes_back_within_its_lease_goes_on_with_the_same_attempt(floor: Floor) -> None:
    worker = floor.worker(says=ANSWER, gate=asyncio.Event())
    kind = await floor.kind()
    async with worker.connected(floor.url):
        job_id = await floor.submit(kind)
        offer = await worker.offers.get()
        reader = floor.dispatch.relay.open(job_id, attached=False)
        await anext(event async for event in reader if isinstance(event, Token))
        reader.close()
        worker.cut()
    held = Held(offer.body.job_id, 1, "running", 8)
    async with worker.connected(floor.url, [held]):
        assert worker.welcome is not None
        assert [verdict.verdict for verdict in worker.welcome.resume] == ["continue"]
        ids, texts = worker.answer(offer.body)
        await worker.send(Tokens(offer.body.job_id, 1, 0, ids[:12], "".join(texts[:12])))
        await worker.send(worker.result(offer.body, ids, "".join(texts)))
        view = await floor.ended(job_id)
    assert (view.status, view.result_text, view.attempts) == (State.COMPLETED, ANSWER, 1)


async def test_a_result_survives_the_coordinator_and_is_delivered_to_the_next_one(floor: Floor) -> None:
    worker = floor.worker(says=ANSWER, gate=asyncio.Event())
    async with worker.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        offer = await worker.offers.get()
        worker.cut()
    ids, texts = worker.answer(offer.body)
    reborn = Floor(floor.engine, floor.key)
    async with serving(reborn), worker.connected(reborn.url, [Held(offer.body.job_id, 1, "done", len(ids))]):
        assert worker.welcome is not None
        assert [verdict.verdict for verdict in worker.welcome.resume] == ["deliver"]
        await worker.send(worker.result(offer.body, ids, "".join(texts)))
        ack = await worker.acks.get()
    view = await floor.view(job_id)
    assert (ack.verdict, view.status, view.result_text, view.attempts) == ("accepted", State.COMPLETED, ANSWER, 1)


async def test_a_fenced_result_is_late_and_changes_nothing(floor: Floor) -> None:
    slow = floor.worker(says="Too late.", script=_accept_only)
    async with slow.connected(floor.url):
        reader = await floor.read(await floor.kind())
        offer = await slow.offers.get()
        slow.cut()
        heir = floor.worker(says=ANSWER)
        async with heir.connected(floor.url):
            view = end_of(await rest(reader))
    async with slow.connected(floor.url, [Held(offer.body.job_id, 1, "done", 3)]):
        assert slow.welcome is not None
        assert [verdict.verdict for verdict in slow.welcome.resume] == ["abandon"]
        ids, texts = slow.answer(offer.body)
        await slow.send(slow.result(offer.body, ids, "".join(texts)))
        ack = await slow.acks.get()
    assert ack.verdict == "late"
    assert await floor.view(view.id) == view


@pytest.mark.parametrize(
    "lie",
    [
        {"chain_head": "0" * 64},
        {"tokens_out": 1},
        {"model_digest": "0" * 64},
        {"finish_reason": "length"},
        {"worker_pk": "0" * 64},
        {"cell": "841e9bdffffffff"},
    ],
)
async def test_a_result_that_does_not_stand_is_rejected_and_done_again_elsewhere(
    floor: Floor, lie: dict[str, Any]
) -> None:
    go = asyncio.Event()

    async def cheat(worker: ScriptedWorker, offer: Offer) -> None:
        await go.wait()
        ids, texts = worker.answer(offer.body)
        await worker.send(worker.result(offer.body, ids, "".join(texts), **lie))

    liar, honest = floor.worker(script=cheat), floor.worker(says=ANSWER)
    async with liar.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        await liar.offers.get()
        async with honest.connected(floor.url):
            go.set()
            ack = await liar.acks.get()
            view = await floor.ended(job_id)
    assert ack.verdict == "rejected"
    assert (view.status, view.worker_pk, view.result_text) == (State.COMPLETED, honest.pk, ANSWER)


async def test_a_result_unlike_what_was_streamed_fails_a_job_that_was_read(floor: Floor) -> None:
    go = asyncio.Event()

    async def turncoat(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Tokens(offer.body.job_id, offer.body.attempt, 0, [65, 66], "AB"))
        await go.wait()
        ids, texts = worker.answer(offer.body)
        await worker.send(worker.result(offer.body, ids, "".join(texts)))

    worker = floor.worker(script=turncoat, says=ANSWER)
    async with worker.connected(floor.url):
        reader = await floor.read(await floor.kind())
        await anext(event async for event in reader if isinstance(event, Token))
        go.set()
        view = end_of(await rest(reader))
        ack = await worker.acks.get()
    assert (ack.verdict, view.status, view.error_code, view.attempts) == ("rejected", State.FAILED, "job_failed", 1)


async def test_a_declined_offer_goes_to_another_worker_and_costs_nothing(floor: Floor) -> None:
    async def decline(worker: ScriptedWorker, offer: Offer) -> None:
        await willing.welcomed.wait()  # were nobody else there it would be asked again in a second
        await worker.send(Decline(offer.body.job_id, offer.body.attempt, "not now"))

    busy, willing = floor.worker(script=decline), floor.worker(says=ANSWER)
    async with busy.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        await busy.offers.get()
        async with willing.connected(floor.url):
            view = await floor.ended(job_id)
    assert (view.status, view.worker_pk, view.attempts) == (State.COMPLETED, willing.pk, 2)


@pytest.mark.parametrize(("retryable", "status", "attempts"), [(True, State.FAILED, 3), (False, State.FAILED, 2)])
async def test_a_failure_is_tried_again_only_where_that_can_help(
    floor: Floor, retryable: bool, status: State, attempts: int
) -> None:
    async def break_down(worker: ScriptedWorker, offer: Offer) -> None:
        body = offer.body
        await worker.send(Failed(body.job_id, body.attempt, "engine_crashed", "the engine broke", retryable))

    async with floor.worker(script=break_down).connected(floor.url):
        view = await floor.ended(await floor.submit(await floor.kind()))
    assert (view.status, view.attempts) == (status, attempts)


async def test_one_worker_that_calls_a_job_impossible_is_not_believed(floor: Floor) -> None:
    async def refuse(worker: ScriptedWorker, offer: Offer) -> None:
        body = offer.body
        await worker.send(Failed(body.job_id, body.attempt, "impossible", "nobody can do this", retryable=False))

    liar, honest = floor.worker(script=refuse, slots=4), floor.worker(says=ANSWER, slots=2)
    kind = await floor.kind()
    async with liar.connected(floor.url), honest.connected(floor.url):
        ids = [await floor.submit(kind) for _ in range(6)]
        views = [await floor.ended(job_id) for job_id in ids]
    assert not liar.offers.empty()
    assert {(view.status, view.worker_pk) for view in views} == {(State.COMPLETED, honest.pk)}


async def test_a_reader_that_leaves_cancels_the_job_and_frees_the_slot(floor: Floor) -> None:
    worker = floor.worker(says=ANSWER, slots=1, gate=asyncio.Event())
    kind = await floor.kind()
    async with worker.connected(floor.url):
        reader = await floor.read(kind)
        await worker.offers.get()
        reader.close()
        cancel = await worker.cancels.get()
        assert cancel.job_id == str(reader.job_id)
        assert (await floor.ended(reader.job_id)).status is State.CANCELLED
        assert worker.gate is not None
        worker.gate.set()
        view = await floor.ended(await floor.submit(kind))
    assert (view.status, view.worker_pk) == (State.COMPLETED, worker.pk)


async def test_a_reader_of_events_alone_never_cancels(floor: Floor) -> None:
    worker = floor.worker(says=ANSWER, gate=asyncio.Event())
    async with worker.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        onlooker = floor.dispatch.relay.open(job_id, attached=False)
        await worker.offers.get()
        onlooker.close()
        assert worker.gate is not None
        worker.gate.set()
        assert (await floor.ended(job_id)).status is State.COMPLETED


async def test_no_acknowledgement_before_the_commit(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    away, back = asyncio.Event(), asyncio.Event()
    real = moves.apply

    async def gone_once(conn: Any, told: moves.Reports, now: Any) -> moves.Reported:
        if told.finished and not back.is_set():
            away.set()
            raise Away("the database went away")
        return await real(conn, told, now)

    monkeypatch.setattr(moves, "apply", gone_once)
    worker = floor.worker(says=ANSWER)
    async with worker.connected(floor.url):
        reader = await floor.read(await floor.kind())
        await away.wait()
        assert worker.acks.empty()
        assert not any(isinstance(event, Ended) for event in iter(reader.next_event, None))
        back.set()
        assert (await worker.acks.get()).verdict == "accepted"
        assert end_of(await rest(reader)).status is State.COMPLETED


async def test_jobs_for_the_eu_never_reach_new_york(floor: Floor) -> None:
    workers = [floor.worker(cell=cell, slots=8, says=cell) for cell in (ROME, BERLIN, NEW_YORK)]
    kind = await floor.kind(region="DE,IT", countries=("DE", "IT"))
    async with workers[0].connected(floor.url), workers[1].connected(floor.url), workers[2].connected(floor.url):
        ids = [await floor.submit(kind) for _ in range(40)]
        served = {(await floor.ended(job_id)).worker_pk for job_id in ids}
    assert served == {workers[0].pk, workers[1].pk}
    assert workers[2].offers.empty()


async def test_a_worker_never_gets_more_than_its_slots(floor: Floor) -> None:
    worker = floor.worker(slots=2, gate=asyncio.Event(), says=ANSWER)
    kind = await floor.kind()
    async with worker.connected(floor.url):
        ids = [await floor.submit(kind) for _ in range(5)]
        await worker.offers.get()
        await worker.offers.get()
        await rounds.one_round(floor.dispatch)
        assert worker.offers.empty()
        assert worker.gate is not None
        worker.gate.set()
        assert {(await floor.ended(job_id)).status for job_id in ids} == {State.COMPLETED}


async def _accept_only(worker: ScriptedWorker, offer: Offer) -> None:
    await worker.send(Accept(offer.body.job_id, offer.body.attempt))
