"""Hours of the week as an owner writes them: "22:00-07:00", "Sat-Sun 10:00-18:00". Pure."""

import re
from datetime import datetime
from typing import Final

DAY: Final = 24 * 60
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WRITTEN: Final = re.compile(
    r"(?:([a-z]{3})(?:\s*-\s*([a-z]{3}))?\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.IGNORECASE | re.ASCII
)


class Hours:
    """A span of hours that comes every day, or on the days of the week that it names; raises ValueError for words that are
    none, with what they should look like."""

    def __init__(self, written: str) -> None:
        match = _WRITTEN.fullmatch(written.strip())
        if match is None:
            raise ValueError(f'{written[:40]!r} are no hours; they look like "22:00-07:00" or "Sat-Sun 10:00-18:00"')
        first, last, *clock = match.groups()
        self._start, end = _minute(*clock[:2]), _minute(*clock[2:])
        if self._start in (DAY, end):
            raise ValueError(f"{written[:40]!r} are no hours: they begin before midnight, and end at another time")
        self._end = end if end > self._start else end + DAY
        self._days = _days(first, last)
        self.written = written.strip()

    def hold(self, now: datetime) -> bool:
        """Whether the wall clock shows a minute of them. An hour that the clock skips is none, one that it shows twice is
        two; what runs over midnight belongs to the day on which it began."""
        minute = now.hour * 60 + now.minute
        today, yesterday = now.weekday(), (now.weekday() - 1) % len(DAYS)
        began_today = today in self._days and self._start <= minute < self._end
        return began_today or (yesterday in self._days and minute + DAY < self._end)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hours) and other.written == self.written

    def __hash__(self) -> int:
        return hash(self.written)

    def __repr__(self) -> str:
        return f"Hours({self.written!r})"


def _minute(hour: str, minute: str) -> int:
    found = int(hour) * 60 + int(minute)
    if int(minute) >= 60 or found > DAY:
        raise ValueError(f"{hour}:{minute} is no time of a day")
    return found


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(len(DAYS)))
    for name in (first, last or first):
        if name.lower() not in DAYS:
            raise ValueError(f"{name} is no day of the week; they are Mon, Tue, Wed, Thu, Fri, Sat and Sun")
    start, end = DAYS.index(first.lower()), DAYS.index((last or first).lower())
    return frozenset((start + step) % len(DAYS) for step in range((end - start) % len(DAYS) + 1))
