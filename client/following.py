"""One reading of a job's events over as many connections as it takes. No I/O."""

from typing import Final

from client.events import Event, EventReader
from client.failures import Unreachable
from client.retries import backoff_s, pause_s
from shared.errors import HiveError

MOST_TRIES: Final = 8
"""How often it is opened again without any news, half a minute in all: a coordinator's restart."""


class Following:
    """What has been read, and when to try again."""

    def __init__(self, last_id: int | None = None) -> None:
        self._reader = EventReader(last_id)
        self._tries = 0

    @property
    def ended(self) -> bool:
        """Whether the job's last event was there."""
        return self._reader.ended

    def headers(self) -> dict[str, str]:
        """What the next connection says besides the key: after which event it goes on."""
        return {} if self._reader.last_id is None else {"last-event-id": str(self._reader.last_id)}

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete; with any of them the tries are counted anew."""
        events = self._reader.feed(data)
        self._tries = 0 if events else self._tries
        return events

    def pause_s(self, failed: HiveError | None, luck: float) -> float:
        """The seconds until the next connection, after this failure or an end in the middle; raises it if there is none."""
        self._reader.broke_off()
        self._tries += 1
        failed = failed or Unreachable("The stream of a job's events broke off; the job goes on.", sent=True)
        if isinstance(failed, Unreachable) and self._tries <= MOST_TRIES:
            return backoff_s(self._tries, luck)
        pause = pause_s(failed, self._tries, MOST_TRIES, luck, safe=True)
        if pause is None:
            raise failed
        return pause
