"""Wake-ups and what workers say, between coordinators. Every message may be lost or come twice: whoever hears has to be right
without it. A fleet of one has nobody to tell; a larger one goes over NATS, the operator's own network."""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable, Sequence
from ssl import SSLCertVerificationError
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.errors import Error as NatsError

from coordinator.dispatch.between import Message
from shared.errors import RequestError
from shared.logs import bug

AGAIN_S: Final = 0.25
CONNECT_S: Final = 2
CLOSE_S: Final = 0.5
PING_S: Final = 5
"""A server that is silent for twice as long is away."""

MAX_WAITING: Final = 20_000
MAX_BATCH: Final = 256 << 10
MAX_MESSAGE: Final = 700 << 10
"""In bytes: a server takes 1 MiB at once. What is larger is left to the database."""

GONE: Final = (NatsError, OSError, TimeoutError, RuntimeError)
"""A server that is away; a RuntimeError is uvloop's word for a connection that was reset while something waited to be
written."""

SCHEMES: Final = ("nats", "tls")
Hear = Callable[[Message], None]
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_ONE: Final = msgspec.msgpack.Decoder(Message)

log = structlog.get_logger()


class Bus(Protocol):
    """The way to the other coordinators of a fleet."""

    @property
    def connected(self) -> bool:
        """Whether somebody may hear what is told now."""

    def tell(self, message: Message, to: str | None = None) -> None:
        """Tells the coordinator of this name, or all others; never waits, and promises nothing."""

    async def run(self, hear: Hear) -> None:
        """Carries messages both ways, for ever."""


class Alone:
    """The bus of the only coordinator."""

    connected = False

    def tell(self, message: Message, to: str | None = None) -> None:
        """Nobody hears it."""

    async def run(self, _hear: Hear) -> None:
        """Nothing comes."""
        await asyncio.Event().wait()


class Secured(Client):
    """A client that tells a server whose address begins with `tls:` nothing, its password least of all, unless it speaks TLS;
    by itself it would go by the server's own word, which anybody on the way may change."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        if initial_connection and server is not None and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise NatsError("the server does not ask for TLS, and its address begins with tls:")
        await super()._process_info(info, initial_connection)

    async def _process_pong(self) -> None:
        if self._pongs and self._pongs[0].done():  # who waited has given up, and the answer would end all reading
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _process_op_err(self, e: Exception) -> None:
        if self._disconnected_cb is not None:  # before the end, which may break, or wait for a server that is silent
            await self._disconnected_cb()
        with contextlib.suppress(RuntimeError):  # it was reset while something waited to be written
            await super()._process_op_err(e)

    async def let_go(self, subscriptions: Sequence[Subscription]) -> None:
        """Closes the connection, within a moment, and waits for the end of every task that it had: after a handshake that
        failed it would wait for ever for a socket that is gone, and over TLS for a server that does not say farewell."""
        had = [self._reading_task, self._ping_interval_task, self._flusher_task]
        tasks = [task for task in (*had, *(one._wait_for_msgs_task for one in subscriptions)) if task is not None]
        try:
            with contextlib.suppress(*GONE):
                async with asyncio.timeout(CLOSE_S):
                    await self.close()
        finally:
            for task in tasks:
                task.cancel()
            self._cut()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the loop lets go of a socket at its next turn

    def _cut(self) -> None:
        """Ends what is left of the socket, below TLS."""
        if isinstance(self._transport, TcpTransport) and self._transport._bare_io_writer is not None:
            with contextlib.suppress(*GONE):
                self._transport._bare_io_writer.transport.abort()


class Nats:
    """The bus of a fleet: a subject for all of it and one for each coordinator, both below the fleet's own name. What
    cannot be told at once, because the server is away, is not told at all. An address that begins with `tls:` is spoken to
    over TLS alone; which authorities are trusted say SSL_CERT_FILE and SSL_CERT_DIR, else the system."""

    def __init__(self, urls: str, *, fleet: str, name: str) -> None:
        self.urls = checked(urls)
        self.name = name
        self.connected = False
        self._prefix = f"hive.{fleet}"
        self._failure: Exception | None = None
        self._waiting: deque[tuple[str, Message]] = deque()
        self._news = asyncio.Event()

    def tell(self, message: Message, to: str | None = None) -> None:
        """Queues a message for the next batch; see Bus."""
        if self.connected and to != self.name and len(self._waiting) < MAX_WAITING:
            self._waiting.append((f"{self._prefix}.all" if to is None else f"{self._prefix}.to.{to}", message))
            self._news.set()

    async def run(self, hear: Hear) -> None:
        """Connects again for ever, whatever goes wrong."""
        was_away = ""
        while True:
            try:
                await self._session(hear)
            except GONE as e:
                cause = self._failure or e
                if was_away != (kind := type(cause).__name__):
                    why = {"error": kind, "reason": said_of(cause, self.urls)}
                    log.warning("the bus is away: coordinators hear of each other by the database", **why)
                was_away = kind
            else:
                was_away = ""
            await asyncio.sleep(AGAIN_S)

    async def _session(self, hear: Hear) -> None:
        client, closed, subscriptions = Secured(), asyncio.Event(), list[Subscription]()
        self._failure = None

        async def failed(e: Exception) -> None:
            self._failure = e

        async def ended() -> None:
            self.connected = False
            closed.set()
            self._news.set()

        async def heard(message: Msg) -> None:
            for one in decoded(message.data):
                try:
                    hear(one)
                except Exception as e:  # noqa: BLE001  # the next message may be heard all the same
                    log.error("a message of another coordinator broke something", **bug(e))

        try:
            await client.connect(
                self.urls, name=self.name, closed_cb=ended, disconnected_cb=ended, error_cb=failed,
                allow_reconnect=False, max_reconnect_attempts=1, reconnect_time_wait=0, connect_timeout=CONNECT_S,
                ping_interval=PING_S, no_echo=True,
            )  # fmt: skip
            for subject in (f"{self._prefix}.all", f"{self._prefix}.to.{self.name}"):
                subscriptions.append(await client.subscribe(subject, cb=heard))
            await client.flush(CONNECT_S)
            self.connected = not closed.is_set()
            log.info("the bus is there")
            while not closed.is_set():
                await self._news.wait()
                self._news.clear()
                for subject, batch in batches(self._taken()):
                    await client.publish(subject, batch)
        finally:
            self.connected = False
            self._waiting.clear()
            await client.let_go(subscriptions)

    def _taken(self) -> list[tuple[str, Message]]:
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


def checked(urls: str) -> list[str]:
    """The addresses of one setting, by comma; raises RequestError for one that is none."""
    found = [url.strip() for url in urls.split(",") if url.strip()]
    for url in found:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise RequestError(
                "HIVE_NATS_URL is no address of a NATS server; it looks like nats://user:password@host:4222."
            )
    return found


def subject_name(text: str) -> str:
    """The text as one part of a NATS subject."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)


