"""What a coordinator remembers of its workers: who read a prompt's beginning, who loses jobs, and for how long."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from coordinator.dispatch import memory
from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView, NewJob
from coordinator.submit.request import JobRequest
from shared.protocol.messages import Failed, Message, Offer
from tests.swarm.floor import Floor
from tests.swarm.http_hive import until
from tests.swarm.scripted import ScriptedWorker, speak

STORY = "Once upon a time there was a coordinator that remembered who had read the beginning. " * 2


def known(floor: Floor, job: NewJob) -> Mapping[str, int]:
    return memory.readers(floor.dispatch, [job.pending()]).get(job.id, {})


async def ended(floor: Floor, job_id: UUID) -> JobView:
    """The job once it has ended and what that says of its worker is known: the database has it a moment before."""
    view = await floor.ended(job_id)
    await until(lambda: floor.dispatch.hub.attempts.of_job(job_id) is None)
    return view


async def served(floor: Floor, job_id: UUID) -> str | None:
    view = await ended(floor, job_id)
    assert view.status is State.COMPLETED
    return view.worker_pk


async def fail(worker: ScriptedWorker, offer: Offer) -> None:
    await worker.send(Failed(offer.body.job_id, offer.body.attempt, "engine_error", "It broke.", retryable=True))


async def test_who_read_it_gets_what_goes_on_from_it_though_others_wait_longer(floor: Floor) -> None:
    kind, workers = await floor.kind(), [floor.worker() for _ in range(3)]
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker.connected(floor.url))
        first = await served(floor, await floor.submit(kind, prompt=STORY))
        others = {await served(floor, await floor.submit(kind, prompt=f"{n}")) for n in range(2)}
        assert first not in others
        told = [await served(floor, await floor.submit(kind, prompt=STORY)) for _ in range(4)]
        assert told == [first] * 4
        job = floor.job(kind, prompt=STORY)
        assert known(floor, job) == {first: len(STORY)}
        seeded = msgspec.json.encode(JobRequest("letters", messages=[Message("user", STORY)], fresh=True))
        assert known(floor, floor.job(kind, prompt=STORY, request=seeded)) == {}


async def test_what_a_worker_read_is_forgotten_when_it_goes(floor: Floor) -> None:
    kind, worker = await floor.kind(), floor.worker()
    async with worker.connected(floor.url):
        assert await served(floor, await floor.submit(kind, prompt=STORY)) == worker.pk
        job = floor.job(kind, prompt=STORY)
        assert known(floor, job) == {worker.pk: len(STORY)}
    async with floor.worker(key=worker.key).connected(floor.url):
        assert known(floor, job) == {}


async def test_who_loses_jobs_comes_later_wherever_it_comes_back_until_that_is_long_ago(floor: Floor) -> None:
    kind, bad = await floor.kind(), floor.worker(script=fail)
    hub, now = floor.dispatch.hub, datetime.now(UTC)
    async with bad.connected(floor.url):
        assert (await ended(floor, await floor.submit(kind))).status is State.FAILED
        record = hub.sessions[bad.pk].record
        assert hub.sessions[bad.pk].facts.record == record > 0
    good = floor.worker()
    async with good.connected(floor.url), floor.worker(key=bad.key, script=speak).connected(floor.url):
        assert hub.sessions[bad.pk].facts.record == record
        assert {await served(floor, await floor.submit(kind)) for _ in range(3)} == {good.pk}
        floor.dispatch.clock = lambda: now + timedelta(days=1)
        memory.mended(floor.dispatch)
        assert hub.sessions[bad.pk].facts.record == 0
