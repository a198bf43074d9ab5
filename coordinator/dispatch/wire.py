"""A worker's websocket once its session is open: bytes come and go without a task, a queue or a timer of its own, for most
workers wait most of the time.

uvicorn and websockets make the handshake and speak of whatever is rare: fragments, text, pings, closing, faults. A whole
binary frame, which is what workers send, is cut out here.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request
from websockets.protocol import State

from shared.protocol.closing import Closed

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without its compiled part
    from websockets.utils import apply_mask

EXTENSION: Final = "hive.wire"
"""Under this name the scope of a websocket has its wire."""

WRITE_S: Final = 10.0
"""A worker that takes nothing of what waits for it for so long is cut off."""

MOST_OPENING: Final = 1536
"""While so many websockets are not served yet others are refused before they cost anything: whoever comes tries again later."""

BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

BINARY: Final = 0x82
MASKED: Final = 0x80
SHORT, LONG, LONGER = 125, 126, 127


_NOTHING: Final = bytearray()


class Sink(Protocol):
    """Who takes what a worker sends."""

    def heard(self, messages: list[bytes | str]) -> None:
        """These came, in this order."""

    def over(self) -> None:
        """Nothing comes any more; said once."""


class _Nowhere:
    """Where uvicorn's events for an ASGI app go once there is no app."""

    def put_nowait(self, _: Any) -> None:
        """Nobody reads them."""


