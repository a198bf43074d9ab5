"""Several coordinators when something goes wrong between them: workers move and die, the bus is away, loses and repeats."""

import asyncio
import json
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from coordinator.dispatch import watch
from coordinator.dispatch.between import Message, Said
from coordinator.dispatch.channel import Token
from coordinator.store.engine import Engine
from shared.protocol.messages import CloseCode, Held, Tokens
from tests.support_nats import NatsServer, nats
from tests.support_wait import eventually
from tests.swarm.fleet import CHAT, SAYS, STREAM, Fleet, Spoil, connected, coordinators, fleet, known, texts, worker_of
from tests.swarm.test_fleet import events_of

__all__ = ["fleet", "nats"]


async def test_a_worker_that_moves_goes_on_with_its_attempt_and_the_stream_with_it(fleet: Fleet) -> None:
    """Its coordinator goes away, and the worker connects to the one where the reader is: nothing is made twice."""
    here, there = fleet
    worker = worker_of(there, gate=asyncio.Event(), chunk=4)
    assert worker.gate is not None
    async with here.client() as http, AsyncExitStack() as stack:
        await stack.enter_async_context(worker.connected(there.url))
        await known(here, worker)
        stream = await stack.enter_async_context(http.stream("POST", "/v1/chat/completions", json=STREAM))
        said = texts(stream.aiter_lines())
        first = await anext(said)
        body = (await worker.offers.get()).body
        moved = worker_of(here, key=worker.key)
        held = [Held(body.job_id, body.attempt, "running", 4)]
        await stack.enter_async_context(moved.connected(here.url, held))
        assert moved.welcome is not None
        assert [one.verdict for one in moved.welcome.resume] == ["continue"]
        ids, parts = moved.answer(body)
        for start in range(0, len(ids), 3):
            part = ids[start : start + 3], "".join(parts[start : start + 3])
            await moved.send(Tokens(body.job_id, body.attempt, start, *part))
        await moved.send(moved.result(body, ids, "".join(parts)))
        assert first + "".join([part async for part in said]) == SAYS
        job = (await http.get(f"/hive/jobs/{stream.headers['x-hive-job-id']}")).json()
    assert (job["attempts"], job["worker_pk"]) == (1, worker.pk)


async def test_a_worker_that_dies_elsewhere_is_followed_by_one_here_from_the_same_token(fleet: Fleet) -> None:
    here, there = fleet
    first, second = worker_of(there, gate=asyncio.Event()), worker_of(here, slots=1)
    async with here.client() as http, first.connected(there.url):
        await known(here, first)
        async with http.stream("POST", "/v1/chat/completions", json=STREAM) as stream:
            said = texts(stream.aiter_lines())
            begun = await anext(said)
            async with second.connected(here.url):
                first.cut()
                assert begun + "".join([part async for part in said]) == SAYS
        offer = (await second.offers.get()).body
        assert (offer.attempt, len(offer.resume_ids)) == (2, 2)


@pytest.mark.parametrize("bus", [True, False])
async def test_a_third_coordinator_continues_from_the_token_that_the_first_had_last(
    engine: Engine, database_url: str, tmp_path: Path, nats: NatsServer, bus: bool
) -> None:
    """The client is at one, the worker that dies at the next, the one that goes on at the last, and then moves to the first:
    what was made is in the row, for whoever takes the job."""
    async with coordinators(database_url, tmp_path, nats.url if bus else "", count=3) as (here, there, yonder):
        first, second = (
            worker_of(there, gate=asyncio.Event()),
            worker_of(yonder, slots=1, gate=asyncio.Event(), chunk=3),
        )
        async with here.client() as http, first.connected(there.url), AsyncExitStack() as stack:
            await watch.renew(here.hive.dispatch)
            job = {"model_id": "hive-nano", "prompt": "Say something about Rome."}
            made = (await http.post("/hive/jobs", json=job)).json()["job_id"]
            reader = here.hive.relay.open(UUID(made), attached=False)

            async def begun() -> bool:
                return len(there.hive.relay.ids_of(UUID(made))) == 2

            await eventually(begun, 25, "the first tokens")
            there.hive.relay.open(UUID(made), attached=False)
            await stack.enter_async_context(second.connected(yonder.url))
            first.cut()
            offer = (await asyncio.wait_for(second.offers.get(), 25)).body
            assert (offer.attempt, len(offer.resume_ids)) == (2, 2)

            async def gone_on() -> bool:
                return len(yonder.hive.relay.ids_of(UUID(made))) == 5

            await eventually(gone_on, 25, "the next tokens")
            moved = worker_of(here, key=second.key)
            held = [Held(offer.job_id, offer.attempt, "running", 3)]
            await stack.enter_async_context(moved.connected(here.url, held))
            assert moved.welcome is not None
            assert [one.verdict for one in moved.welcome.resume] == ["continue"]
            ids, parts = moved.answer(offer)
            await moved.send(Tokens(offer.job_id, offer.attempt, 2, ids, "".join(parts)))
            await moved.send(moved.result(offer, ids, "".join(parts)))
            done = await here.ended(http, made)
            assert (done["result_text"], done["attempts"]) == (SAYS, 2)
            told = [event async for event in reader]
            assert "".join(event.text for event in told if isinstance(event, Token)) == SAYS
            reader.close()


