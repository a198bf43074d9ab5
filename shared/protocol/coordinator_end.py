"""The coordinator's end of a worker's session: bytes in, events out; no socket, clock, chance or task in it."""

from typing import Final

import msgspec
from nacl.signing import SigningKey

from shared.canonical import canonical
from shared.protocol.closing import Closed, closed
from shared.protocol.handshake import (
    KEY_BYTES,
    Heard,
    check_answer,
    encode,
    hear,
    in_time,
    make_challenge,
    session_keys,
    shared_secret,
    transcript,
)
from shared.protocol.messages import (
    CloseCode,
    Refused,
    ServerHello,
    ToCoordinator,
    ToWorker,
    Verdict,
    Welcome,
    WorkerHello,
)
from shared.protocol.phases import Phase, Side
from shared.protocol.session import Session

__all__ = ["Closed", "CoordinatorEnd", "Event", "HelloReceived", "MessageReceived"]

_DECODER: Final = msgspec.json.Decoder(ToCoordinator)


class HelloReceived(msgspec.Struct, frozen=True):
    """A worker has proven that it holds `hello.worker_pk`: welcome it or refuse it."""

    hello: WorkerHello


class MessageReceived(msgspec.Struct, frozen=True):
    """The worker said this, whole and in its order."""

    message: ToCoordinator


Event = HelloReceived | MessageReceived | Closed


class CoordinatorEnd:
    """One worker's connection. `now` is in ms since 1970 UTC, `entropy` is 64 fresh random bytes, used once."""

    __slots__ = ("_challenge", "_ephemeral", "_session")

    def __init__(self, key: SigningKey, host: str, *, now: int, entropy: bytes) -> None:
        if len(entropy) < 2 * KEY_BYTES:
            raise ValueError("a challenge takes 64 bytes of entropy")
        self._ephemeral = entropy[:KEY_BYTES]
        nonce = entropy[KEY_BYTES : 2 * KEY_BYTES]
        self._challenge = make_challenge(key, host, ephemeral=self._ephemeral, nonce=nonce, now=now)
        self._session: Session[ToCoordinator] = Session(Side.COORDINATOR, Side.WORKER, _DECODER)

    @property
    def closed(self) -> Closed | None:
        """Why the session ended; None while it lives."""
        return self._session.closed

    @property
    def phase(self) -> Phase:
        """How far the session has come."""
        return self._session.phase

    def open(self) -> list[bytes]:
        """The challenge, to be sent first and as it is; raises ValueError the second time."""
        self._session.saying(ServerHello)
        return [encode(self._challenge)]

    def receive(self, data: bytes | str, now: int) -> list[Event]:
        """What a websocket message brings; never raises. A fault is one Closed event, and nothing comes after it."""
        if self.closed:
            return []
        if self.phase is Phase.CHALLENGED:
            return [self._answered(data, now)]
        message = self._session.hear(data)
        if message is None or isinstance(message, Closed):
            return [message] if message else []
        return [MessageReceived(message)]

    def welcome(
        self, *, session: str, tier: int, heartbeat_ms: int, lease_ms: int, resume: list[Verdict], now: int
    ) -> list[bytes]:
        """Opens the session after HelloReceived; raises ValueError in any other phase."""
        return self.send(Welcome(session, tier, now, heartbeat_ms, lease_ms, resume))

    def refuse(self, code: CloseCode, reason: str) -> list[bytes]:
        """Ends the session in any phase; what it returns, nothing before HelloReceived, is to be sent first."""
        why = closed(code, reason)
        frames = self._session.say(Refused(why.code, why.reason)) if self.phase in (Phase.ANSWERED, Phase.OPEN) else []
        self._session.end(why)
        return frames

    def send(self, message: ToWorker) -> list[bytes]:
        """The frames of a message, none once closed; raises ValueError before the welcome or over 64 MiB."""
        return self._session.say(message)

    def _answered(self, data: bytes | str, now: int) -> Event:
        heard = hear(data, WorkerHello)
        if isinstance(heard, Closed):
            return self._session.end(heard)
        fault = self._prove(heard, now)
        return self._session.end(fault) if fault else HelloReceived(heard.message)

    def _prove(self, heard: Heard[WorkerHello], now: int) -> Closed | None:
        said = msgspec.to_builtins(msgspec.structs.replace(self._challenge, signature=""))
        hashed = transcript(canonical(said), heard.canonical)
        if fault := in_time(self._challenge.time, now) or check_answer(heard, hashed, now=now):
            return fault
        secret = shared_secret(self._ephemeral, heard.message.ephemeral_pk)
        if isinstance(secret, Closed):
            return secret
        keys = session_keys(secret, hashed)
        self._session.key(sending=keys.to_worker, receiving=keys.to_coordinator)
        return self._session.heard(WorkerHello)