class Wire(WebSocketsSansIOProtocol):
    """One websocket: an ASGI app's until `serve` is called, which that app then leaves open. `opening` counts those that are
    not served yet."""

    opening = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sink: Sink | None = None
        self._over = False
        self._rest = _NOTHING
        self._messages: list[bytes | str] = []
        self._said = 0
        self._stuck: asyncio.TimerHandle | None = None
        self._counted = False

    def serve(self, sink: Sink) -> None:
        """From now on all that comes goes to the sink, first what came already; the app has no part in it any more."""
        events = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        early: list[Any] = [e.get("bytes") or e.get("text") or "" for e in events if e["type"] == "websocket.receive"]
        self._sink, self.queue = sink, _Nowhere()  # type: ignore[assignment]  # four queues and an event for each worker
        del self.scope, self.request, self.response
        self._uncount()
        self.resume()
        if early:
            sink.heard(early)
        if any(e["type"] == "websocket.disconnect" for e in events):
            self._ended()

    def say(self, frames: Sequence[bytes]) -> int:
        """Writes binary messages; returns how many bytes wait for the worker to take them."""
        if self.close_sent or self.transport.is_closing():
            return 0
        for frame in frames:
            head = _head(len(frame))
            self._said += len(head) + len(frame)
            self.transport.write(head + frame)
        return self.transport.get_write_buffer_size()

    def end(self, why: Closed) -> None:
        """Closes with this code after all that was said; the sink hears of the end soon, not at once."""
        self.loop.call_soon(self._ended)
        if self.close_sent or self.transport.is_closing():
            return
        try:
            self.conn.send_close(why.number, why.reason)
        except InvalidState:
            self.transport.close()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.resume()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def pause(self) -> None:
        """Takes nothing more from the worker until `resume`."""
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Takes what the worker sends."""
        if self.read_paused:
            self.read_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def handle_connect(self, event: Request) -> None:
        """The head of the request is there."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: Any = self.scope["extensions"]
            extensions[EXTENSION] = self
            self._counted = True
            Wire.opening += 1

    async def run_asgi(self) -> None:
        """The app's part: the handshake, or a refusal."""
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass  # as the app would hear at its next word
        except Exception:
            self.logger.exception("a websocket's app failed")
            self.send_500_response()
        if self._sink is None and self.close_timer is None:
            self.transport.close()

    async def send(self, message: Any) -> None:
        """What the app says; a worker that has gone meanwhile is no fault of ours, as uvloop would have it."""
        if self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)

    def data_received(self, data: bytes) -> None:
        """Takes bytes: cuts whole binary frames out, and leaves all else to the library, a whole frame at a time; one that is
        too large is refused at once."""
        if not self.handshake_initiated:
            if Wire.opening < MOST_OPENING:
                super().data_received(data)
            elif not self.transport.is_closing():
                self.transport.write(BUSY)
                self.transport.close()
            return
        found: bytes | bytearray = data
        if self._rest:
            self._rest += data
            found = self._rest
        at, size = 0, len(found)
        while (cut := _cut(found, at, size)) is not None:
            start, end = cut
            fits = end - start <= self.config.ws_max_size
            if fits and end > size:
                break
            end = min(end, size)
            self._frame(found, at, start, end, fits=fits)
            at = end
        if at or found is data:
            self._rest = bytearray(memoryview(found)[at:]) if at < size else _NOTHING
        self._deliver()

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        if self._sink is None:
            super().send_receive_event_to_app()
            return
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            return
        text = self.curr_msg_data_type == "text"
        self._messages.append(data.decode(errors="replace") if text else data)

    def handle_close(self, event: Any) -> None:
        """The worker closes."""
        super().handle_close(event)
        self._deliver()
        self._ended()

    def handle_parser_exception(self) -> None:
        """The worker does not speak websocket."""
        super().handle_parser_exception()
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """The line is gone."""
        super().connection_lost(exc)
        self._uncount()
        self._forget_stuck()
        self._ended()

    def pause_writing(self) -> None:
        """The worker takes less than is said to it."""
        super().pause_writing()
        self._watch(self._taken())

    def resume_writing(self) -> None:
        """The worker has taken most of it."""
        super().resume_writing()
        self._forget_stuck()

    def _frame(self, data: bytes | bytearray, at: int, start: int, end: int, *, fits: bool) -> None:
        plain = fits and data[at] == BINARY and data[at + 1] & MASKED and not self.frames
        if plain and self.conn.state is State.OPEN:
            payload = bytes(apply_mask(data[start:end], data[start - 4 : start]))
            if self._sink is not None:
                self._messages.append(payload)
            else:
                self.curr_msg_data_type, self.frames = "bytes", [payload]
                self.send_receive_event_to_app()
        elif self.conn.parser_exc is None:
            super().data_received(bytes(data[at:end]))

    def _deliver(self) -> None:
        if self._messages and self._sink is not None and not self.close_sent:
            messages, self._messages = self._messages, []
            self._sink.heard(messages)

    def _uncount(self) -> None:
        Wire.opening -= self._counted
        self._counted = False

    def _ended(self) -> None:
        if self._sink is not None and not self._over:
            self._over = True
            self._sink.over()

    def _taken(self) -> int:
        """How many bytes the worker has taken."""
        return self._said - self.transport.get_write_buffer_size()

    def _watch(self, taken: int) -> None:
        self._forget_stuck()
        self._stuck = self.loop.call_later(WRITE_S, self._look, taken)

    def _look(self, before: int) -> None:
        if (taken := self._taken()) > before:
            self._watch(taken)
        else:
            self.transport.abort()

    def _forget_stuck(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


def _cut(data: bytes | bytearray, at: int, size: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` begins and where it ends; None if that is not known yet."""
    if at + 2 > size:
        return None
    start, length = at + (6 if data[at + 1] & MASKED else 2), data[at + 1] & ~MASKED
    if length > SHORT:
        wide = 2 if length == LONG else 8
        if at + 2 + wide > size:
            return None
        start, length = start + wide, int.from_bytes(data[at + 2 : at + 2 + wide], "big")
    return start, start + length


def _head(size: int) -> bytes:
    """The head of a whole binary frame of a server."""
    if size <= SHORT:
        return bytes((BINARY, size))
    if size < 1 << 16:
        return bytes((BINARY, LONG)) + size.to_bytes(2, "big")
    return bytes((BINARY, LONGER)) + size.to_bytes(8, "big")
