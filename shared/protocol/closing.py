"""How a session ends: one code, one reason for people, and its number on the websocket."""

from typing import Final

import msgspec

from shared.protocol.codes import CLOSE_NUMBERS, CloseCode

MAX_REASON: Final = 123
_CODES: Final = {number: code for code, number in CLOSE_NUMBERS.items()}


class Closed(msgspec.Struct, frozen=True):
    """The session is over; `reason` is a sentence for people, at most 123 bytes of UTF-8, and holds nothing secret."""

    code: CloseCode
    reason: str

    @property
    def number(self) -> int:
        """The websocket close code that goes with it."""
        return CLOSE_NUMBERS[self.code]


def closed(code: CloseCode, reason: str) -> Closed:
    """The end of a session, its reason cut to the 123 bytes that a websocket close frame holds."""
    return Closed(code, reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore"))


def code_of(number: int) -> CloseCode | None:
    """What a websocket close code means; None if it is not one of ours (1006 and the like: the line broke)."""
    return _CODES.get(number)
