"""The worker's socket: one outbound connection, kept up; the only file that imports websockets."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import random
from typing import Final, Protocol, assert_never
from urllib.parse import urlsplit

import structlog
from nacl.signing import SigningKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException
from websockets.typing import Subprotocol

from shared.errors import HiveError
from shared.protocol.closing import Closed, code_of
from shared.protocol.messages import SUBPROTOCOL, Capabilities, CloseCode, Held, ToCoordinator, ToWorker, Welcome
from shared.protocol.worker_end import ChallengeReceived, MessageReceived, Welcomed, WorkerEnd
from shared.reach import is_loopback

FRAME_BYTES: Final = 1 << 20
OPEN_S: Final = 10.0
SILENCE_S: Final = 15.0
SETTLED_S: Final = 5.0
BACK_OFF_S: Final = (0.2, 30.0)
QUEUE: Final = 4096
FINAL: Final = frozenset({CloseCode.REVOKED, CloseCode.SUPERSEDED, CloseCode.UPGRADE})
_LOG: Final = structlog.get_logger("worker.link")


class LinkRefusedError(HiveError):
    """The coordinator will not have this worker, or is not the one it was; connecting again changes nothing."""

    code = "link_refused"
    retryable = False


class UpgradeNeededError(LinkRefusedError):
    """The two speak no common version of the protocol."""

    code = "upgrade_required"


class Listener(Protocol):
    """Who uses the link; called from its task, in order."""

    def hello(self) -> tuple[Capabilities, list[Held]]:
        """What to say of this worker when a connection opens."""

    def challenged(self, server_pk: str, skew_ms: int) -> str | None:
        """A coordinator has shown its key; a sentence if it is the wrong one."""

    def welcomed(self, welcome: Welcome) -> None:
        """The session is open."""

    def heard(self, message: ToWorker) -> None:
        """The coordinator said something."""

    def lost(self) -> None:
        """The session is over; what was said since the last answer may be lost."""


class Link:
    """Sessions with one coordinator, one after the other, or with those of its fleet in turn, where it knows `more`. `clock`
    gives ms since 1970 UTC; `sent` and `received` count the bytes of messages since the start."""

    def __init__(
        self, url: str, key: SigningKey, listener: Listener, clock: Callable[[], int], more: Sequence[str] = ()
    ) -> None:
        self._urls, self._key = deque([url, *more]), key
        self._listener, self._clock = listener, clock
        self._socket: ClientConnection | None = None
        self._end: WorkerEnd | None = None
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._reconnect_ms: int | None = None
        self.open = False
        self.failures = self.sent = self.received = 0

    @property
    def host(self) -> str:
        """The host and port of the coordinator that it is connected to, or connects to next."""
        return urlsplit(self._urls[0]).netloc

    async def run(self) -> None:
        """Keeps a session open for ever, with back-off and jitter; raises LinkRefusedError."""
        while True:
            since = asyncio.get_running_loop().time()
            welcomed = await self.one_session()
            lasted = asyncio.get_running_loop().time() - since
            self.failures = 0 if welcomed and lasted >= SETTLED_S else self.failures + 1
            self._urls.rotate(-1)
            await asyncio.sleep(self._pause())

    async def one_session(self) -> bool:
        """Connects and stays until the session is over; whether it was ever open. Raises LinkRefusedError."""
        url = self._urls[0]
        parts = urlsplit(url)
        was_open = False
        try:
            async with connect(
                url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_size=FRAME_BYTES + 64,
                open_timeout=OPEN_S, close_timeout=1, ping_interval=None,
                proxy=None if is_loopback(parts.hostname or "") else True,
            ) as socket:  # fmt: skip
                end = WorkerEnd(self._key, parts.netloc, None, now=self._clock(), entropy=os.urandom(64))
                was_open = await self._serve(socket, end)
        except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
            told = _LOG.info if self.failures else _LOG.warning
            told("no_connection", coordinator=parts.netloc, reason=type(error).__name__)
        return was_open

    def say(self, message: ToCoordinator) -> bool:
        """Sends a message in the open session; False if there is none, and then it is not sent later either."""
        if not self.open or self._end is None:
            return False
        try:
            for frame in self._end.send(message):
                self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            _LOG.warning("coordinator_too_slow")
            self._drop()
            return False
        return True

    def reconnect_after(self, ms: int) -> None:
        """The next connection waits this long, as a coordinator asked that goes away."""
        self._reconnect_ms = ms

    async def flushed(self) -> None:
        """Waits until everything said so far is with the operating system, or the session is over."""
        await self._frames.join()

    async def _serve(self, socket: ClientConnection, end: WorkerEnd) -> bool:
        self._socket, self._end, self._frames = socket, end, asyncio.Queue(QUEUE)
        writer = asyncio.create_task(self._write(socket))
        was_open = False
        try:
            while end.closed is None:
                async with asyncio.timeout(SILENCE_S):
                    data = await socket.recv()
                self.received += len(data)
                for event in end.receive(data, self._clock()):
                    self._take(event, end)
                    was_open = was_open or self.open
        except ConnectionClosed as gone:
            self._gone(gone)
        except TimeoutError:
            _LOG.warning("coordinator_silent", seconds=SILENCE_S)
        finally:
            self._over(writer)
            if end.closed is not None:
                with suppress(ConnectionClosed):
                    await socket.close(end.closed.number, end.closed.reason)
        return was_open

    def _take(self, event: ChallengeReceived | Welcomed | MessageReceived | Closed, end: WorkerEnd) -> None:
        match event:
            case ChallengeReceived(server_pk=server_pk, skew_ms=skew):
                if problem := self._listener.challenged(server_pk, skew):
                    raise LinkRefusedError(problem)
                capabilities, held = self._listener.hello()
                for frame in end.answer(capabilities, held, self._clock()):
                    self._frames.put_nowait(frame)
            case Welcomed(welcome=welcome):
                self.open = True
                self._listener.welcomed(welcome)
            case MessageReceived(message=message):
                self._listener.heard(message)
            case Closed(code=code, reason=reason):
                self._closed(code, reason, opened=self.open)
            case _:
                assert_never(event)

    def _closed(self, code: CloseCode, reason: str, *, opened: bool) -> None:
        _LOG.warning("session_closed", code=str(code), reason=reason)
        if code is CloseCode.UPGRADE:
            raise _upgrade(reason)
        if code in FINAL or (code is CloseCode.UNAUTHENTICATED and not opened):
            raise LinkRefusedError(f"the coordinator and this worker do not come together ({code}): {reason}")

    def _gone(self, gone: ConnectionClosed) -> None:
        code = code_of(gone.rcvd.code) if gone.rcvd else None
        reason = gone.rcvd.reason if gone.rcvd else "the line broke"
        _LOG.info("connection_closed", code=str(code or ""), reason=reason)
        if code is CloseCode.UPGRADE:
            raise _upgrade(reason)
        if code in FINAL:
            raise LinkRefusedError(f"the coordinator closed the session ({code}): {reason}")

    def _over(self, writer: "asyncio.Task[None]") -> None:
        writer.cancel()
        self.open, self._end, self._socket = False, None, None
        while not self._frames.empty():
            self._frames.get_nowait()
            self._frames.task_done()
        self._listener.lost()

    def _drop(self) -> None:
        """Cuts the line at once: frames are numbered, so after one that could not be sent nothing more can be."""
        self.open = False
        if self._socket is not None:
            self._socket.transport.abort()

    async def _write(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                frame = await self._frames.get()
                try:
                    await socket.send(frame)
                    self.sent += len(frame)
                finally:
                    self._frames.task_done()

    def _pause(self) -> float:
        """Seconds until the next connection: as the coordinator asked, else by failure, with jitter."""
        asked, self._reconnect_ms = self._reconnect_ms, None
        if asked is not None:
            return asked / 1000 * (0.75 + random() / 2)  # noqa: S311 - jitter, no secret
        return back_off(-(-self.failures // len(self._urls)), random())  # noqa: S311 - jitter, no secret


def back_off(failures: int, chance: float) -> float:
    """Seconds until the next connection after so many failures: 0.2 doubling to 30, each halved at most by `chance` (0 to 1)."""
    least, most = BACK_OFF_S
    wait: float = min(most, least * 2 ** min(max(failures - 1, 0), 10))
    return wait * (0.5 + chance / 2)


def _upgrade(reason: str) -> UpgradeNeededError:
    """What the two speak stands in brackets at the end of a reason of ours."""
    spoken = reason[reason.rfind("(") :] if reason.endswith(")") else f"({reason})"
    return UpgradeNeededError(
        f"this Hive is of another age than the coordinator's; please upgrade: `hive worker update` {spoken}"
    )
