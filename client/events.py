"""A job's events, as they come over the wire: bytes in, events out. No I/O."""

import msgspec

from client.failures import Told, told_as, unreadable
from client.shapes.jobs import Job, State
from shared.errors import HiveError, JobFailed, JobTimeout


class ServingWorker(msgspec.Struct, frozen=True):
    """The worker that computes a job; its cell is no finer than resolution 4."""

    pk: str
    handle: str | None
    cell: str
    countries: list[str]
    tier: str


class Moved(msgspec.Struct, frozen=True):
    """The job is in this state now; `worker` is there from `assigned` on."""

    status: State
    attempt: int
    worker: ServingWorker | None


class Token(msgspec.Struct, frozen=True):
    """`count` more tokens, the last of them at output position `index`, and the text that they make certain."""

    index: int
    text: str
    count: int


class Done(msgspec.Struct, frozen=True):
    """The job is completed; nothing comes after it."""

    job: Job


class Failed(msgspec.Struct, frozen=True):
    """The job has ended without an answer, and why; nothing comes after it."""

    job: Job
    error: HiveError


Event = Moved | Token | Done | Failed


class _Failure(msgspec.Struct, frozen=True):
    error: Told
    job: Job


class EventReader:
    """Reads a job's event stream, also over several connections: `last_id` is what the next one is asked to go on after.
    Tokens that it has told already, which a coordinator tells again after its restart, it leaves out."""

    def __init__(self, last_id: int | None = None) -> None:
        self.last_id = last_id
        self.ended = False
        self._told = -1
        self._rest = b""
        self._name, self._id, self._data = "", "", list[bytes]()

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete; raises HiveError for what is no stream of Hive's."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = [event for line in lines if (event := self._line(line.removesuffix(b"\r"))) is not None]
        return [event for event in events if not self._is_told(event)]

    def broke_off(self) -> None:
        """The connection is gone: what it left half said will be said again."""
        self._rest = b""
        self._name, self._id, self._data = "", "", []

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._whole()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"event":
                self._name = value.decode("utf-8", "replace")
            case b"data":
                self._data.append(value)
            case b"id" if value.isdigit():
                self._id = value.decode()
        return None

    def _whole(self) -> Event | None:
        name, id_, data = self._name, self._id, b"\n".join(self._data)
        self._name, self._id, self._data = "", "", []
        if not data:
            return None
        event = _event(name, data)
        self.last_id = int(id_) if id_ else self.last_id
        self.ended = self.ended or isinstance(event, Done | Failed)
        return event

    def _is_told(self, event: Event) -> bool:
        if not isinstance(event, Token):
            return False
        is_told = event.index <= self._told and event.count > 0
        self._told = max(self._told, event.index)
        return is_told


def _event(name: str, data: bytes) -> Event | None:
    try:
        match name:
            case "status":
                return msgspec.json.decode(data, type=Moved)
            case "token":
                return msgspec.json.decode(data, type=Token)
            case "done":
                return Done(msgspec.json.decode(data, type=Job))
            case "error":
                return _failed(msgspec.json.decode(data, type=_Failure))
            case _:
                return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise unreadable("The stream of events", 200, {}) from e


def _failed(told: _Failure) -> Failed:
    kind = JobTimeout if told.job.status == "timed_out" else JobFailed
    return Failed(told.job, told_as(kind, told.error, dispatched=True))
