"""Why a job waits that another coordinator's workers may take."""

from coordinator.dispatch.inbox import FOR_GOOD
from tests.support_nats import nats
from tests.swarm.fleet import Fleet, fleet, known, worker_of
from tests.swarm.test_fleet import client_at
from tests.swarm.test_why import submitted, why

__all__ = ["fleet", "nats"]


async def test_attempts_are_told_wherever_they_were(fleet: Fleet) -> None:
    here, there = fleet
    async with worker_of(there).connected(there.url) as worker, here.client() as http, client_at(there, here) as other:
        await known(here, worker)
        job = await submitted(http, jurisdiction="IT")
        await here.ended(http, job)
        told = [await why(client, job) for client in (http, other)]
    assert told[0] == told[1]
    assert [one["outcome"] for one in told[0]["attempts"]] == ["complete"]


async def test_a_job_whose_workers_are_all_at_another_coordinator_says_so(fleet: Fleet) -> None:
    here, there = fleet
    async with worker_of(there, slots=1).connected(there.url) as worker, here.client() as http:
        await known(here, worker)
        there.hive.hub.sessions[worker.pk].rests_until = FOR_GOOD
        told = await why(http, await submitted(http, jurisdiction="IT"))
    assert (told["counts"]["online"], told["counts"]["price"], told["counts"]["free"]) == (1, 1, 0)
    assert told["sentence"].startswith("The only worker that may take it is at another coordinator")
