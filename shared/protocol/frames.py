"""The sealed frame: 8-byte sequence, 16-byte keyed BLAKE2b tag over sequence and payload, payload."""

import hmac
from hashlib import blake2b
from typing import Final

from shared.protocol.closing import Closed, closed
from shared.protocol.messages import CloseCode

SEQUENCE_BYTES: Final = 8
TAG_BYTES: Final = 16
HEADER_BYTES: Final = SEQUENCE_BYTES + TAG_BYTES
MAX_FRAME: Final = 1 << 20
MAX_PAYLOAD: Final = MAX_FRAME - HEADER_BYTES


class Sealer:
    """Seals what one side says, numbered from 1; `key` is 32 bytes and used for one direction of one session."""

    __slots__ = ("_key", "_said")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._said = 0

    def seal(self, payload: bytes) -> bytes:
        """The next frame; raises ValueError if the payload is over 1 MiB less the header."""
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"a payload of {len(payload)} bytes does not fit into a frame")
        self._said += 1
        sequence = self._said.to_bytes(SEQUENCE_BYTES, "big")
        return sequence + _tag(self._key, sequence, payload) + payload


class Opener:
    """Opens what the other side sealed, in its order, each frame once."""

    __slots__ = ("_heard", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._heard = 0

    def open(self, frame: bytes) -> bytes | Closed:
        """The payload; or why the session must end: too large, too short, altered, repeated, or out of order."""
        if len(frame) > MAX_FRAME:
            return closed(CloseCode.TOO_LARGE, f"a frame is larger than {MAX_FRAME} bytes")
        if len(frame) < HEADER_BYTES:
            return closed(CloseCode.PROTOCOL, "a frame is shorter than its header")
        sequence, tag, payload = frame[:SEQUENCE_BYTES], frame[SEQUENCE_BYTES:HEADER_BYTES], frame[HEADER_BYTES:]
        if not hmac.compare_digest(_tag(self._key, sequence, payload), tag):
            return closed(CloseCode.PROTOCOL, "a frame has a bad tag")
        if int.from_bytes(sequence, "big") != self._heard + 1:
            return closed(CloseCode.PROTOCOL, "a frame is repeated, missing or out of order")
        self._heard += 1
        return payload


def _tag(key: bytes, sequence: bytes, payload: bytes) -> bytes:
    mac = blake2b(sequence, key=key, digest_size=TAG_BYTES)
    mac.update(payload)
    return mac.digest()
