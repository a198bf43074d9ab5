"""What this coordinator last saw of its callers' limits: for the headers, and to refuse early who has nothing left."""

from typing import Final
from uuid import UUID

from coordinator.submit.limits import Marks

_MOST: Final = 10_000


class Seen:
    """The last marks of each key, as they were read or as a charge left them. Those of requests only ever grow, so whoever
    is over by these is over by the newest."""

    def __init__(self) -> None:
        self._marks: dict[UUID, Marks] = {}

    def note(self, key_id: UUID, marks: Marks) -> None:
        """Remember what was read."""
        if len(self._marks) >= _MOST and key_id not in self._marks:
            self._marks.clear()
        self._marks[key_id] = marks

    def marks(self, key_id: UUID) -> Marks:
        """What was last seen of a key; nothing is used up where it never was."""
        return self._marks.get(key_id, {})
