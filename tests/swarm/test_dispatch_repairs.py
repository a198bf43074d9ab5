"""What others did meanwhile: the sweep, another process, the owner of a job. Readers and workers come to know it."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from coordinator.dispatch import watch
from coordinator.dispatch.attempts import Attempt
from coordinator.dispatch.channel import Ended, Token
from coordinator.dispatch.state import SILENCE_MS
from coordinator.queue import moves, sweep
from coordinator.queue.lifecycle import State
from coordinator.store import held, jobs
from shared.protocol.messages import Held
from tests.postgres.made import lose
from tests.support_wait import eventually
from tests.swarm.floor import Floor, rest, serving


def attempt_at(floor: Floor, job_id: UUID) -> Attempt:
    attempt = floor.dispatch.hub.attempts.of_job(job_id)
    assert attempt is not None
    return attempt


async def test_a_job_cancelled_by_another_process_ends_here_too(floor: Floor) -> None:
    worker = floor.worker(gate=asyncio.Event())
    async with worker.connected(floor.url):
        reader = await floor.read(await floor.kind())
        await worker.offers.get()
        async with floor.engine.begin() as conn:
            await moves.cancel(conn, reader.job_id, "elsewhere", datetime.now(UTC))
        await watch.look(floor.dispatch)
        assert (await worker.cancels.get()).job_id == str(reader.job_id)
        events = await rest(reader)
    assert isinstance(events[-1], Ended)
    assert events[-1].view.status is State.CANCELLED


async def test_a_waiting_job_whose_deadline_passes_tells_its_reader(floor: Floor) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    reader = await floor.read(await floor.kind(), deadline_at=soon)

    async def swept() -> bool:
        """What somebody has locked at the moment is passed over."""
        return bool((await sweep.one_round(floor.engine, soon + timedelta(seconds=1))).expired)

    await eventually(swept, 10, "a job whose time is over")
    await watch.look(floor.dispatch)
    events = await rest(reader)
    assert isinstance(events[-1], Ended)
    assert events[-1].view.status is State.TIMED_OUT


async def test_an_attempt_that_the_sweep_fenced_is_stopped_and_done_again(floor: Floor) -> None:
    worker = floor.worker(gate=asyncio.Event(), says="Again.", slots=1)  # it is busy until it is told to stop
    async with worker.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        await worker.offers.get()
        attempt = attempt_at(floor, job_id)
        async with floor.engine.begin() as conn:
            await lose(conn, [(*attempt.key, "the lease was over")], datetime.now(UTC))
        await watch.renew(floor.dispatch)
        assert (await worker.cancels.get()).attempt == 1
        assert worker.gate is not None
        worker.gate.set()
        view = await floor.ended(job_id)
    assert (view.status, view.result_text, view.attempts) == (State.COMPLETED, "Again.", 2)


async def test_what_is_computed_and_what_is_read_here_are_not_locked_together(floor: Floor) -> None:
    """Whoever locks jobs goes by their ids, or two of them could wait for each other."""
    worker, kind = floor.worker(gate=asyncio.Event(), slots=1), await floor.kind()
    async with worker.connected(floor.url):
        computed = await floor.submit(kind)
        await worker.offers.get()
        while (read := (await floor.read(kind)).job_id) > computed:
            pass
        async with floor.engine.begin() as conn:
            await jobs.lock(conn, [read])
            renewing = asyncio.create_task(watch.renew(floor.dispatch))

            async def waits() -> bool:
                async with floor.engine.connect() as looking:
                    return bool(await looking.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

            await eventually(waits, 10, "the renewal at the lock")
            assert computed in await jobs.lock(conn, [computed])
        await renewing


async def test_leases_are_renewed_while_the_worker_is_there_and_only_then(floor: Floor) -> None:
    worker = floor.worker(gate=asyncio.Event())
    async with worker.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        await worker.offers.get()
        before = attempt_at(floor, job_id).lease_until
        await watch.renew(floor.dispatch)
        renewed = attempt_at(floor, job_id).lease_until
        assert renewed >= before
        session = floor.dispatch.hub.sessions[worker.pk]
        worker.cut()
        while worker.pk in floor.dispatch.hub.sessions:
            await asyncio.wait_for(floor.dispatch.watch.wait(), 10)
        attempt = attempt_at(floor, job_id)
        await watch.renew(floor.dispatch)
        assert (attempt.lease_until, session.facts.pk) == (renewed, worker.pk)
        watch.one_round(floor.dispatch, attempt.lease_until - 1)
        assert attempt_at(floor, job_id) is attempt
        watch.one_round(floor.dispatch, attempt.lease_until)
        heir = floor.worker()
        async with heir.connected(floor.url):
            assert (await floor.ended(job_id)).worker_pk == heir.pk


async def test_an_offer_that_never_arrived_is_made_again_on_the_next_connection(floor: Floor) -> None:
    deaf = asyncio.Event()

    async def ignore(*_: object) -> None:
        deaf.set()

    worker = floor.worker(script=ignore)
    async with worker.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        first = await worker.offers.get()
        worker.cut()
    again = floor.worker(key=worker.key)
    async with again.connected(floor.url):
        second = await again.offers.get()
        view = await floor.ended(job_id)
    assert (second.body, view.status, view.attempts) == (first.body, State.COMPLETED, 1)


async def test_a_coordinator_that_forgot_continues_what_others_began(floor: Floor) -> None:
    """What the first worker made was written when it was lost, so the second one's result is whole after a restart too."""
    first, second = floor.worker(gate=asyncio.Event()), floor.worker(gate=asyncio.Event())
    async with first.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        await first.offers.get()
        reader = floor.dispatch.relay.open(job_id, attached=False)
        await anext(event async for event in reader if isinstance(event, Token))
        reader.close()
        async with second.connected(floor.url):
            for session in floor.dispatch.hub.sessions.values():
                session.heard_at += SILENCE_MS
            watch.one_round(floor.dispatch, attempt_at(floor, job_id).progress_at + SILENCE_MS)
            offer = await second.offers.get()
            second.cut()
    reborn = Floor(floor.engine, floor.key)
    async with serving(reborn), second.connected(reborn.url, [Held(str(job_id), offer.body.attempt, "running", 8)]):
        assert second.welcome is not None
        assert [verdict.verdict for verdict in second.welcome.resume] == ["continue"]
        ids, texts = second.answer(offer.body)
        await second.send(second.result(offer.body, ids, "".join(texts)))
        view = await reborn.ended(job_id)
    assert (len(offer.body.resume_ids), view.status, view.attempts, view.result_text) == (
        8, State.COMPLETED, 2, second.says,
    )  # fmt: skip


async def test_only_what_a_worker_still_holds_is_recalled(floor: Floor) -> None:
    worker = floor.worker(gate=asyncio.Event())
    async with worker.connected(floor.url):
        job_id = await floor.submit(await floor.kind())
        await worker.offers.get()
        async with floor.engine.connect() as conn:
            pairs = [(job_id, 1), (job_id, 2), (uuid4(), 1)]
            mine = await held.recall(conn, worker.pk, pairs, "test")
            others = await held.recall(conn, "ff" * 32, pairs, "test")
            alive = await held.alive(conn, [job_id, uuid4()])
            views = await held.ended_views(conn, [job_id])
    assert [(one.job.id, one.job.attempt) for one in mine] == [(job_id, 0)]
    assert (others, alive, views) == ([], {job_id: None}, {})
