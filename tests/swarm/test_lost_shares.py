"""A worker that was lost in mid-answer comes back, signs for what went out, and is paid for it: once, and for nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from coordinator.dispatch import standing
from coordinator.dispatch.channel import Token
from coordinator.dispatch.relay import Reader
from coordinator.queue.lifecycle import State
from coordinator.settle import unsigned
from coordinator.settle.due import SIGN
from coordinator.settle.split import split
from coordinator.store.engine import Away
from coordinator.store.rows import JobView
from shared.crypto import Context, verifies
from shared.protocol.messages import Accept, CloseCode, Failed, Held, Offer, Share, Standing, Tokens, Unsigned
from shared.receipt import ShareReceipt
from tests.support_books import faults_in
from tests.swarm.floor import Floor, rest, serving
from tests.swarm.scripted import ScriptedWorker

ANSWER = "The capital of Italy is Rome."
EACH = 8
"""How many tokens come before a worker waits for its gate."""

LATER = 120_000
"""In so many ms the books are read again for everybody."""

Lose = Callable[[ScriptedWorker], Awaitable[None]]


async def first_token(reader: Reader) -> None:
    await anext(event async for event in reader if isinstance(event, Token))


async def handed_over(floor: Floor, lost: ScriptedWorker) -> tuple[Offer, JobView]:
    """The lost worker's offer, and the job as another has finished it."""
    async with lost.connected(floor.url):
        reader = await floor.read(await floor.kind())
        await first_token(reader)
        offer = await lost.offers.get()
        async with floor.worker(says=ANSWER).connected(floor.url):
            lost.cut()
            await rest(reader)
    return offer, await floor.view(reader.job_id)


async def asked(worker: ScriptedWorker) -> list[Unsigned]:
    """What waits for the worker's signature, by the next that it is told."""
    told: Standing = await asyncio.wait_for(worker.standings.get(), 20)
    return told.unsigned


async def wanted(worker: ScriptedWorker) -> list[Unsigned]:
    """What waits for the worker's signature, as soon as it is told of any."""
    while not (told := await asked(worker)):
        pass
    return told


async def payables(floor: Floor) -> list[tuple[int, str, str, int]]:
    """What is owed, in books that hold."""
    async with floor.engine.connect() as conn:
        assert await faults_in(conn) == []
        rows = await conn.execute(text("SELECT attempt, worker_pk, state, worker FROM payables ORDER BY attempt"))
        return [tuple(row) for row in rows]


async def verdict(worker: ScriptedWorker, share: Share) -> str:
    """What the worker is told of this share."""
    key = share.receipt["job_id"]
    await worker.send(share)
    while (ack := await asyncio.wait_for(worker.acks.get(), 20)).job_id != key:
        pass
    return ack.verdict


def lost_worker(floor: Floor, **different: Any) -> ScriptedWorker:
    return floor.worker(says=ANSWER, gate=asyncio.Event(), **different)


async def test_it_is_told_signs_and_is_paid_by_the_tokens_that_it_made(floor: Floor) -> None:
    lost = lost_worker(floor)
    offer, view = await handed_over(floor, lost)
    whole = split(view.cost).worker
    mine, others = whole * EACH // len(ANSWER), whole * (len(ANSWER) - EACH) // len(ANSWER)
    assert (view.status, view.result_text) == (State.COMPLETED, ANSWER)
    assert await payables(floor) == [(1, lost.pk, "unsigned", mine), (2, view.worker_pk, "accrued", others)]
    share = lost.share(offer.body, lost.answer(offer.body)[0][:EACH])
    async with lost.connected(floor.url):
        (waiting,) = await wanted(lost)
        assert waiting == Unsigned(str(view.id), 1, EACH, share.receipt["chain_head"], mine)
        await lost.send(share)
        ack = await asyncio.wait_for(lost.acks.get(), 20)
        assert (ack.job_id, ack.attempt, ack.verdict) == (str(view.id), 1, "accepted")
        said = {"receipt": share.receipt, "worker": share.signature}
        assert verifies(lost.server_pk, Context.COUNTERSIGN, said, ack.coordinator_signature)
        assert await verdict(lost, share) == "duplicate"
        await standing.one_round(floor.dispatch, floor.dispatch.now_ms() + LATER)
        while not (told := await asyncio.wait_for(lost.standings.get(), 20)).held:
            pass
        assert (told.unsigned, told.held, told.earned_today) == ([], mine, mine)
    assert await payables(floor) == [(1, lost.pk, "accrued", mine), (2, view.worker_pk, "accrued", others)]


