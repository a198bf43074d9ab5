"""A worker's websocket after the handshake: whatever way the bytes are cut, the same messages come, and what is no websocket
ends it."""

import asyncio
import base64
import os
from collections.abc import Sequence
from typing import Any

import pytest
import uvicorn
from hypothesis import given, strategies as st
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.frames import Close, Frame, Opcode

from coordinator.dispatch import wire as module
from coordinator.dispatch.wire import EXTENSION, Wire
from shared.protocol.closing import closed
from shared.protocol.messages import CloseCode

MOST = 1 << 20


class Transport(asyncio.Transport):
    """What goes out, how much of it waits, and what was asked of the way."""

    def __init__(self) -> None:
        super().__init__()
        self.out: list[bytes] = []
        self.asked: list[str] = []
        self.waits = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.out.append(bytes(data))

    def is_closing(self) -> bool:
        return "close" in self.asked or "abort" in self.asked

    def close(self) -> None:
        self.asked.append("close")

    def abort(self) -> None:
        self.asked.append("abort")

    def pause_reading(self) -> None:
        self.asked.append("pause")

    def resume_reading(self) -> None:
        self.asked.append("resume")

    def get_write_buffer_size(self) -> int:
        return self.waits

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default


class Ear:
    """What was heard."""

    def __init__(self) -> None:
        self.messages: list[bytes | str] = []
        self.ends = 0

    def heard(self, messages: list[bytes | str]) -> None:
        assert not self.ends
        self.messages += messages

    def over(self) -> None:
        self.ends += 1


async def served(early: bytes = b"") -> tuple[Wire, Transport, Ear]:
    """A wire after its handshake; `early` came before anybody listened."""
    ear, made = Ear(), asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        wire = scope["extensions"][EXTENSION]
        if early:
            wire.data_received(early)
        wire.serve(ear)
        made.set_result(None)

    config = uvicorn.Config(
        app, ws=Wire, ws_max_size=MOST, ws_per_message_deflate=False, ws_ping_interval=None, log_config=None
    )
    config.load()
    wire, transport = Wire(config, ServerState(), {}), Transport()
    wire.connection_made(transport)
    key = base64.b64encode(os.urandom(16))
    wire.data_received(
        b"GET /hive/worker HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    await made
    await asyncio.sleep(0)
    transport.out.clear()
    transport.asked.clear()
    return wire, transport, ear


def frame(data: bytes, opcode: Opcode = Opcode.BINARY, *, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=mask)


def fed(wire: Wire, data: bytes, cuts: Sequence[int]) -> None:
    at = 0
    for cut in sorted({cut % (len(data) + 1) for cut in cuts}):
        wire.data_received(data[at:cut]) if cut > at else None
        at = max(at, cut)
    if at < len(data):
        wire.data_received(data[at:])


SIZES = st.sampled_from([0, 1, 125, 126, 127, 300, 65535, 65536, 70000])
MESSAGES = st.lists(st.tuples(SIZES, st.integers(1, 4), st.booleans()), max_size=5)


@given(MESSAGES, st.lists(st.integers(0, 1 << 20), max_size=12))
def test_the_same_messages_come_however_the_bytes_are_cut(said: list[tuple[int, int, bool]], cuts: list[int]) -> None:
    async def run() -> None:
        wire, transport, ear = await served()
        stream, wanted, pings = b"", [], 0
        for number, (size, parts, ping) in enumerate(said):
            data = bytes([number]) * size
            wanted.append(data)
            step = max(1, -(-size // parts))
            slices = [data[at : at + step] for at in range(0, size, step)] or [b""]
            for place, piece in enumerate(slices):
                opcode = Opcode.BINARY if place == 0 else Opcode.CONT
                stream += frame(piece, opcode, fin=place == len(slices) - 1)
                if ping:
                    stream += frame(b"?", Opcode.PING)
                    pings += 1
        fed(wire, stream, cuts)
        assert ear.messages == wanted
        assert b"".join(transport.out) == frame(b"?", Opcode.PONG, mask=False) * pings
        assert (ear.ends, transport.asked) == (0, [])

    asyncio.run(run())


async def test_what_came_before_anybody_listened_comes_first() -> None:
    wire, _, ear = await served(frame(b"one") + frame(b"two") + frame(b"three")[:5])
    wire.data_received(frame(b"three")[5:])
    assert ear.messages[:2] == [b"one", b"two"]
    assert len(ear.messages) == 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"x" * (MOST + 1))[:20], 1009),
        (frame(b"x", mask=False), 1002),
        (b"\xc2" + frame(b"x")[1:], 1002),
        (frame(b"x", Opcode.CONT), 1002),
        (frame(b"x", fin=False) + frame(b"y"), 1002),
        (frame(b"\xff", Opcode.TEXT), 1007),
    ],
    ids=["too large", "unmasked", "reserved bit", "continues nothing", "begins amid another", "no text"],
)
async def test_what_is_no_websocket_ends_it(data: bytes, code: int) -> None:
    wire, transport, ear = await served()
    wire.data_received(data)
    if code == 1007:  # what a text holds is the session's business
        assert ear.messages == ["\ufffd"]
        return
    assert (ear.messages, ear.ends) == ([], 1)
    assert transport.out[-1] == frame(Close(code, "").serialize(), Opcode.CLOSE, mask=False)[:1] + transport.out[-1][1:]
    assert int.from_bytes(transport.out[-1][2:4], "big") == code
    wire.data_received(frame(b"more"))
    assert ear.messages == []


