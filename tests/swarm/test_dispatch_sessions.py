"""The workers' socket: who may join, what ends a session, and that nothing else is touched by it."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from coordinator.dispatch import watch
from coordinator.dispatch.state import SILENCE_MS
from coordinator.queue.lifecycle import State
from coordinator.store import workers
from shared.protocol.codes import CLOSE_NUMBERS
from shared.protocol.messages import (
    SUBPROTOCOL,
    Accept,
    CloseCode,
    Decline,
    Heartbeat,
    Inventory,
    Leave,
    ModelOffer,
    Offer,
    Progress,
    Tokens,
)
from tests.postgres.made import set_state
from tests.swarm.floor import DIGEST, MODEL, Floor
from tests.swarm.scripted import BERLIN, ScriptedWorker

Hostile = Callable[[ScriptedWorker], Awaitable[None]]


async def garbage(worker: ScriptedWorker) -> None:
    await worker.send_raw(b"\x00" * 100)


async def text_frame(worker: ScriptedWorker) -> None:
    await worker.send_raw('{"type":"heartbeat"}')


async def replay(worker: ScriptedWorker) -> None:
    (frame,) = worker.seal(Heartbeat(1))
    await worker.send_raw(frame)
    await worker.send_raw(frame)


async def reorder(worker: ScriptedWorker) -> None:
    (first,), (second,) = worker.seal(Heartbeat(1)), worker.seal(Heartbeat(2))
    await worker.send_raw(second)
    await worker.send_raw(first)


async def forge(worker: ScriptedWorker) -> None:
    (frame,) = worker.seal(Heartbeat(1))
    await worker.send_raw(frame[:-2] + bytes([frame[-2] ^ 1]) + frame[-1:])


async def oversize(worker: ScriptedWorker) -> None:
    await worker.send_raw(b"\x00" * ((1 << 20) + 1))


async def test_a_fault_of_ours_at_a_join_is_in_the_log_and_the_worker_may_come_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "see_models", None)
    worker = floor.worker()
    with capture_logs() as told:
        async with worker.connected(floor.url, refused=True):
            await worker.gone.wait()
    assert [entry["error"] for entry in told if entry["event"] == "a worker could not join"] == ["TypeError"]
    assert worker.close_number == CLOSE_NUMBERS[CloseCode.OVERLOAD]
    monkeypatch.undo()
    async with worker.connected(floor.url):
        assert worker.welcome is not None


@pytest.mark.parametrize(
    ("attack", "number"),
    [(garbage, 4400), (text_frame, 4400), (replay, 4400), (reorder, 4400), (forge, 4400), (oversize, 1009)],
)
async def test_a_hostile_frame_ends_its_own_session_with_a_code_and_no_other(
    floor: Floor, attack: Hostile, number: int
) -> None:
    honest, hostile = floor.worker(gate=asyncio.Event()), floor.worker(cell=BERLIN, slots=1)
    kind = await floor.kind()
    async with honest.connected(floor.url), hostile.connected(floor.url):
        await hostile.send(Leave())
        job_id = await floor.submit(await floor.kind(cell=int("871e8052affffff", 16), strict=True))
        await honest.offers.get()
        await attack(hostile)
        await hostile.gone.wait()
        assert hostile.close_number == number
        assert honest.gate is not None
        honest.gate.set()
        assert (await floor.ended(job_id)).status is State.COMPLETED
        assert floor.dispatch.hub.counts(kind).online == 1


@pytest.mark.parametrize(
    ("capabilities", "word"),
    [({"cell": "nowhere"}, "H3"), ({"cell": "841e805ffffffff"}, "resolution"), ({"slots": 0}, "slot")],
)
async def test_silly_capabilities_are_refused_with_a_reason(
    floor: Floor, capabilities: dict[str, object], word: str
) -> None:
    worker = floor.worker(**capabilities)
    async with worker.connected(floor.url, refused=True):
        assert worker.closed is not None
        assert (worker.closed.code, word in worker.closed.reason) == (CloseCode.PROTOCOL, True)
    assert floor.dispatch.hub.sessions == {}


async def test_a_billion_slots_are_sixty_four_and_unknown_models_get_nothing(floor: Floor) -> None:
    foreign = [ModelOffer("letters", "0" * 64, 4096, 1), ModelOffer("gpt-9", DIGEST, 4096, 1)]
    greedy, other = floor.worker(slots=10**9), floor.worker(models=foreign)
    kind = await floor.kind()
    async with greedy.connected(floor.url), other.connected(floor.url):
        assert floor.dispatch.hub.sessions[greedy.pk].facts.slots == 64
        counts = floor.dispatch.hub.counts(kind)
    assert (counts.registered, counts.online, counts.has_model, counts.eligible) == (2, 2, 1, 1)


async def test_a_revoked_worker_does_not_get_in(floor: Floor) -> None:
    worker = floor.worker()
    async with worker.connected(floor.url):
        pass
    async with floor.engine.begin() as conn:
        await set_state(conn, worker.pk, "revoked")
    async with worker.connected(floor.url, refused=True):
        assert worker.closed is not None
        assert worker.closed.code is CloseCode.REVOKED


async def test_a_new_connection_supersedes_the_old_one(floor: Floor) -> None:
    first = floor.worker()
    second = floor.worker(key=first.key)
    async with first.connected(floor.url), second.connected(floor.url):
        await first.gone.wait()
        assert first.closed is not None
        assert first.closed.code is CloseCode.SUPERSEDED
        job_id = await floor.submit(await floor.kind())
        assert (await floor.ended(job_id)).status is State.COMPLETED
    assert second.offers.qsize() == 1


async def test_another_host_is_not_answered_for(floor: Floor) -> None:
    port = urlsplit(floor.url).port
    with pytest.raises(InvalidStatus):
        await connect(
            "ws://evil.example/hive/worker", host="127.0.0.1", port=port, subprotocols=[Subprotocol(SUBPROTOCOL)]
        )


async def test_messages_about_attempts_of_others_change_nothing(floor: Floor) -> None:
    honest, meddler = floor.worker(gate=asyncio.Event(), says="Mine."), floor.worker(models=[])
    async with honest.connected(floor.url), meddler.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        body = (await honest.offers.get()).body
        for message in (
            Accept(body.job_id, 1),
            Progress(body.job_id, 1, "prefill"),
            Tokens(body.job_id, 1, 0, [88], "X"),
            Decline(body.job_id, 1, "no"),
            meddler.result(body, [88], "X"),
        ):
            await meddler.send(message)
        assert (await meddler.acks.get()).verdict == "late"
        assert honest.gate is not None
        honest.gate.set()
        view = await floor.ended(job_id)
    assert (view.status, view.worker_pk, view.result_text) == (State.COMPLETED, honest.pk, "Mine.")


async def test_an_attempt_without_progress_is_given_to_another_worker(floor: Floor) -> None:
    async def freeze(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))

    frozen, other = floor.worker(script=freeze), floor.worker()
    async with frozen.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        await frozen.offers.get()
        async with other.connected(floor.url):
            d = floor.dispatch
            attempt = d.hub.attempts.of_job(job_id)
            assert attempt is not None
            for session in d.hub.sessions.values():
                session.heard_at += SILENCE_MS
            watch.one_round(d, attempt.progress_at + SILENCE_MS)
            assert (await frozen.cancels.get()).attempt == 1
            view = await floor.ended(job_id)
    assert (view.status, view.worker_pk, view.attempts) == (State.COMPLETED, other.pk, 2)


async def test_a_silent_worker_is_sent_away(floor: Floor) -> None:
    worker = floor.worker()
    async with worker.connected(floor.url):
        d = floor.dispatch
        watch.one_round(d, d.now_ms() + SILENCE_MS + 1)
        await worker.gone.wait()
        assert worker.closed is not None
        assert worker.closed.code is CloseCode.SILENT
        assert d.hub.sessions == {}


async def test_a_worker_that_leaves_gets_no_more_jobs_and_leaves_the_register(floor: Floor) -> None:
    kind = await floor.kind()
    worker = floor.worker()
    async with worker.connected(floor.url):
        await worker.send(Leave(for_good=True))
        await worker.send_raw(b"x")
        await worker.gone.wait()
    counts = floor.dispatch.hub.counts(kind)
    assert (counts.registered, counts.online, counts.possible) == (0, 0, 0)
    async with floor.engine.connect() as conn:
        assert await workers.get_worker(conn, worker.pk) is None


async def test_an_inventory_changes_what_a_worker_is_offered(floor: Floor) -> None:
    worker = floor.worker(models=[])
    kind = await floor.kind()
    async with worker.connected(floor.url):
        job_id = await floor.submit(kind)
        assert floor.dispatch.hub.counts(kind).eligible == 0
        capabilities = floor.worker(models=[MODEL]).capabilities
        await worker.send(Inventory(capabilities))
        assert (await floor.ended(job_id)).status is State.COMPLETED
