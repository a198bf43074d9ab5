"""Large messages in numbered parts: a zero byte, then index and count (4 bytes each, big-endian), then the slice.

JSON never starts with a zero byte, so a part cannot be taken for a message.
"""

from typing import Final

from shared.protocol.closing import Closed, closed
from shared.protocol.messages import CloseCode

PART_BYTES: Final = 256 << 10
MAX_MESSAGE: Final = 64 << 20
MAX_PARTS: Final = MAX_MESSAGE // PART_BYTES
MARK: Final = b"\0"
PART_HEADER_BYTES: Final = 9


def split(message: bytes) -> list[bytes]:
    """The payloads that carry a message: itself up to 256 KiB, else its parts; raises ValueError over 64 MiB."""
    if len(message) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(message)} bytes is over {MAX_MESSAGE}")
    if len(message) <= PART_BYTES:
        return [message]
    slices = [message[at : at + PART_BYTES] for at in range(0, len(message), PART_BYTES)]
    count = len(slices).to_bytes(4, "big")
    return [MARK + index.to_bytes(4, "big") + count + piece for index, piece in enumerate(slices)]


class Assembler:
    """Puts the parts of one message together; nothing else may come between them."""

    __slots__ = ("_count", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._count = 0

    def take(self, payload: bytes) -> bytes | Closed | None:
        """A whole message, None while parts are missing, or why the session must end."""
        if not payload.startswith(MARK):
            return (
                closed(CloseCode.PROTOCOL, "a message came between the parts of another") if self._pieces else payload
            )
        if len(payload) <= PART_HEADER_BYTES:
            return closed(CloseCode.PROTOCOL, "a part is empty")
        index, count = int.from_bytes(payload[1:5], "big"), int.from_bytes(payload[5:9], "big")
        fault = self._fault(index, count, len(payload) - PART_HEADER_BYTES)
        return fault or self._add(payload[PART_HEADER_BYTES:], count)

    def _fault(self, index: int, count: int, size: int) -> Closed | None:
        if count > MAX_PARTS:
            return closed(CloseCode.TOO_LARGE, f"a message is larger than {MAX_MESSAGE} bytes")
        if index != len(self._pieces) or count < 2 or (index > 0 and count != self._count):
            return closed(CloseCode.PROTOCOL, "a part is out of order")
        if size > PART_BYTES or (index < count - 1 and size < PART_BYTES):
            return closed(CloseCode.PROTOCOL, f"a part is not of {PART_BYTES} bytes")
        return None

    def _add(self, piece: bytes, count: int) -> bytes | None:
        self._count = count
        self._pieces.append(piece)
        if len(self._pieces) < count:
            return None
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole
