"""Which of the programs that the worker gives way to are running."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Final

import psutil

ROUNDS: Final = 30
"""After so many looks every process is asked for its name again: numbers are used anew, and programs start others."""


class Programs:
    """Watches for programs by name. A look asks only new processes for their name, so it costs next to nothing."""

    def __init__(
        self,
        wanted: Iterable[str],
        pids: Callable[[], Iterable[int]] = psutil.pids,
        name: Callable[[int], str] | None = None,
    ) -> None:
        self._wanted = tuple(plain(one) for one in wanted)
        self._pids, self._name = pids, name or name_of
        self._seen: set[int] = set()
        self._found: dict[int, str] = {}
        self._looks = 0

    def running(self) -> tuple[str, ...]:
        """Their names, sorted."""
        if not self._wanted:
            return ()
        self._looks += 1
        if self._looks % ROUNDS == 0:
            self._seen = set()
        now = set(self._pids())
        found = {pid: name for pid, name in self._found.items() if pid in now & self._seen}
        for pid in now - self._seen:
            name = plain(self._name(pid))
            if any(fnmatchcase(name, wanted) for wanted in self._wanted):
                found[pid] = name
        self._seen, self._found = now, found
        return tuple(sorted(set(found.values())))


def plain(name: str) -> str:
    """A program's name as it is compared: in small letters, without .exe."""
    return name.strip().lower().removesuffix(".exe")


def name_of(pid: int) -> str:
    """The name of a process, empty if it is gone."""
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return ""
