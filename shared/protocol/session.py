"""What both ends of a session have in common: the phase, the sealed line once keys are agreed, and how it ended."""

from typing import Generic, TypeVar

import msgspec

from shared.protocol.closing import Closed, closed
from shared.protocol.frames import Opener, Sealer
from shared.protocol.messages import CloseCode
from shared.protocol.parts import Assembler, split
from shared.protocol.phases import Kind, Phase, Side, after, name

Inbound = TypeVar("Inbound", bound=msgspec.Struct)


class Line(Generic[Inbound]):
    """Sealed messages under agreed keys, in parts where they are large."""

    __slots__ = ("_assembler", "_decoder", "_opener", "_sealer")

    def __init__(self, *, sending: bytes, receiving: bytes, decoder: "msgspec.json.Decoder[Inbound]") -> None:
        self._sealer = Sealer(sending)
        self._opener = Opener(receiving)
        self._assembler = Assembler()
        self._decoder = decoder

    def seal(self, message: msgspec.Struct) -> list[bytes]:
        """The frames that carry a message; raises ValueError if it is over 64 MiB."""
        return [self._sealer.seal(payload) for payload in split(msgspec.json.encode(message))]

    def open(self, data: bytes | str) -> Inbound | Closed | None:
        """The message that this frame completes, None if parts are missing, or why the session must end."""
        if isinstance(data, str):
            return closed(CloseCode.PROTOCOL, "a sealed frame is binary, not text")
        payload = self._opener.open(data)
        whole = payload if isinstance(payload, Closed) else self._assembler.take(payload)
        return self._decode(whole) if isinstance(whole, bytes) else whole

    def _decode(self, raw: bytes) -> Inbound | Closed:
        try:
            return self._decoder.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
            _, found, where = str(fault).rpartition(" - at ")
            reason = f"a message is wrong at {where}" if found else "a message is unknown or malformed"
            return closed(CloseCode.PROTOCOL, reason)


class Session(Generic[Inbound]):
    """One side's state: nothing is said or heard but what the table of phases allows, and nothing after the end."""

    __slots__ = ("_decoder", "_line", "_peer", "_side", "closed", "phase")

    def __init__(self, side: Side, peer: Side, decoder: "msgspec.json.Decoder[Inbound]") -> None:
        self.phase = Phase.START
        self.closed: Closed | None = None
        self._side = side
        self._peer = peer
        self._decoder = decoder
        self._line: Line[Inbound] | None = None

    def key(self, *, sending: bytes, receiving: bytes) -> None:
        """From now on all that is said and heard is sealed under these keys."""
        self._line = Line(sending=sending, receiving=receiving, decoder=self._decoder)

    def saying(self, kind: Kind) -> None:
        """Takes the step of saying a message of this kind; raises ValueError if this side may not say it now."""
        phase = after(self.phase, self._side, kind)
        if phase is None:
            raise ValueError(f"the {self._side} may not say {name(kind)} while {self.phase}")
        self.phase = phase

    def heard(self, kind: Kind) -> Closed | None:
        """Takes the step of hearing a message of this kind, or ends the session if it may not be said now."""
        phase = after(self.phase, self._peer, kind)
        if phase is None:
            return self.end(closed(CloseCode.PROTOCOL, f"{name(kind)} is not allowed while {self.phase}"))
        self.phase = phase
        return None

    def say(self, message: msgspec.Struct) -> list[bytes]:
        """The sealed frames of a message, none after the end; raises ValueError if not allowed now or too large."""
        if self.closed:
            return []
        if self._line is None:
            raise ValueError(f"nothing can be said while {self.phase}")
        self.saying(type(message))
        return self._line.seal(message)

    def hear(self, data: bytes | str) -> Inbound | Closed | None:
        """The message that a sealed frame completes, checked against the phase; a fault ends the session."""
        if self._line is None:
            return self.end(closed(CloseCode.PROTOCOL, f"nothing is expected while {self.phase}"))
        message = self._line.open(data)
        if message is None or isinstance(message, Closed):
            return self.end(message) if message else None
        return self.heard(type(message)) or message

    def end(self, why: Closed) -> Closed:
        """Ends the session; the first reason stays."""
        self.phase = Phase.CLOSED
        self.closed = self.closed or why
        return self.closed