async def test_a_worker_that_closes_is_heard_out() -> None:
    wire, transport, ear = await served()
    wire.data_received(frame(b"last") + frame(Close(1000, "").serialize(), Opcode.CLOSE))
    assert (ear.messages, ear.ends, transport.asked) == ([b"last"], 1, ["close"])
    wire.connection_lost(None)
    assert ear.ends == 1


async def test_the_end_is_told_later_and_what_comes_after_it_is_not_heard() -> None:
    wire, transport, ear = await served()
    assert wire.say([b"a", b"b" * 300, b"c" * 70000]) == 0
    assert b"".join(transport.out) == b"".join(frame(data, mask=False) for data in (b"a", b"b" * 300, b"c" * 70000))
    wire.end(closed(CloseCode.SILENT, "no heartbeat"))
    assert ear.ends == 0
    assert int.from_bytes(transport.out[-1][2:4], "big") == 4408
    wire.data_received(frame(b"late"))
    await asyncio.sleep(0)
    assert (ear.messages, ear.ends) == ([], 1)
    said = len(transport.out)
    assert wire.say([b"more"]) == 0
    wire.end(closed(CloseCode.NORMAL, "again"))
    assert len(transport.out) == said
    wire.data_received(frame(Close(4408, "").serialize(), Opcode.CLOSE))
    assert transport.asked == ["close"]
    wire.connection_lost(None)


async def test_a_worker_that_takes_nothing_is_cut_off_and_a_slow_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    wire, transport, _ = await served()
    timers: list[tuple[Any, ...]] = []
    monkeypatch.setattr(wire, "loop", _Clock(timers))
    wire.say([b"x" * 1000])
    transport.waits = 900
    wire.pause_writing()
    transport.waits = 800
    when, look, before = timers.pop()
    assert when == module.WRITE_S
    look(before)
    assert transport.asked == []
    _, look, before = timers.pop()
    look(before)
    assert transport.asked == ["abort"]


class _Clock:
    def __init__(self, timers: list[tuple[Any, ...]]) -> None:
        self._timers = timers

    def call_later(self, *asked: Any) -> asyncio.TimerHandle:
        self._timers.append(asked)
        return asyncio.get_running_loop().call_later(3600, lambda: None)


async def test_too_many_at_once_are_refused_before_they_cost_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Wire.opening
    wire, _, _ = await served()
    assert Wire.opening == before
    monkeypatch.setattr(module, "MOST_OPENING", before)
    config = wire.config
    refused, transport = Wire(config, ServerState(), {}), Transport()
    refused.connection_made(transport)
    for _ in range(2):
        refused.data_received(b"GET /hive/worker HTTP/1.1\r\n\r\n")
    assert (transport.out, transport.asked) == ([module.BUSY], ["close"])
    refused.connection_lost(None)
    assert Wire.opening == before


async def test_an_app_that_speaks_to_a_worker_that_has_gone_hears_so() -> None:
    wire, transport, _ = await served()
    transport.close()
    with pytest.raises(ClientDisconnected):
        await wire.send({"type": "websocket.send", "bytes": b"hello"})
    assert transport.out == []
