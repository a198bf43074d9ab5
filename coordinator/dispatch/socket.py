"""The workers' socket: who may join, in a task of its own; whoever has joined needs none."""

import asyncio
import os
from typing import Any, Final, cast

import structlog
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from coordinator.dispatch import joining, memory, resume, telling
from coordinator.dispatch.listening import Listening
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import HEARTBEAT_MS, LEASE_MS, Dispatch
from coordinator.dispatch.wire import EXTENSION, Wire
from shared.logs import bug
from shared.protocol.closing import Closed, closed
from shared.protocol.coordinator_end import CoordinatorEnd, HelloReceived
from shared.protocol.messages import SUBPROTOCOL, CloseCode, WorkerHello

HANDSHAKE_S: Final = 10
HANDSHAKES_PER_ADDRESS: Final = 256
"""A proxy before the coordinator is one address too."""

log = structlog.get_logger()

Socket = WebSocket[Any, Any, Any]


async def worker_socket(socket: Socket, d: Dispatch) -> None:
    """Serves one worker until either side ends the session; never raises for what the worker does."""
    address = socket.client.host if socket.client else ""
    if d.handshakes.get(address, 0) >= HANDSHAKES_PER_ADDRESS:
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
        wire = cast("dict[str, Wire]", socket.scope["extensions"])[EXTENSION]
        session.open(wire)
        wire.serve(Listening(d, session, wire))


async def _handshake(socket: Socket, d: Dispatch) -> Session | None:
    """A welcomed session that has joined the hub, None if it did not come to that."""
    host = socket.headers.get("host", "")
    if SUBPROTOCOL not in socket.headers.get("sec-websocket-protocol", "").replace(" ", "").split(","):
        await _end(socket, closed(CloseCode.PROTOCOL, f"the subprotocol is {SUBPROTOCOL}"))
        return None
    if not joining.is_ours(host, d.public_host):
        await _end(socket, closed(CloseCode.UNAUTHENTICATED, "this host is not served here"))
        return None
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            await _turn(d)
            end = CoordinatorEnd(d.key, d.public_host or host, now=d.now_ms(), entropy=os.urandom(64))
            await socket.accept(subprotocols=SUBPROTOCOL)
            hello = await _hello(socket, d, end)
            return None if hello is None else await _welcome(socket, d, end, hello)
    except TimeoutError:
        await _end(socket, closed(CloseCode.UNAUTHENTICATED, "the handshake took longer than 10 s"))
    return None


async def _turn(d: Dispatch) -> None:
    """Waits for a turn: of all who shake hands a few go on before everything else has its turn, thousands may come at once."""
    async with d.turns:
        await asyncio.sleep(0)


async def _hello(socket: Socket, d: Dispatch, end: CoordinatorEnd) -> WorkerHello | None:
    for frame in end.open():
        await socket.send_bytes(frame)
    data = await _receive(socket)
    if data is None:
        return None
    await _turn(d)
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
    memory.joins(d, session)
    d.hub.join(session)
    telling.joined(d, session, held)
    log.info("a worker joined", worker=session.pk, cell=session.public.cell, models=sorted(session.facts.models))
    return session


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