async def test_without_the_bus_everything_ends_as_it_should_and_with_it_again(fleet: Fleet, nats: NatsServer) -> None:
    here, there = fleet
    worker = worker_of(there, gate=asyncio.Event())
    assert worker.gate is not None
    async with worker.connected(there.url), here.client() as http:
        await known(here, worker)
        async with http.stream("POST", "/v1/chat/completions", json=STREAM) as stream:
            said = texts(stream.aiter_lines())
            first = await anext(said)
            nats.kill()
            worker.gate.set()
            assert first + "".join([part async for part in said]) == SAYS
        answer = await http.post("/v1/chat/completions", json=CHAT)
        assert answer.json()["choices"][0]["message"]["content"] == SAYS
        made = (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello"})).json()
        assert (await here.ended(http, made["job_id"]))["result_text"] == SAYS
        nats.start()
        await connected(fleet)
        async with http.stream("POST", "/v1/chat/completions", json=STREAM) as stream:
            assert "".join([part async for part in texts(stream.aiter_lines())]) == SAYS


async def test_without_the_bus_a_cancel_reaches_the_worker_by_the_look(fleet: Fleet, nats: NatsServer) -> None:
    here, there = fleet
    worker = worker_of(there, gate=asyncio.Event())
    async with worker.connected(there.url), here.client() as http:
        await known(here, worker)
        nats.kill()
        made = (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello"})).json()
        await asyncio.wait_for(worker.offers.get(), 25)
        assert (await http.delete(f"/hive/jobs/{made['job_id']}")).json()["status"] == "cancelled"
        assert (await asyncio.wait_for(worker.cancels.get(), 25)).job_id == made["job_id"]


def lossy(every: int) -> Spoil:
    """Every so many messages one is lost, and the one after it comes twice."""
    numbers = count(1)

    def spoil(message: Message) -> list[Message]:
        place = next(numbers) % every
        return [] if place == 0 else [message, message] if place == 1 else [message]

    return spoil


@pytest.mark.parametrize("every", [2, 3])
async def test_streams_are_whole_though_every_other_message_is_lost(
    engine: Engine, database_url: str, tmp_path: Path, nats: NatsServer, every: int
) -> None:
    async with (
        coordinators(database_url, tmp_path, nats.url, spoil=lossy(every)) as (here, there),
        worker_of(there, chunk=1).connected(there.url) as worker,
        here.client() as http,
    ):
        await known(here, worker)

        async def one() -> str:
            async with http.stream("POST", "/v1/chat/completions", json=STREAM) as stream:
                return "".join([part async for part in texts(stream.aiter_lines())])

        assert await asyncio.gather(*(one() for _ in range(12))) == [SAYS] * 12


async def test_events_bring_all_words_though_the_bus_loses_those_that_it_likes(
    engine: Engine, database_url: str, tmp_path: Path, nats: NatsServer
) -> None:
    """Whoever puts the texts of the token events together has the answer, also after a break."""

    def mute(message: Message) -> list[Message]:
        late = isinstance(message, Said) and any(isinstance(e, Token) and e.index > 9 for e in message.events)
        return [] if late else [message]

    async with coordinators(database_url, tmp_path, nats.url, spoil=mute) as (here, there):
        worker = worker_of(there, gate=asyncio.Event())
        assert worker.gate is not None
        async with worker.connected(there.url), here.client() as http:
            await known(here, worker)
            made = (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello"})).json()["job_id"]
            begun = await events_of(http, made, most=3)
            worker.gate.set()
            rest = await events_of(http, made, last=begun[-1][0])
            again = await events_of(http, made, last=rest[0][0])
    told = [json.loads(data) for _, data in (*begun, *rest)]
    assert "".join(one["text"] for one in told if "text" in one) == SAYS
    assert told[-1]["result_text"] == SAYS
    assert again == rest[1:]


async def test_two_coordinators_without_a_bus_are_a_fleet_too(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with coordinators(database_url, tmp_path, "") as (here, there):
        first = worker_of(there)
        async with first.connected(there.url), here.client() as http:
            await watch.renew(here.hive.dispatch)
            made = (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello"})).json()
            assert (await here.ended(http, made["job_id"]))["result_text"] == SAYS
            async with worker_of(here, key=first.key).connected(here.url):
                await watch.renew(there.hive.dispatch)
                await asyncio.wait_for(first.gone.wait(), 10)
                assert first.closed is not None
                assert first.closed.code is CloseCode.SUPERSEDED
