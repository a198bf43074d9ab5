"""A pause that the owner asked for: how it is written, and HIVE_HOME/paused.json, which outlives the daemon."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from shared.durations import duration_of
from shared.errors import HiveError
from shared.files import write_private

FILE: Final = "paused.json"
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


class PauseError(HiveError):
    """A pause cannot be kept or its length read; the message says what to do."""

    code = "pause"
    retryable = False


class Asked(msgspec.Struct, frozen=True):
    """The owner asked for a pause: until this time in ms since 1970 UTC, or until they say otherwise."""

    until: int | None = None

    def over(self, now: datetime) -> bool:
        """Whether it has ended by itself."""
        return self.until is not None and now.timestamp() * 1000 >= self.until


def length(written: str) -> timedelta:
    """Reads "90s", "30m", "2h" or "1d"; raises PauseError."""
    found = duration_of(written)
    if not found:
        raise PauseError(f'{written[:20]!r} is no length of time; one looks like "30m" or "2h"')
    return found


def next_time(clock: str, now: datetime) -> datetime:
    """When the wall shows this "18:00" the next time after `now`, an aware local time; raises PauseError."""
    match = _CLOCK.fullmatch(clock.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise PauseError(f'{clock[:20]!r} is no time of a day; one looks like "18:00"')
    wall = now.replace(tzinfo=None)
    found = wall.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    found = found if found > wall else found + timedelta(days=1)
    return found.astimezone()


def read_pause(home: Path, now: datetime) -> Asked | None:
    """The pause that holds now; None if there is none. A damaged file is a pause: whoever wrote it wanted one."""
    try:
        asked = msgspec.json.decode((home / FILE).read_bytes(), type=Asked)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        return Asked()
    return None if asked.over(now) else asked


def keep_pause(home: Path, asked: Asked | None) -> None:
    """Remembers a pause, or that there is none; raises PauseError."""
    try:
        if asked is None:
            (home / FILE).unlink(missing_ok=True)
        else:
            write_private(home / FILE, msgspec.json.encode(asked))
    except OSError as error:
        raise PauseError(f"the pause cannot be kept in {home}: {error.strerror}") from error
