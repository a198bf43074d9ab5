"""Who may open a session: host, keys, signatures, clocks, versions, sizes."""

from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey

from shared.crypto import Context, fingerprint, public_key, sign
from shared.protocol.closing import Closed
from shared.protocol.coordinator_end import CoordinatorEnd, HelloReceived
from shared.protocol.handshake import Heard, hear, make_answer, make_challenge
from shared.protocol.messages import Capabilities, CloseCode, ModelOffer, ServerHello, WorkerHello
from shared.protocol.phases import Phase
from shared.protocol.worker_end import ChallengeReceived, Welcomed, WorkerEnd
from tests.pure.protocol_pair import (
    CAPABILITIES,
    HOST,
    NOW,
    SERVER,
    WORKER,
    Pair,
    coordinator_end,
    opened,
    worker_end,
)

LOW_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]


def challenge(**changes: Any) -> dict[str, Any]:
    """A challenge with some fields changed, signed again unless the signature is one of them."""
    hello = make_challenge(SERVER, HOST, ephemeral=b"e" * 32, nonce=b"n" * 32, now=NOW)
    body: dict[str, Any] = {**msgspec.to_builtins(hello), **changes}
    return resigned(body, Context.SERVER_HELLO) if "signature" not in changes else body


def resigned(body: dict[str, Any], context: Context) -> dict[str, Any]:
    unsigned = {field: value for field, value in body.items() if field != "signature"}
    return {**unsigned, "signature": sign(SERVER, context, unsigned)}


def heard_by_worker(body: dict[str, Any], **of_the_end: Any) -> Any:
    (event,) = worker_end(**of_the_end).receive(msgspec.json.encode(body), NOW)
    return event


def challenged() -> tuple[CoordinatorEnd, Heard[ServerHello]]:
    end = coordinator_end()
    heard = hear(end.open()[0], ServerHello)
    assert not isinstance(heard, Closed)
    return end, heard


def answer_to(heard: Heard[ServerHello], *, key: SigningKey = WORKER, now: int = NOW) -> WorkerHello:
    hello, _ = make_answer(key, heard, ephemeral=b"x" * 32, now=now, capabilities=CAPABILITIES, resume=[])
    return hello


def test_both_learn_who_the_other_is() -> None:
    pair = Pair(worker=worker_end(pinned=public_key(SERVER)))
    assert pair.down(pair.coordinator.open()) == [ChallengeReceived(public_key(SERVER), 0)]
    (event,) = pair.up(pair.worker.answer(CAPABILITIES, [], NOW))
    assert isinstance(event, HelloReceived)
    assert event.hello.worker_pk == public_key(WORKER)
    assert event.hello.capabilities == CAPABILITIES
    (welcomed,) = pair.down(pair.welcome())
    assert isinstance(welcomed, Welcomed)
    assert welcomed.welcome.session == "s1"


def test_a_hello_may_come_as_a_text_or_as_a_binary_message() -> None:
    end = coordinator_end()
    worker = worker_end()
    worker.receive(end.open()[0].decode(), NOW)
    (event,) = end.receive(worker.answer(CAPABILITIES, [], NOW)[0].decode(), NOW)
    assert isinstance(event, HelloReceived)


def test_the_worker_reports_its_skew() -> None:
    worker = WorkerEnd(WORKER, HOST, None, now=NOW + 5000, entropy=b"3" * 32)
    assert worker.receive(coordinator_end().open()[0], NOW + 5000) == [ChallengeReceived(public_key(SERVER), 5000)]


def test_unknown_fields_are_signed_and_otherwise_ignored() -> None:
    assert isinstance(heard_by_worker(challenge(later="new")), ChallengeReceived)
    tampered = challenge(later="new") | {"later": "old"}
    assert heard_by_worker(tampered).code is CloseCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("changes", "of_the_end", "code", "words"),
    [
        ({"host": "evil.example"}, {}, CloseCode.UNAUTHENTICATED, "another host"),
        ({}, {"host": "other.example"}, CloseCode.UNAUTHENTICATED, "asked for other.example"),
        ({}, {"pinned": public_key(WORKER)}, CloseCode.UNAUTHENTICATED, fingerprint(public_key(SERVER))),
        ({"signature": "00" * 64}, {}, CloseCode.UNAUTHENTICATED, "signature"),
        ({"signature": "zz"}, {}, CloseCode.UNAUTHENTICATED, "signature"),
        ({"signature": ""}, {}, CloseCode.UNAUTHENTICATED, "signature"),
        ({"server_pk": public_key(WORKER)}, {}, CloseCode.UNAUTHENTICATED, "signature"),
        ({"time": NOW + 120_001}, {}, CloseCode.UNAUTHENTICATED, "120 s behind"),
        ({"time": NOW - 120_001}, {}, CloseCode.UNAUTHENTICATED, "120 s ahead: the coordinator's time is 2026-"),
        ({"time": 2**53 - 1}, {}, CloseCode.UNAUTHENTICATED, "9999-12-31T23:59:59Z"),
        ({"version": 2}, {}, CloseCode.UPGRADE, "please upgrade: hive worker update"),
        ({"version": 0, "host": None}, {}, CloseCode.UPGRADE, "speaks version 0, this one 1"),
        ({"version": "1"}, {}, CloseCode.PROTOCOL, "malformed"),
        ({"version": True}, {}, CloseCode.PROTOCOL, "malformed"),
        ({"type": "auth"}, {}, CloseCode.PROTOCOL, "not a hello"),
        ({"nonce": "AB" * 32}, {}, CloseCode.PROTOCOL, "malformed"),
        ({"nonce": "ab" * 32 + "\n"}, {}, CloseCode.PROTOCOL, "malformed"),
        ({"time": -1}, {}, CloseCode.PROTOCOL, "malformed"),
        ({"later": "x" * (16 << 10)}, {}, CloseCode.TOO_LARGE, "16384"),
        *[({"ephemeral_pk": point}, {}, CloseCode.UNAUTHENTICATED, "low order") for point in LOW_ORDER],
    ],
)
def test_a_worker_refuses(changes: dict[str, Any], of_the_end: dict[str, Any], code: CloseCode, words: str) -> None:
    event = heard_by_worker(challenge(**changes), **of_the_end)
    assert isinstance(event, Closed)
    assert event.code is code
    assert words in event.reason