async def give_up(worker: ScriptedWorker, offer: Offer) -> None:
    """As a worker does whose owner needs the machine, once its gate is open."""
    assert worker.gate is not None
    body = offer.body
    await worker.send(Tokens(body.job_id, body.attempt, 0, [84, 104], "Th"))
    await worker.gate.wait()
    await worker.send(Failed(body.job_id, body.attempt, "paused", "the owner needs it", retryable=True))


async def test_a_worker_that_gave_up_and_is_still_here_is_told_once_the_job_is_done(floor: Floor) -> None:
    tired, needed = floor.worker(script=give_up), asyncio.Event()
    tired.gate = needed
    async with tired.connected(floor.url):
        reader = await floor.read(await floor.kind())
        offer = await tired.offers.get()
        await first_token(reader)
        async with floor.worker(says=ANSWER).connected(floor.url):
            needed.set()  # alone it would get the job again, and lose it for good
            await rest(reader)
        await standing.one_round(floor.dispatch, floor.dispatch.now_ms() + LATER)
        (waiting,) = await wanted(tired)
        assert (waiting.attempt, waiting.tokens) == (1, 2)
        assert await verdict(tired, tired.share(offer.body, [84, 104])) == "accepted"


async def test_a_worker_that_was_only_stopped_brings_its_result_too_late_and_still_signs(floor: Floor) -> None:
    lost = lost_worker(floor)
    offer, view = await handed_over(floor, lost)
    ids, texts = lost.answer(offer.body)
    async with lost.connected(floor.url, [Held(str(view.id), 1, "done", len(ids))]):
        assert lost.welcome is not None
        assert [one.verdict for one in lost.welcome.resume] == ["abandon"]
        await lost.send(lost.result(offer.body, ids, "".join(texts)))
        assert (await lost.acks.get()).verdict == "late"
        (waiting,) = await wanted(lost)
        assert await verdict(lost, lost.share(offer.body, ids[: waiting.tokens])) == "accepted"


async def test_it_may_sign_at_another_coordinator(floor: Floor) -> None:
    lost = lost_worker(floor)
    offer, _ = await handed_over(floor, lost)
    other = Floor(floor.engine, floor.key)
    other.dispatch.name = "other"
    share = lost.share(offer.body, lost.answer(offer.body)[0][:EACH])
    async with serving(other), lost.connected(other.url):
        assert len(await wanted(lost)) == 1
        assert await verdict(lost, share) == "accepted"
    async with lost.connected(floor.url):
        assert await verdict(lost, share) == "duplicate"


@pytest.mark.parametrize(
    "lie", [{"tokens_out": EACH + 1}, {"chain_head": "0" * 64}, {"offset": 1}, {"model_digest": "0" * 64}]
)
async def test_a_lie_is_rejected_and_changes_nothing(floor: Floor, lie: dict[str, Any]) -> None:
    lost = lost_worker(floor)
    offer, _ = await handed_over(floor, lost)
    ids = lost.answer(offer.body)[0][:EACH]
    async with lost.connected(floor.url):
        assert await verdict(lost, lost.share(offer.body, ids, **lie)) == "rejected"
        assert (await payables(floor))[0][2] == "unsigned"
        assert await verdict(lost, lost.share(offer.body, ids)) == "accepted"
        assert await verdict(lost, lost.share(offer.body, ids, **lie)) == "rejected"
    assert (await payables(floor))[0][2] == "accrued"


async def test_nobody_signs_for_another(floor: Floor) -> None:
    lost = lost_worker(floor)
    offer, _ = await handed_over(floor, lost)
    share = lost.share(offer.body, lost.answer(offer.body)[0][:EACH])
    async with floor.worker().connected(floor.url) as thief:
        assert await asked(thief) == []
        assert await verdict(thief, share) == "rejected"
        own = thief.share(offer.body, lost.answer(offer.body)[0][:EACH], worker_pk=thief.pk)
        assert await verdict(thief, own) == "late"
        for attempt in (2, 2**31, 2**53 - 1):
            assert await verdict(thief, thief.share(offer.body, [], worker_pk=thief.pk, attempt=attempt)) == "late"
    assert (await payables(floor))[0][2] == "unsigned"