def batches(waiting: Sequence[tuple[str, Message]]) -> list[tuple[str, bytes]]:
    """What goes to each subject, in its order, cut into batches that a server takes."""
    made: list[tuple[str, bytes]] = []
    parts: dict[str, list[bytes]] = {}
    sizes: dict[str, int] = {}
    for subject, message in waiting:
        data = _ENCODER.encode(message)
        if len(data) > MAX_MESSAGE:
            continue
        parts.setdefault(subject, []).append(data)
        sizes[subject] = sizes.get(subject, 0) + len(data)
        if sizes[subject] >= MAX_BATCH:
            made.append((subject, _joined(parts.pop(subject))))
            del sizes[subject]
    return made + [(subject, _joined(part)) for subject, part in parts.items()]


def decoded(data: bytes) -> list[Message]:
    """The messages of a batch that this version understands."""
    try:
        parts = _DECODER.decode(data)
    except msgspec.DecodeError:
        return []
    found = []
    for part in parts:
        try:
            found.append(_ONE.decode(part))
        except msgspec.DecodeError as e:
            log.debug("a message of another coordinator is not understood", error=type(e).__name__)
    return found


def _joined(parts: list[bytes]) -> bytes:
    return _ENCODER.encode([msgspec.Raw(part) for part in parts])


def said_of(failure: BaseException, urls: Sequence[str]) -> str:
    """What a failure says, in one line, without what is secret in the addresses."""
    text = failure.verify_message if isinstance(failure, SSLCertVerificationError) else str(failure)
    for url in urls:
        parts = urlsplit(url)
        for secret in filter(None, (parts.password, parts.username)):
            text = text.replace(secret, "…")
    return " ".join(text.split())[:200]


def bus_of(url: str, fleet: str, name: str) -> Bus:
    """The bus of one coordinator: over NATS where an address is given, else its own alone."""
    return Nats(url, fleet=fleet, name=name) if url else Alone()
