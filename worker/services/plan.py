"""What each system is given so that a worker starts by itself: one file, and the commands that begin and end it."""

from pathlib import Path
from typing import Final

import msgspec

from shared.errors import HiveError

NAME: Final = "hive-worker"
SAYS_SO: Final = "Written by `hive worker install-service`; `hive worker uninstall-service` removes it."
STOP_S: Final = 20
"""A worker gives running answers 10 s and its engine 3 s, and the rest is for a slow disk."""


class ServiceError(HiveError):
    """The worker cannot be made a service here; the message says why and what to do."""

    code = "service"
    retryable = False


class Starting(msgspec.Struct, frozen=True):
    """How a worker is started: the Python that has it installed, its HIVE_HOME, and whether GPU drivers are here."""

    python: Path
    home: Path
    gpu: bool = False

    @property
    def words(self) -> list[str]:
        """The command line; `-P` keeps the folder it starts in out of the import path."""
        return [str(self.python), "-P", "-m", "shared", "worker", "join"]


class Plan(msgspec.Struct, frozen=True):
    """A file and its content, and commands in the order of their use. `probe` fails where the system has no such
    services, and `without` says so; `renew` ends an older one and may find none; `start` puts the file to work; `stop`
    undoes `start`; `tidy` comes after the file is gone and may fail."""

    file: Path
    content: bytes
    probe: list[str]
    renew: list[list[str]]
    start: list[list[str]]
    stop: list[list[str]]
    tidy: list[list[str]]
    without: str
    hint: str


def one_line(path: Path) -> str:
    """The path as text; raises ServiceError for one that no unit can name."""
    text = str(path)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ServiceError(
            f"{text!r} has a control character in it; choose another HIVE_HOME or install Hive elsewhere"
        )
    return text