def test_a_time_at_the_edge_of_the_skew_is_taken() -> None:
    assert isinstance(heard_by_worker(challenge(time=NOW + 120_000)), ChallengeReceived)
    assert isinstance(heard_by_worker(challenge(time=NOW - 120_000)), ChallengeReceived)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"time": NOW + 1}, CloseCode.UNAUTHENTICATED, "the worker's signature"),
        ({"worker_pk": public_key(SERVER)}, CloseCode.UNAUTHENTICATED, "the worker's signature"),
        ({"worker_pk": "00" * 32}, CloseCode.UNAUTHENTICATED, "the worker's signature"),
        ({"worker_pk": "01" + "00" * 31}, CloseCode.UNAUTHENTICATED, "the worker's signature"),
        ({"later": 1}, CloseCode.UNAUTHENTICATED, "the worker's signature"),
        ({"later": 1.5}, CloseCode.PROTOCOL, "malformed"),
        ({"later": 2**70}, CloseCode.PROTOCOL, "malformed"),
        (
            {"time": NOW - 130_000},
            CloseCode.UNAUTHENTICATED,
            "130 s behind: the coordinator's time is 2026-09-21T14:13:20Z",
        ),
        ({"version": 7}, CloseCode.UPGRADE, "speaks version 7"),
        ({"capabilities": {}}, CloseCode.PROTOCOL, "malformed"),
        ({"later": "x" * (16 << 10)}, CloseCode.TOO_LARGE, "16384"),
    ],
)
def test_a_coordinator_refuses(changes: dict[str, Any], code: CloseCode, words: str) -> None:
    end, heard = challenged()
    (event,) = end.receive(msgspec.json.encode({**msgspec.to_builtins(answer_to(heard)), **changes}), NOW)
    assert isinstance(event, Closed)
    assert event.code is code
    assert words in event.reason
    assert (end.closed, end.phase) == (event, Phase.CLOSED)


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_coordinator_refuses_a_point_of_low_order_although_it_is_signed(
    point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, heard = challenged()
    monkeypatch.setattr("shared.protocol.handshake.crypto_scalarmult_base", lambda _: bytes.fromhex(point))
    (event,) = end.receive(msgspec.json.encode(answer_to(heard)), NOW)
    assert event == Closed(CloseCode.UNAUTHENTICATED, "the ephemeral key is a point of low order")


def test_a_signature_by_another_key_or_for_another_challenge_is_worthless() -> None:
    end, heard = challenged()
    forged = msgspec.structs.replace(answer_to(heard, key=SERVER), worker_pk=public_key(WORKER))
    assert end.receive(msgspec.json.encode(forged), NOW)[0].code is CloseCode.UNAUTHENTICATED  # type: ignore[union-attr]
    _, elsewhere = challenged()
    other = coordinator_end(salt=9)
    other.open()
    (event,) = other.receive(msgspec.json.encode(answer_to(elsewhere)), NOW)
    assert event == Closed(CloseCode.UNAUTHENTICATED, "the worker's signature is wrong")


def test_each_step_must_come_within_ten_seconds() -> None:
    end, heard = challenged()
    (event,) = end.receive(msgspec.json.encode(answer_to(heard, now=NOW + 10_001)), NOW + 10_001)
    assert event == Closed(CloseCode.SILENT, "the handshake took too long")
    assert worker_end().receive(coordinator_end().open()[0], NOW + 10_001) == [event]
    pair = Pair()
    pair.down(pair.coordinator.open())
    pair.up(pair.worker.answer(CAPABILITIES, [], NOW + 9000))
    (welcome,) = pair.welcome()
    assert isinstance(pair.worker.receive(welcome, NOW + 19_000)[0], Welcomed)
    slow = Pair()
    slow.down(slow.coordinator.open())
    slow.up(slow.worker.answer(CAPABILITIES, [], NOW))
    assert slow.worker.receive(slow.welcome()[0], NOW + 10_001) == [event]


def test_an_answer_over_16_kib_is_not_sent_and_can_be_made_smaller() -> None:
    pair = Pair()
    pair.down(pair.coordinator.open())
    many: Capabilities = msgspec.structs.replace(CAPABILITIES, models=[ModelOffer("m", "ab" * 32, 1, 1)] * 200)
    with pytest.raises(ValueError, match="over 16384"):
        pair.worker.answer(many, [], NOW)
    (event,) = pair.up(pair.worker.answer(CAPABILITIES, [], NOW))
    assert isinstance(event, HelloReceived)


def test_entropy_makes_every_session_another() -> None:
    one, same, other = opened(), opened(), opened(salt=5)
    assert one.to_worker == same.to_worker
    assert set(one.to_worker).isdisjoint(other.to_worker)
    assert one.to_worker[-1][24:] == other.to_worker[-1][24:]
    with pytest.raises(ValueError, match="64 bytes"):
        CoordinatorEnd(SERVER, HOST, now=NOW, entropy=b"1" * 63)
    with pytest.raises(ValueError, match="32 bytes"):
        WorkerEnd(WORKER, HOST, None, now=NOW, entropy=b"1" * 31)
