"""Whatever bytes come: no end raises, nothing altered, repeated, reordered or spliced is heard; a fault is the end."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from shared.protocol.closing import Closed
from shared.protocol.messages import CloseCode, Drain, Heartbeat, Pong
from shared.protocol.phases import Phase
from tests.pure.protocol_pair import (
    CAPABILITIES,
    EXAMPLES,
    NOW,
    Pair,
    coordinator_end,
    coordinator_in,
    opened,
    worker_end,
    worker_in,
)

LIVE = [phase for phase in Phase if phase is not Phase.CLOSED]
ENDS: list[Callable[[Phase], Any]] = [coordinator_in, worker_in]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TYPES = st.sampled_from([kind.__struct_config__.tag for kind in EXAMPLES])
OBJECTS = st.builds(
    lambda tag, rest: msgspec.json.encode({**rest, "type": tag}), TYPES, st.dictionaries(st.text(), VALUES)
)
DEEP = [b"[" * 15_000, b'{"type":"hello","version":1,"x":' + b"[" * 14_000, b'{"type":"auth","x":' * 800]
SUNK = b'{"type":"done","receipt":{"x":' + b"[" * 100_000
SUNK_DOWN = b'{"type":"offer","body":{"messages":[{"role":"r","tool_calls":[{"x":' + b"[" * 100_000
NESTED = b'{"type":"%s","version":1,"x":' + b"[" * 900 + b"]" * 900 + b"}"


def is_one_end(events: list[Any], end: Any) -> bool:
    """Exactly one Closed event, and silence after it."""
    again = end.receive(b"{}", NOW) + end.send(EXAMPLES[Heartbeat]) + end.send(EXAMPLES[Drain])
    return [type(event) for event in events] == [Closed] and end.closed == events[0] and again == []


@pytest.mark.parametrize("make", ENDS)
@pytest.mark.parametrize("phase", LIVE)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200) | OBJECTS)
def test_anything_unsealed_is_one_end(make: Callable[[Phase], Any], phase: Phase, data: bytes | str) -> None:
    end, _ = make(phase)
    assert is_one_end(end.receive(data, NOW), end)


@pytest.mark.parametrize("make", ENDS)
@settings(max_examples=150, deadline=None)
@given(payload=st.binary(max_size=100) | OBJECTS)
def test_anything_sealed_is_a_message_or_one_end(make: Callable[[Phase], Any], payload: bytes) -> None:
    end, sealer = make(Phase.OPEN)
    events = end.receive(sealer.seal(payload), NOW)
    assert is_one_end(events, end) or len(events) <= 1


@pytest.mark.parametrize("make", ENDS)
@pytest.mark.parametrize("phase", LIVE)
@pytest.mark.parametrize(
    "data", [*DEEP, NESTED % b"hello", NESTED % b"auth", b"\xff" * 30, "\ud800", "", b"", b"1" * 9000]
)
def test_json_that_breaks_parsers_is_one_end(make: Callable[[Phase], Any], phase: Phase, data: bytes | str) -> None:
    end, _ = make(phase)
    assert is_one_end(end.receive(data, NOW), end)


@pytest.mark.parametrize("make", ENDS)
@pytest.mark.parametrize(
    "payload", [*DEEP, SUNK, SUNK_DOWN, NESTED % b"done", b"\xff" * 30, b"", b"1" * 9000, b"null", b'"\xed\xa0\x80"']
)
def test_sealed_json_that_breaks_parsers_is_one_end(make: Callable[[Phase], Any], payload: bytes) -> None:
    end, sealer = make(Phase.OPEN)
    assert is_one_end(end.receive(sealer.seal(payload), NOW), end)


def test_a_reason_never_repeats_what_a_message_held() -> None:
    end, sealer = worker_in(Phase.OPEN)
    (event,) = end.receive(sealer.seal(b'{"type":"cancel","job_id":"a secret prompt","attempt":1,"reason":""}'), NOW)
    assert event == Closed(CloseCode.PROTOCOL, "a message is wrong at `$.job_id`")


def session() -> tuple[list[bytes], list[bytes]]:
    """A legal session with two frames more each way: what the worker heard, and what the coordinator heard."""
    pair = opened()
    for _ in range(2):
        pair.down(pair.coordinator.send(Pong(NOW)))
        pair.up(pair.worker.send(Heartbeat(1)))
    return pair.to_worker, pair.to_coordinator


def worker_before(index: int, heard: list[bytes]) -> Any:
    """A worker's end that has heard the first `index` messages."""
    end = worker_end()
    for message in heard[:index]:
        end.receive(message, NOW)
        if end.phase is Phase.CHALLENGED:
            end.answer(CAPABILITIES, [], NOW)
    return end


def coordinator_before(index: int, heard: list[bytes]) -> Any:
    """A coordinator's end that has heard the first `index` messages."""
    end = coordinator_end()
    pair = Pair(coordinator=end)
    end.open()
    for message in heard[:index]:
        end.receive(message, NOW)
        if end.phase is Phase.ANSWERED:
            pair.welcome()
    return end


BEFORE = [pytest.param(worker_before, 0, id="worker"), pytest.param(coordinator_before, 1, id="coordinator")]


@pytest.mark.parametrize(("before", "way"), BEFORE)
def test_a_flipped_bit_in_any_byte_of_a_session_is_one_end(before: Callable[..., Any], way: int) -> None:
    heard = session()[way]
    for index, message in enumerate(heard):
        for at in range(len(message)):
            flipped = bytearray(message)
            flipped[at] ^= 1 << (at % 8)
            end = before(index, heard)
            assert is_one_end(end.receive(bytes(flipped), NOW), end), (index, at)


@pytest.mark.parametrize(("before", "way"), BEFORE)
def test_a_cut_or_lengthened_message_is_one_end(before: Callable[..., Any], way: int) -> None:
    heard = session()[way]
    for index, message in enumerate(heard):
        for changed in [message[:-1], message[1:], message[:20], message + b"}", message + b"\0"]:
            end = before(index, heard)
            assert is_one_end(end.receive(changed, NOW), end), (index, changed)


@pytest.mark.parametrize(("before", "way"), BEFORE)
def test_a_repeat_or_a_gap_is_one_end(before: Callable[..., Any], way: int) -> None:
    heard = session()[way]
    for index in range(1, len(heard)):
        for other in [*heard[:index], *heard[index + 1 :]]:
            end = before(index, heard)
            assert is_one_end(end.receive(other, NOW), end), index


def test_frames_of_another_session_or_the_other_direction_are_not_heard() -> None:
    other = opened(salt=7)
    spliced, reflected = opened(), opened()
    (theirs,) = other.coordinator.send(Pong(NOW))
    assert is_one_end(spliced.down([theirs]), spliced.worker)
    up, down = reflected.worker.send(Heartbeat(1)), reflected.coordinator.send(Pong(NOW))
    assert is_one_end(reflected.down(up), reflected.worker)
    assert is_one_end(reflected.up(down), reflected.coordinator)


def test_an_answer_cannot_be_carried_to_another_connection() -> None:
    one, two = Pair(), Pair(coordinator=coordinator_end(salt=4))
    one.down(one.coordinator.open())
    two.coordinator.open()
    assert is_one_end(two.up(one.worker.answer(CAPABILITIES, [], NOW)), two.coordinator)


@pytest.mark.parametrize("make", ENDS)
def test_a_frame_over_1_mib_is_too_large(make: Callable[[Phase], Any]) -> None:
    end, _ = make(Phase.OPEN)
    (event,) = end.receive(b"\0" * ((1 << 20) + 1), NOW)
    assert event.code is CloseCode.TOO_LARGE