@pytest.mark.parametrize(
    "broken", [{}, {"job_id": "none"}, {"job_id": "{00000000-0000-0000-0000-000000000000}"}, {"x": 1}]
)
async def test_a_share_without_its_receipt_ends_the_session(floor: Floor, broken: dict[str, Any]) -> None:
    lost = lost_worker(floor)
    offer, _ = await handed_over(floor, lost)
    share = lost.share(offer.body, [])
    receipt = share.receipt | broken if broken else {}
    async with lost.connected(floor.url):
        await lost.send(msgspec.structs.replace(share, receipt=receipt))
        await lost.gone.wait()
    assert lost.closed is not None
    assert lost.closed.code is CloseCode.PROTOCOL


async def test_who_does_not_know_of_shares_works_on_and_after_a_day_its_part_is_the_funds(floor: Floor) -> None:
    lost = lost_worker(floor)
    offer, view = await handed_over(floor, lost)
    assert lost.gate is not None
    lost.gate.set()
    assert view.completed_at is not None
    async with lost.connected(floor.url):
        assert len(await wanted(lost)) == 1
        assert (await floor.ended(await floor.submit(await floor.kind()))).worker_pk == lost.pk
        assert await unsigned.one_round(floor.engine, view.completed_at + SIGN) == 1
        assert await verdict(lost, lost.share(offer.body, lost.answer(offer.body)[0][:EACH])) == "late"
    assert (1, lost.pk, "ready", 0) in await payables(floor)


async def test_while_the_database_is_away_nothing_is_lost_and_it_is_asked_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = lost_worker(floor)
    offer, _ = await handed_over(floor, lost)
    share, real, tried = lost.share(offer.body, lost.answer(offer.body)[0][:EACH]), unsigned.sign, asyncio.Event()

    async def away_once(*told: Any) -> Any:
        if not tried.is_set():
            tried.set()
            raise Away("the database went away")
        return await real(*told)

    monkeypatch.setattr(unsigned, "sign", away_once)
    async with lost.connected(floor.url):
        assert len(await wanted(lost)) == 1
        await lost.send(share)
        await tried.wait()
        await standing.one_round(floor.dispatch, floor.dispatch.now_ms() + LATER)
        assert len(await wanted(lost)) == 1
        assert await verdict(lost, share) == "accepted"


async def test_a_worker_that_made_nothing_has_nothing_to_sign(floor: Floor) -> None:
    async def accept_alone(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))

    lost = floor.worker(script=accept_alone)
    async with lost.connected(floor.url):
        reader = await floor.read(await floor.kind())
        offer = await lost.offers.get()
        async with floor.worker(says=ANSWER).connected(floor.url):
            lost.cut()
            await rest(reader)
    async with lost.connected(floor.url):
        assert await asked(lost) == []
        assert await verdict(lost, lost.share(offer.body, [])) == "late"
    view = await floor.view(reader.job_id)
    assert await payables(floor) == [(2, view.worker_pk, "accrued", split(view.cost).worker)]


async def test_what_was_signed_is_kept_with_both_signatures(floor: Floor) -> None:
    lost = lost_worker(floor)
    offer, view = await handed_over(floor, lost)
    async with lost.connected(floor.url):
        assert await verdict(lost, lost.share(offer.body, lost.answer(offer.body)[0][:EACH])) == "accepted"
    async with floor.engine.connect() as conn:
        row = (await conn.execute(text("SELECT * FROM shares"))).one()
    share = msgspec.json.decode(row.receipt, type=ShareReceipt)
    assert (share.job_id, share.attempt, share.tokens_out, share.engine_build) == (str(view.id), 1, EACH, "scripted-1")
    body = msgspec.to_builtins(share)
    assert verifies(lost.pk, Context.SHARE, body, row.worker_signature)
    said = {"receipt": body, "worker": row.worker_signature}
    assert verifies(row.coordinator_pk, Context.COUNTERSIGN, said, row.coordinator_signature)
