"""Results that the coordinator has not acknowledged: a file each, whole before it is sent, gone when acknowledged."""

import re
from pathlib import Path
from typing import Final

import msgspec

from shared.files import read_private, write_private
from shared.protocol.messages import Done, Held

MOST: Final = 10_000
_NAME: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,9})\.json")

Key = tuple[str, int]
"""A job id and an attempt."""


class OutboxFullError(RuntimeError):
    """So many results wait that the worker must not make more of them."""


class Outbox:
    """The folder HIVE_HOME/outbox. What `put` returned from survives a kill; a torn file is never read."""

    def __init__(self, folder: Path, *, most: int = MOST) -> None:
        self._folder = folder
        self._most = most
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held = dict(sorted(self._found()))

    @property
    def full(self) -> bool:
        """Whether no further result can be kept."""
        return len(self._held) >= self._most

    def keys(self) -> list[Key]:
        """The attempts whose results wait, in the order in which they came."""
        return list(self._held)

    def held(self) -> list[Held]:
        """The same, as a hello lists them; a result may be put in by another thread meanwhile."""
        return [Held(job_id, attempt, "done", tokens) for (job_id, attempt), tokens in list(self._held.items())]

    def put(self, done: Done) -> None:
        """Keeps a result, fsynced, mode 600; raises OutboxFullError. The same attempt again replaces nothing: two
        different signed results for one attempt are evidence against this worker."""
        key = (str(done.receipt["job_id"]), int(done.receipt["attempt"]))
        if key in self._held:
            return
        if self.full:
            raise OutboxFullError(f"{len(self._held)} results wait for their acknowledgement")
        write_private(self._file(key), msgspec.json.encode(done))
        self._held[key] = len(done.ids)

    def get(self, key: Key) -> Done | None:
        """The result of an attempt; None if there is none, or its file is damaged."""
        if key not in self._held:
            return None
        return _read(self._file(key))

    def remove(self, key: Key) -> bool:
        """Forgets an attempt's result; whether there was one."""
        self._file(key).unlink(missing_ok=True)
        return self._held.pop(key, None) is not None

    def _file(self, key: Key) -> Path:
        return self._folder / f"{key[0]}.{key[1]}.json"

    def _found(self) -> list[tuple[Key, int]]:
        found = []
        for file in self._folder.iterdir():
            match = _NAME.fullmatch(file.name)
            done = _read(file) if match else None
            if match and done is not None:
                found.append(((match[1], int(match[2])), len(done.ids)))
        return found


def _read(file: Path) -> Done | None:
    try:
        return msgspec.json.decode(read_private(file), type=Done)
    except (OSError, msgspec.DecodeError):
        return None
