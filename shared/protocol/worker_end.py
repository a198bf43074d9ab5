"""The worker's end of its session with a coordinator: bytes in, events out; no socket, clock, chance or task in it."""

from typing import Final, assert_never

import msgspec
from nacl.signing import SigningKey

from shared.protocol.closing import Closed, closed
from shared.protocol.handshake import (
    KEY_BYTES,
    Heard,
    check_challenge,
    encode,
    hear,
    in_time,
    make_answer,
    session_keys,
    shared_secret,
)
from shared.protocol.messages import (
    Ack,
    Cancel,
    Capabilities,
    Drain,
    Held,
    Offer,
    Pong,
    Refused,
    ServerHello,
    Standing,
    ToCoordinator,
    ToWorker,
    Wanted,
    Welcome,
    WorkerHello,
)
from shared.protocol.phases import Phase, Side
from shared.protocol.session import Session

__all__ = ["ChallengeReceived", "Closed", "Event", "MessageReceived", "Welcomed", "WorkerEnd"]

_DECODER: Final = msgspec.json.Decoder(ToWorker | Refused)


class ChallengeReceived(msgspec.Struct, frozen=True):
    """A coordinator has proven that it holds `server_pk` (hex); this machine's clock is `skew_ms` ahead of it."""

    server_pk: str
    skew_ms: int


class Welcomed(msgspec.Struct, frozen=True):
    """The session is open."""

    welcome: Welcome


class MessageReceived(msgspec.Struct, frozen=True):
    """The coordinator said this, whole and in its order."""

    message: ToWorker


Event = ChallengeReceived | Welcomed | MessageReceived | Closed


class WorkerEnd:
    """One connection to a coordinator of `host`; `pinned_server_pk` (hex) None trusts the first key that it shows.

    `now` is in ms since 1970 UTC, `entropy` is at least 32 fresh random bytes, used once.
    """

    def __init__(self, key: SigningKey, host: str, pinned_server_pk: str | None, *, now: int, entropy: bytes) -> None:
        if len(entropy) < KEY_BYTES:
            raise ValueError("an answer takes 32 bytes of entropy")
        self._key = key
        self._host = host
        self._pinned = pinned_server_pk
        self._since = now
        self._ephemeral = entropy[:KEY_BYTES]
        self._secret = b""
        self._challenge: Heard[ServerHello] | None = None
        self._session: Session[ToWorker | Refused] = Session(Side.WORKER, Side.COORDINATOR, _DECODER)

    @property
    def closed(self) -> Closed | None:
        """Why the session ended; None while it lives."""
        return self._session.closed

    @property
    def phase(self) -> Phase:
        """How far the session has come."""
        return self._session.phase

    def receive(self, data: bytes | str, now: int) -> list[Event]:
        """What a websocket message brings; never raises. A fault is one Closed event, and nothing comes after it."""
        if self.closed:
            return []
        if self.phase is Phase.START:
            return [self._challenged(data, now)]
        message = self._session.hear(data)
        return [] if message is None else [self._event(message, now)]

    def answer(self, capabilities: Capabilities, resume: list[Held], now: int) -> list[bytes]:
        """The signed answer after ChallengeReceived, none once closed; raises ValueError otherwise or over 16 KiB."""
        if self.closed:
            return []
        if self._challenge is None:
            raise ValueError("there is no challenge to answer")
        hello, hashed = make_answer(
            self._key, self._challenge, ephemeral=self._ephemeral, now=now, capabilities=capabilities, resume=resume
        )
        raw = encode(hello)
        self._session.saying(WorkerHello)
        keys = session_keys(self._secret, hashed)
        self._session.key(sending=keys.to_coordinator, receiving=keys.to_worker)
        self._since = now
        return [raw]

    def send(self, message: ToCoordinator) -> list[bytes]:
        """The frames of a message, none once closed; raises ValueError before the welcome or over 64 MiB."""
        return self._session.say(message)

    def _challenged(self, data: bytes | str, now: int) -> Event:
        heard = hear(data, ServerHello)
        if isinstance(heard, Closed):
            return self._session.end(heard)
        if fault := in_time(self._since, now) or self._prove(heard, now) or self._session.heard(ServerHello):
            return self._session.end(fault)
        return ChallengeReceived(heard.message.server_pk, now - heard.message.time)

    def _prove(self, heard: Heard[ServerHello], now: int) -> Closed | None:
        if fault := check_challenge(heard, host=self._host, pinned=self._pinned, now=now):
            return fault
        secret = shared_secret(self._ephemeral, heard.message.ephemeral_pk)
        if isinstance(secret, Closed):
            return secret
        self._challenge, self._secret = heard, secret
        return None

    def _event(self, message: ToWorker | Refused | Closed, now: int) -> Event:
        match message:
            case Closed():
                return message
            case Refused():
                return self._session.end(closed(message.code, message.reason))
            case Welcome():
                fault = in_time(self._since, now)
                return self._session.end(fault) if fault else Welcomed(message)
            case Offer() | Cancel() | Ack() | Pong() | Drain() | Standing() | Wanted():
                return MessageReceived(message)
            case _:
                assert_never(message)
