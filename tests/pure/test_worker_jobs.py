"""The worker's attempts without a coordinator: what becomes of a result that the disk does not take."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey

from shared.crypto import Context, public_key, sign
from shared.protocol.messages import Accept, Done, Failed, Offer, OfferBody, Sampling, ToCoordinator
from worker.engine import wire
from worker.jobs import Jobs
from worker.outbox import Outbox
from worker.slots import Terms

COORDINATOR, WORKER = SigningKey(b"c" * 32), SigningKey(b"w" * 32)
DIGEST = "ab" * 32
BODY = OfferBody(
    job_id="00000000-0000-4000-8000-000000000000", attempt=1, worker_pk=public_key(WORKER), model_id="m",
    model_digest=DIGEST, max_tokens=5, sampling=Sampling(), stop=[], seed="7", salt="00" * 32, price=1, scope="s",
    cell="841e805ffffffff", jurisdictions=["IT"], evidence="claimed", geo_digest="00" * 32, expires_at=9, prompt="x",
)  # fmt: skip
OFFER = Offer(BODY, sign(COORDINATOR, Context.OFFER, msgspec.to_builtins(BODY)))
TERMS = Terms(public_key(WORKER), public_key(COORDINATOR), 0, {"m": DIGEST}, True)


class Answering:
    """A model with its engine that answers one token."""

    class model:  # noqa: N801 - it stands for an attribute
        digest = DIGEST

    @property
    def engine(self) -> "Answering":
        return self

    verifiability = "seeded"

    async def ready(self) -> wire.Loaded:
        return wire.Loaded(10, 1, 1, "b", 1)

    async def generate(self, request: wire.Generate) -> AsyncGenerator[wire.OfRequest, None]:
        yield wire.Made(request.number, [2], "a")
        yield wire.Finished(request.number, "stop", "", 1, 0, 1, 1)


async def said_of_one_offer(outbox: Outbox) -> list[ToCoordinator]:
    said: list[ToCoordinator] = []
    served: Any = {"m": Answering()}

    def say(message: ToCoordinator) -> bool:
        said.append(message)
        return True

    jobs = Jobs(served, outbox, WORKER, slots=1, say=say, changed=lambda: None, clock=lambda: 1)
    async with asyncio.TaskGroup() as group:
        jobs.offered(OFFER, TERMS, group)
    assert jobs.slots.free == 1
    return said


async def test_a_result_is_kept_and_then_sent(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    said = await said_of_one_offer(outbox)
    assert isinstance(said[0], Accept)
    assert isinstance(said[-1], Done)
    assert outbox.keys() == [(BODY.job_id, 1)]


@pytest.mark.parametrize("most", [0, 1])
async def test_a_result_that_cannot_be_kept_is_given_up_and_the_worker_lives(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("worker.outbox.write_private", full)
    outbox = Outbox(tmp_path, most=most)
    last = (await said_of_one_offer(outbox))[-1]
    assert isinstance(last, Failed)
    assert (last.code, last.retryable, outbox.keys()) == ("outbox", True, [])
