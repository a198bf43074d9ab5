"""Large messages in parts, and frames."""

from hashlib import blake2b

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from shared.protocol.closing import Closed, code_of
from shared.protocol.coordinator_end import MessageReceived
from shared.protocol.frames import MAX_FRAME, MAX_PAYLOAD, Opener, Sealer
from shared.protocol.messages import CloseCode, Done, Heartbeat, Offer, Tokens
from shared.protocol.parts import MAX_MESSAGE, MAX_PARTS, PART_BYTES, Assembler, split
from shared.protocol.phases import Phase
from tests.pure.protocol_pair import BODY, EXAMPLES, JOB, NOW, coordinator_in, opened

KEY = b"k" * 32


def part(index: int, count: int, piece: bytes) -> bytes:
    return b"\0" + index.to_bytes(4, "big") + count.to_bytes(4, "big") + piece


FULL = b"x" * PART_BYTES
HEARTBEAT = b'{"type":"heartbeat","free":1}'


def test_a_large_message_crosses_in_parts_each_way() -> None:
    pair = opened()
    offer = Offer(msgspec.structs.replace(BODY, prompt="ß" * 700_000), "00" * 64)
    frames = pair.coordinator.send(offer)
    assert len(frames) == 6
    assert max(len(frame) for frame in frames) <= PART_BYTES + 33
    assert [event.message for event in pair.down(frames)] == [offer]
    tokens = Tokens(JOB, 1, 0, list(range(100_000)), "t")
    frames = pair.worker.send(tokens)
    assert len(frames) > 1
    assert pair.up(frames) == [MessageReceived(tokens)]
    assert pair.up(pair.worker.send(Heartbeat(1))) == [MessageReceived(Heartbeat(1))]


@pytest.mark.parametrize(("size", "pieces"), [(1, 1), (PART_BYTES, 1), (PART_BYTES + 1, 2), (MAX_MESSAGE, MAX_PARTS)])
def test_sizes_at_the_edges(size: int, pieces: int) -> None:
    message = b"a" * size
    payloads = split(message)
    assert len(payloads) == pieces
    assembler = Assembler()
    assert [assembler.take(payload) for payload in payloads[:-1]] == [None] * (pieces - 1)
    assert assembler.take(payloads[-1]) == message


def test_a_message_over_64_mib_is_neither_sent_nor_put_together() -> None:
    with pytest.raises(ValueError, match="over 67108864"):
        split(b"a" * (MAX_MESSAGE + 1))
    refused = Assembler().take(part(0, MAX_PARTS + 1, FULL))
    assert isinstance(refused, Closed)
    assert refused.code is CloseCode.TOO_LARGE


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3 * PART_BYTES), max_size=4))
def test_messages_of_any_size_follow_each_other(sizes: list[int]) -> None:
    assembler = Assembler()
    whole = [
        taken for size in sizes for payload in split(b"m" * size) if (taken := assembler.take(payload)) is not None
    ]
    assert [len(message) for message in whole if isinstance(message, bytes)] == sizes


@pytest.mark.parametrize(
    "payloads",
    [
        [part(1, 2, b"x")],
        [part(0, 1, HEARTBEAT)],
        [part(0, 0, HEARTBEAT)],
        [part(0, 2, FULL), part(0, 2, FULL)],
        [part(0, 3, FULL), part(2, 3, FULL)],
        [part(0, 2, FULL), part(1, 3, FULL)],
        [part(0, 3, FULL), part(1, 2, FULL)],
        [part(0, 2, FULL[1:])],
        [part(0, 2, FULL + b"x")],
        [part(0, 2, FULL), part(1, 2, FULL + b"x")],
        [part(0, 2, FULL), part(1, 2, b"")],
        [part(0, 2, FULL), HEARTBEAT],
        [b"\0"],
        [b"\0" * 9],
    ],
)
def test_parts_that_are_wrong_or_interleaved_end_the_session(payloads: list[bytes]) -> None:
    end, sealer = coordinator_in(Phase.OPEN)
    events = [end.receive(sealer.seal(payload), NOW) for payload in payloads]
    assert events[:-1] == [[]] * (len(payloads) - 1)
    assert [event.code for event in events[-1] if isinstance(event, Closed)] == [CloseCode.PROTOCOL]


def test_a_frame_is_sequence_tag_and_payload() -> None:
    sealer = Sealer(KEY)
    first, second = sealer.seal(b"{}"), sealer.seal(b"[]")
    sequence = bytes(7) + b"\2"
    assert second == sequence + blake2b(sequence + b"[]", key=KEY, digest_size=16).digest() + b"[]"
    opener = Opener(KEY)
    assert [opener.open(first), opener.open(second)] == [b"{}", b"[]"]


def test_a_frame_holds_1_mib_and_no_more() -> None:
    frame = Sealer(KEY).seal(b"a" * MAX_PAYLOAD)
    assert len(frame) == MAX_FRAME
    assert Opener(KEY).open(frame) == b"a" * MAX_PAYLOAD
    with pytest.raises(ValueError, match="does not fit"):
        Sealer(KEY).seal(b"a" * (MAX_PAYLOAD + 1))


def test_a_refused_frame_does_not_count() -> None:
    sealer, opener = Sealer(KEY), Opener(KEY)
    frame = sealer.seal(b"{}")
    assert isinstance(opener.open(frame[:-1] + b"]"), Closed)
    assert opener.open(frame) == b"{}"


def test_a_message_in_one_frame_may_be_larger_than_a_part() -> None:
    end, sealer = coordinator_in(Phase.OPEN)
    done = msgspec.structs.replace(EXAMPLES[Done], text="t" * (PART_BYTES * 2))
    assert end.receive(sealer.seal(msgspec.json.encode(done)), NOW) == [MessageReceived(done)]  # type: ignore[arg-type]


def test_close_codes_and_numbers_are_one_to_one() -> None:
    assert {code_of(Closed(code, "").number) for code in CloseCode} == set(CloseCode)
    assert code_of(1006) is None
