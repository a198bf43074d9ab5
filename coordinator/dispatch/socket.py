"""The workers' socket: one task that reads, one that writes, and nothing that a worker sends can reach past them."""

import asyncio
import os
from typing import Any, Final

import structlog
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from coordinator.dispatch import inbox, joining, resume, telling
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import HEARTBEAT_MS, LEASE_MS, Dispatch
from coordinator.dispatch.watch import gone
from shared.logs import bug
from shared.protocol.closing import Closed, closed
from shared.protocol.coordinator_end import CoordinatorEnd, HelloReceived, MessageReceived
from shared.protocol.messages import SUBPROTOCOL, CloseCode, WorkerHello

HANDSHAKE_S: Final = 10
WRITE_S: Final = 10
HANDSHAKES_PER_ADDRESS: Final = 64
HANDSHAKES: Final = 512
AT_A_TIME: Final = 16
"""How many frames of one worker are taken before everything else has its turn; waiting ones are read without a pause."""

log = structlog.get_logger()

Socket = WebSocket[Any, Any, Any]


async def worker_socket(socket: Socket, d: Dispatch) -> None:
    """Serves one worker until either side ends the session; never raises for what the worker does."""
    address = socket.client.host if socket.client else ""
    if sum(d.handshakes.values()) >= HANDSHAKES or d.handshakes.get(address, 0) >= HANDSHAKES_PER_ADDRESS:
        await _end(socket, closed(CloseCode.OVERLOAD, "too many workers are joining; try again in a moment"))
        return
    d.handshakes[address] = d.handshakes.get(address, 0) + 1
    try:
        session = await _handshake(socket, d)
    except (WebSocketDisconnect, OSError):
        return
    except Exception as e:  # noqa: BLE001  # nobody else would ever hear that no worker can join
        log.error("a worker could not join", **bug(e))
        await _end(
            socket, closed(CloseCode.OVERLOAD, "the coordinator has a fault, which its log tells; try again later")
        )
        return
    finally:
        _one_less(d.handshakes, address)
    if session is not None:
        await _serve(socket, d, session)


async def _handshake(socket: Socket, d: Dispatch) -> Session | None:
    """A welcomed session that has joined the hub, None if it did not come to that."""
    host = socket.headers.get("host", "")
    if SUBPROTOCOL not in socket.headers.get("sec-websocket-protocol", "").replace(" ", "").split(","):
        await _end(socket, closed(CloseCode.PROTOCOL, f"the subprotocol is {SUBPROTOCOL}"))
        return None
    if not joining.is_ours(host, d.public_host):
        await _end(socket, closed(CloseCode.UNAUTHENTICATED, "this host is not served here"))
        return None
    end = CoordinatorEnd(d.key, d.public_host or host, now=d.now_ms(), entropy=os.urandom(64))
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            await socket.accept(subprotocols=SUBPROTOCOL)
            hello = await _hello(socket, d, end)
            return None if hello is None else await _welcome(socket, d, end, hello)
    except TimeoutError:
        await _end(socket, closed(CloseCode.UNAUTHENTICATED, "the handshake took longer than 10 s"))
    return None


async def _hello(socket: Socket, d: Dispatch, end: CoordinatorEnd) -> WorkerHello | None:
    for frame in end.open():
        await socket.send_bytes(frame)
    data = await _receive(socket)
    if data is None:
        return None
    for event in end.receive(data, d.now_ms()):
        if isinstance(event, HelloReceived):
            return event.hello
    await _end(socket, end.closed)
    return None


async def _welcome(socket: Socket, d: Dispatch, end: CoordinatorEnd, hello: WorkerHello) -> Session | None:
    """Admits the worker, or tells it why not. The welcome is the first thing that the session says."""
    admitted = await joining.admit(d, end, hello)
    if isinstance(admitted, Closed):
        for frame in end.refuse(admitted.code, admitted.reason):
            await socket.send_bytes(frame)
        await _end(socket, admitted)
        return None
    session, held = admitted
    frames = end.welcome(
        session=os.urandom(8).hex(),
        tier=session.facts.tier,
        heartbeat_ms=HEARTBEAT_MS,
        lease_ms=LEASE_MS,
        resume=held,
        now=d.now_ms(),
    )
    session.push(frames)
    for attempt in resume.missing(d, session, hello.resume):
        session.send(attempt.offer)
    d.hub.join(session)
    telling.joined(d, session, held)
    log.info("a worker joined", worker=session.pk, cell=session.public.cell, models=sorted(session.facts.models))
    return session


async def _serve(socket: Socket, d: Dispatch, session: Session) -> None:
    """Reads and writes until the session ends; the grace of its attempts starts the moment that it does."""
    reading = asyncio.create_task(_read(socket, d, session))
    writing = asyncio.create_task(_write(socket, session))
    try:
        await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
        gone(d, session, d.now_ms())
        if not writing.done():
            session.close(CloseCode.NORMAL, "the socket is closed")
            await asyncio.wait((writing,), timeout=WRITE_S)
    finally:
        gone(d, session, d.now_ms())
        for task in (reading, writing):
            task.cancel()
        for outcome in await asyncio.gather(reading, writing, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect | OSError):
                log.error("a worker's session broke", worker=session.pk, error=type(outcome).__name__)
        log.info("a worker left", worker=session.pk, why=session.closing.code if session.closing else "")


async def _read(socket: Socket, d: Dispatch, session: Session) -> None:
    heard = 0
    while session.closing is None and (data := await _receive(socket)) is not None:
        heard += 1
        if heard % AT_A_TIME == 0:
            await asyncio.sleep(0)
        now = d.now_ms()
        if not session.within_rate(now):
            session.close(CloseCode.RATE, "too many frames")
            return
        for event in session.end.receive(data, now):
            if isinstance(event, MessageReceived):
                await inbox.take(d, session, event.message, now)
            elif isinstance(event, Closed):
                session.closing = session.closing or event
                session.ready.set()


async def _write(socket: Socket, session: Session) -> None:
    """Writes what is queued, and closes the socket once the session has ended and all of it is out."""
    while True:
        frame = session.take()
        if frame is not None:
            async with asyncio.timeout(WRITE_S):
                await socket.send_bytes(frame)
        elif session.closing is not None:
            await _end(socket, session.closing)
            return
        else:
            await session.ready.wait()


async def _receive(socket: Socket) -> bytes | str | None:
    """The next websocket message, None once the worker has gone."""
    event = await socket.receive()
    if event["type"] != "websocket.receive":
        return None
    data = event.get("bytes")
    return data if data is not None else event.get("text") or ""


async def _end(socket: Socket, why: Closed | None) -> None:
    """Closes the websocket with the code that says why; a socket that has gone already needs none."""
    if why is None or socket.connection_state == "disconnect":
        return
    try:
        await socket.close(code=why.number, reason=why.reason)
    except (RuntimeError, WebSocketDisconnect) as e:
        log.debug("the worker was gone before it was told why", error=str(e))


def _one_less(counts: dict[str, int], address: str) -> None:
    counts[address] -= 1
    if not counts[address]:
        del counts[address]
