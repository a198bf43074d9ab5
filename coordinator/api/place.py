"""How far a reader of a job's events has come, as the id of the last that it got: how much of the answer's text, a checksum of
it, and which event it was. So it goes on at whichever coordinator, whose log of the job may be cut into other events, and gets
the rest of the text once, or is told that it is another's. Pure."""

from typing import Final
from zlib import crc32

import msgspec

from coordinator.dispatch.channel import JobEvent, Token

NUMBER_BITS: Final = 10
CHECK_BITS: Final = 16
EMPTY: Final = crc32(b"hive")
"""Not 0: so every id of a place is larger than the number of an event, which is what an id was in earlier versions."""

_MOST: Final = (1 << NUMBER_BITS) - 1
_CHECK: Final = (1 << CHECK_BITS) - 1


class Place(msgspec.Struct, frozen=True):
    """After so many characters of the answer, whose checksum is `check`, and after the event `number` of a log."""

    chars: int = 0
    check: int = EMPTY
    number: int = 0

    def after(self, event: JobEvent) -> "Place":
        """The place behind this event, which is the next."""
        text = event.text if isinstance(event, Token) else ""
        return Place(self.chars + len(text), crc32(text.encode(), self.check), min(event.id, _MOST))

    @property
    def id(self) -> int:
        """The place as one number, larger than those of all places before it and small enough for JavaScript."""
        return (self.chars << CHECK_BITS | self.check & _CHECK) << NUMBER_BITS | self.number

    def is_of(self, text: str, check: int = EMPTY) -> bool:
        """Whether a text, which follows one of the checksum `check`, is what was read up to here."""
        return crc32(text.encode(), check) & _CHECK == self.check & _CHECK


class Going:
    """What of a log, told from its first event on, is new to a reader whose last id was `read` (None: it had none). Where the
    log's text is not what it had read so far, it gets no more of it."""

    def __init__(self, read: int | None) -> None:
        read = read or 0
        self._number = read if read <= _MOST else 0
        self._goal = Place(read >> NUMBER_BITS + CHECK_BITS, read >> NUMBER_BITS & _CHECK, read & _MOST)
        self._strange = False
        self.place = Place()

    @property
    def is_strange(self) -> bool:
        """Whether all that was told by now is not how the answer begins that the reader had."""
        return self._strange or self.place.chars < self._goal.chars

    def take(self, event: JobEvent) -> JobEvent | None:
        """What of the next event is new; None for nothing."""
        before, self.place = self.place, self.place.after(event)
        if self._number:
            return event if event.id > self._number else None
        goal = self._goal
        if isinstance(event, Token) and before.chars < goal.chars <= self.place.chars:
            known = goal.chars - before.chars
            self._strange = not goal.is_of(event.text[:known], before.check)
            event = msgspec.structs.replace(event, text=event.text[known:])
        is_new = (self.place.chars, self.place.number) > (goal.chars, goal.number)
        return event if is_new and not (self._strange and isinstance(event, Token)) else None
