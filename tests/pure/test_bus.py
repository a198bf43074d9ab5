"""The bus between coordinators: what goes into a message, and what is left out."""

import asyncio
from uuid import UUID

import msgspec
import pytest

from coordinator.bus import (
    MAX_BATCH,
    MAX_MESSAGE,
    Alone,
    Nats,
    Secured,
    batches,
    checked,
    decoded,
    said_of,
    subject_name,
)
from coordinator.dispatch.between import Drop, Follow, Message, Over, Reading, Said
from coordinator.dispatch.channel import Status, Token, WorkerPublic
from coordinator.queue.lifecycle import State
from shared.errors import RequestError
from shared.protocol.messages import Logprob

JOB = UUID(int=9)
ROME = WorkerPublic("aa" * 32, "@rome", "841e805ffffffff", ["IT"], "seedling")
SAID = Said(
    JOB, "one/1", 2, 5,
    [Status(5, State.ASSIGNED, ROME, 2), Token(6, 0, "né", 1, [7], [Logprob(-5, [(7, -5)])])], held=3,
)  # fmt: skip


def test_what_is_told_is_what_is_heard_in_its_order_by_subject() -> None:
    told: list[tuple[str, Message]] = [
        ("a", SAID), ("b", Drop("one", JOB, "gone")), ("a", Over([JOB])), ("b", Follow("one", [Reading(JOB, "x", 4)])),
    ]  # fmt: skip
    made = batches(told)
    assert [subject for subject, _ in made] == ["a", "b"]
    heard = [message for _, data in made for message in decoded(data)]
    assert heard == [told[0][1], told[2][1], told[1][1], told[3][1]]


def test_a_batch_is_never_larger_than_a_server_takes() -> None:
    large = Drop("one", JOB, "x" * (MAX_BATCH // 2))
    huge = Drop("one", JOB, "x" * (MAX_MESSAGE + 1))
    made = batches([("a", large), ("a", huge), ("a", large), ("a", Over([JOB]))])
    assert [decoded(data) for _, data in made] == [[large, large], [Over([JOB])]]
    assert all(len(data) < 1 << 20 for _, data in made)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"hello", msgspec.msgpack.encode({"type": "over"})])
def test_what_is_no_batch_is_not_heard(data: bytes) -> None:
    assert decoded(data) == []


def test_a_message_of_a_later_version_does_not_take_the_others_along() -> None:
    later = msgspec.msgpack.encode([{"type": "sing"}, msgspec.to_builtins(Over([JOB])), {"type": "over", "jobs": 7}])
    assert decoded(later) == [Over([JOB])]
    more = msgspec.msgpack.encode([{"type": "drop", "by": "x", "job": str(JOB), "reason": "y", "mood": "sad"}])
    assert decoded(more) == [Drop("x", JOB, "y")]


@pytest.mark.parametrize("url", ["localhost:4222", "http://localhost", "nats://", "nats:///x", "tls://:4222", "x"])
def test_an_address_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(RequestError, match="HIVE_NATS_URL is no address of a NATS server"):
        checked(url)


def test_several_servers_by_comma() -> None:
    assert checked("nats://a:4222, tls://me:secret@b") == ["nats://a:4222", "tls://me:secret@b"]


def test_a_name_is_one_part_of_a_subject() -> None:
    assert subject_name("host.example.org:80 *>") == "host-example-org-80---"


def test_nothing_waits_for_a_server_that_is_away() -> None:
    bus = Nats("nats://a", fleet="f", name="one")
    bus.tell(Over([JOB]))
    assert not bus.connected
    assert bus._waiting == type(bus._waiting)()
    assert not Alone().connected


class Reset:
    """A client whose connection is reset as something is written, as uvloop tells of it."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1

    async def connect(self, _urls: list[str], **_options: object) -> None:
        """Connects."""

    async def subscribe(self, _subject: str, **_options: object) -> None:
        """Subscribes."""

    async def flush(self, _seconds: float) -> None:
        """All is written."""

    async def publish(self, _subject: str, _data: bytes) -> None:
        """Nothing can be written."""
        raise RuntimeError("unable to perform operation; the handler is closed")

    async def let_go(self, _subscriptions: list[None]) -> None:
        """Nothing is left."""


def test_what_failed_is_told_without_the_secrets_of_the_addresses() -> None:
    urls = ["nats://me:s3cret@a:4222", "tls://t0ken@b"]
    failure = OSError("nats://me:s3cret@a:4222 and\n t0ken failed")
    assert said_of(failure, urls) == "nats://…:…@a:4222 and … failed"


async def test_an_answer_that_comes_when_nobody_waits_for_it_any_more_breaks_nothing() -> None:
    client, given_up = Secured(), asyncio.get_running_loop().create_future()
    given_up.cancel()
    client._pongs = [given_up]
    await client._process_pong()
    assert client._pongs == []


async def test_the_end_of_a_connection_is_told_before_it_is_closed_which_may_break(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, told = Secured(), list[bool]()

    async def broken(_: Secured, __: Exception) -> None:
        assert told == [True]
        raise RuntimeError("unable to perform operation; the handler is closed")

    async def ended() -> None:
        told.append(True)

    monkeypatch.setattr("nats.aio.client.Client._process_op_err", broken)
    client._disconnected_cb = ended
    await client._process_op_err(OSError())
    assert told == [True]


async def test_a_connection_that_is_reset_in_mid_word_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.bus.Secured", Reset)
    monkeypatch.setattr("coordinator.bus.AGAIN_S", 0)
    bus = Nats("nats://a", fleet="f", name="n")
    running = asyncio.create_task(bus.run(lambda _: None))
    async with asyncio.timeout(30):
        while Reset.made < 3 and not running.done():
            bus.tell(Over([JOB]))
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
