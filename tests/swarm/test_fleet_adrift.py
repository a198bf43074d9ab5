"""The coordinator that has a job's worker dies with all that it knew, and the worker with it: whoever reads the job at another
coordinator gets the rest of it, from the worker of a third."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from coordinator.dispatch import ending
from coordinator.dispatch.between import Adrift
from coordinator.dispatch.inbox import FOR_GOOD
from coordinator.queue import sweep
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import LEASE
from coordinator.store.engine import Engine
from tests.support_nats import NatsServer, nats
from tests.support_wait import eventually
from tests.swarm.fleet import SAYS, STREAM, coordinators, known, texts, worker_of
from tests.swarm.whole import Swarm

__all__ = ["nats"]


async def dies(swarm: Swarm, job: UUID) -> None:
    """The coordinator knows nothing of a job any more, as after kill -9: it says nothing, and renews nothing. That the job has
    begun is written by then."""

    async def begun() -> bool:
        async with swarm.hive.engine.connect() as conn:
            state = await conn.scalar(text("SELECT state FROM jobs WHERE id = :id"), {"id": job})
            return bool(state == State.COMPUTING)

    await eventually(begun, 10, "a job that has begun")
    dispatch = swarm.hive.dispatch
    attempt = dispatch.hub.attempts.of_job(job)
    assert attempt is not None
    dispatch.hub.attempts.remove(attempt)
    dispatch.hub.sessions[attempt.body.worker_pk].rests_until = FOR_GOOD
    dispatch.relay.followers.drop(job)
    dispatch.relay.forget([job])


async def sweeps(swarm: Swarm, *, tells: bool) -> sweep.Swept:
    """A coordinator finds a lease that is over."""
    dispatch = swarm.hive.dispatch

    async def found() -> sweep.Swept | None:
        """What somebody has locked at the moment is passed over."""
        at = dispatch.clock() + LEASE
        swept = await sweep.one_round(swarm.hive.engine, at, partial(ending.delivered, dispatch))
        return swept if swept.lost else None

    swept = await eventually(found, 10, "a lease that is over")
    if tells:
        dispatch.bus.tell(Adrift(list(swept.adrift)))
    return swept


@pytest.mark.parametrize("bus", [True, False])
async def test_a_stream_goes_on_though_only_its_reader_knew_how_far_it_was(
    engine: Engine, database_url: str, tmp_path: Path, nats: NatsServer, bus: bool
) -> None:
    """Without the word over the bus it is found by the look."""
    async with coordinators(database_url, tmp_path, nats.url, count=3) as (here, there, yonder):
        first, second = worker_of(there, gate=asyncio.Event()), worker_of(yonder, slots=1)
        async with here.client() as http, first.connected(there.url), AsyncExitStack() as stack:
            await known(here, first)
            stream = await stack.enter_async_context(http.stream("POST", "/v1/chat/completions", json=STREAM))
            said = texts(stream.aiter_lines())
            begun = await anext(said)
            job = UUID(stream.headers["x-hive-job-id"])
            await stack.enter_async_context(second.connected(yonder.url))
            await dies(there, job)
            assert (await sweeps(yonder, tells=bus)).adrift == {job}
            assert begun + "".join([part async for part in said]) == SAYS
        offer = (await second.offers.get()).body
        assert (offer.attempt, len(offer.resume_ids)) == (2, 2)


async def test_who_reads_a_job_and_sweeps_it_hands_it_on_itself(
    engine: Engine, database_url: str, tmp_path: Path, nats: NatsServer
) -> None:
    async with coordinators(database_url, tmp_path, nats.url) as (here, there):
        first, second = worker_of(there, gate=asyncio.Event()), worker_of(here, slots=1, says=SAYS)
        async with here.client() as http, first.connected(there.url), AsyncExitStack() as stack:
            await known(here, first)
            stream = await stack.enter_async_context(http.stream("POST", "/v1/chat/completions", json=STREAM))
            said = texts(stream.aiter_lines())
            begun = await anext(said)
            await dies(there, UUID(stream.headers["x-hive-job-id"]))
            swept = await sweeps(here, tells=False)
            assert swept.adrift == set()
            async with engine.begin() as conn:  # it was swept half a minute too early
                await conn.execute(
                    text("UPDATE jobs SET ready_at = ready_at - CAST(:lease AS interval)"), {"lease": LEASE}
                )
            here.hive.hub.wake_ids(swept.again)
            await stack.enter_async_context(second.connected(here.url))
            assert begun + "".join([part async for part in said]) == SAYS
