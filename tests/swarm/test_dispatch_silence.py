"""A worker that says nothing while its socket stays open, as after SIGSTOP or once the cable is pulled; time is passed in."""

import asyncio
from uuid import UUID

from coordinator.dispatch import watch
from coordinator.dispatch.attempts import Attempt, Stage
from coordinator.dispatch.channel import Ended, Token
from coordinator.dispatch.inbox import FOR_GOOD
from coordinator.dispatch.relay import Reader
from coordinator.dispatch.state import QUIET_MS, SILENCE_MS
from coordinator.dispatch.watch import GRACE_MS
from coordinator.queue.lifecycle import State
from shared.protocol.messages import CloseCode, Heartbeat
from tests.support_wait import eventually
from tests.swarm.floor import Floor, rest


def held(floor: Floor, job_id: UUID) -> Attempt:
    attempt = floor.dispatch.hub.attempts.of_job(job_id)
    assert attempt is not None
    return attempt


async def begun(floor: Floor) -> Reader:
    """A client that has read its first token."""
    reader = await floor.read(await floor.kind())
    async for event in reader:
        if isinstance(event, Token):
            return reader
    raise AssertionError("no token")


async def test_a_client_that_reads_goes_on_with_another_worker_once_a_heartbeat_is_missed(floor: Floor) -> None:
    d = floor.dispatch
    stopped, other = floor.worker(gate=asyncio.Event()), floor.worker()
    async with stopped.connected(floor.url), other.connected(floor.url):
        d.hub.sessions[other.pk].rests_until = FOR_GOOD
        reader = await begun(floor)
        session, attempt = d.hub.sessions[stopped.pk], held(floor, reader.job_id)
        d.hub.sessions[other.pk].rests_until = 0
        d.hub.sessions[other.pk].heard_at += QUIET_MS
        assert watch.one_round(d, session.heard_at + QUIET_MS - 1) == session.heard_at + QUIET_MS
        assert (session.closing, attempt.dropped_at) == (None, None)
        gone_at = session.heard_at + QUIET_MS
        assert watch.one_round(d, gone_at) == gone_at + GRACE_MS
        await stopped.gone.wait()
        assert stopped.closed is not None
        assert stopped.closed.code is CloseCode.SILENT
        watch.one_round(d, gone_at + GRACE_MS)
        ended = (await rest(reader))[-1]
        reader.close()
    assert isinstance(ended, Ended)
    view = ended.view
    assert (view.status, view.worker_pk, view.attempts, view.result_text) == (
        State.COMPLETED, other.pk, 2, other.says,
    )  # fmt: skip


async def test_nobody_reads_and_the_worker_has_three_heartbeats_and_no_lease_after_them(floor: Floor) -> None:
    d = floor.dispatch
    stopped, other = floor.worker(gate=asyncio.Event()), floor.worker()
    async with stopped.connected(floor.url), other.connected(floor.url):
        d.hub.sessions[other.pk].rests_until = FOR_GOOD
        job_id = await floor.submit(await floor.kind())
        await stopped.offers.get()
        session, attempt = d.hub.sessions[stopped.pk], held(floor, job_id)
        d.hub.sessions[other.pk].rests_until = 0
        d.hub.sessions[other.pk].heard_at += 2 * SILENCE_MS
        attempt.progress_at = session.heard_at
        watch.one_round(d, session.heard_at + SILENCE_MS - 1)
        assert (session.closing, attempt.stage is Stage.OVER) == (None, False)
        watch.one_round(d, session.heard_at + SILENCE_MS)
        assert session.closing is not None
        assert attempt.stage is Stage.OVER
        await stopped.gone.wait()
        assert (await other.offers.get()).body.job_id == str(job_id)


async def test_a_heartbeat_in_time_keeps_the_worker_of_a_client(floor: Floor) -> None:
    d = floor.dispatch
    slow = floor.worker(gate=asyncio.Event())
    async with slow.connected(floor.url):
        reader = await begun(floor)
        session = d.hub.sessions[slow.pk]
        before = session.heard_at - QUIET_MS // 2  # less than what the watch, which runs, would send it away for
        session.heard_at = before
        await slow.send(Heartbeat(1))

        async def heard() -> bool:
            return session.heard_at > before

        await eventually(heard, 10, "a heartbeat")
        watch.one_round(d, session.heard_at + QUIET_MS - 1)
        assert session.closing is None
        assert slow.gate is not None
        slow.gate.set()
        ended = (await rest(reader))[-1]
        reader.close()
    assert isinstance(ended, Ended)
    assert (ended.view.status, ended.view.attempts) == (State.COMPLETED, 1)
