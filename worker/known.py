"""The coordinators that this worker has met: the key of each, pinned when it was first seen."""

from pathlib import Path
from typing import Final

import msgspec

from shared.errors import HiveError
from shared.files import write_private

FILE: Final = "known_coordinators.json"


class KnownError(HiveError):
    """The file of known coordinators cannot be read; the message says what to do."""

    code = "known_coordinators"
    retryable = False


def pinned_key(home: Path, host: str) -> str | None:
    """The key (hex) that this host showed the first time; None if it was never met. Raises KnownError."""
    return _all(home).get(host)


def pin(home: Path, host: str, server_pk: str) -> None:
    """Remembers a host's key (hex); the key that is there already stays. Raises KnownError."""
    known = _all(home)
    if host not in known:
        write_private(home / FILE, msgspec.json.format(msgspec.json.encode({**known, host: server_pk})))


def _all(home: Path) -> dict[str, str]:
    file = home / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise KnownError(f"{file} is damaged; move it away to trust the next key that is shown") from error
