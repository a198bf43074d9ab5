"""The token ids of running and lost attempts, so that this worker can sign for them though it was killed in mid-answer.

A file each, `<job>.<attempt>.ids`: the share with nothing made yet as one line of JSON, then four bytes a token. Ids are
written before they are said, and not fsynced: what was said outlives a kill of this process, not a failure of the machine.
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog
from nacl.signing import SigningKey

from shared.files import read_private
from shared.protocol.messages import Share, Unsigned
from shared.receipt import ShareReceipt, share_of, sign_share

KEPT_MS: Final = 3 * 24 * 3_600_000
"""A job may wait a day for its next worker, and a day for a signature."""

MOST: Final = 10_000
PRUNE_MS: Final = 3_600_000
_BYTES: Final = 4
_NAME: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,9})\.ids")
_LOG: Final = structlog.get_logger("worker.shares")

Key = tuple[str, int]
"""A job id and an attempt."""


class Kept:
    """What one running attempt makes, as it makes it. A disk that takes no more costs the share and not the answer."""

    def __init__(self, file: Path, nothing: ShareReceipt) -> None:
        self._file = file
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        except OSError as error:
            self._give_up(error)
        self._write(msgspec.json.encode(nothing) + b"\n")

    def add(self, ids: Sequence[int]) -> None:
        """Keeps more ids; call it before they are said."""
        self._write(b"".join(token.to_bytes(_BYTES, "big") for token in ids))

    def close(self) -> None:
        """The attempt is over."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, data: bytes) -> None:
        try:
            if self._descriptor is not None and os.write(self._descriptor, data) < len(data):
                self._give_up(OSError("the disk is full"))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        _LOG.warning("ids_not_kept", file=self._file.name, reason=str(error))
        self.close()
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


class Shares:
    """The folder HIVE_HOME/shares; `clock` gives ms since 1970 UTC. What is too old to be asked for is thrown away."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self._folder, self._clock = folder, clock
        self._pruned_at: int | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self, nothing: ShareReceipt) -> Kept:
        """Keeps what an attempt makes from now on; what an earlier run of the same attempt made is forgotten."""
        now = self._clock()
        if self._pruned_at is None or now - self._pruned_at >= PRUNE_MS:
            self._pruned_at = now
            self._prune(now)
        return Kept(self._file((nothing.job_id, nothing.attempt)), nothing)

    def signed(self, asked: Unsigned, key: SigningKey) -> Share | None:
        """The signed share, if the tokens that went out are those that were made here; None if they are not, or not here
        any more."""
        share = _made(self._file((asked.job_id, asked.attempt)), asked.tokens)
        if share is None or share.chain_head != asked.chain_head:
            return None
        return Share(msgspec.to_builtins(share), sign_share(key, share))

    def remove(self, key: Key) -> None:
        """Forgets an attempt: it is paid for, or never will be."""
        with suppress(OSError):
            self._file(key).unlink(missing_ok=True)

    def _file(self, key: Key) -> Path:
        return self._folder / f"{key[0]}.{key[1]}.ids"

    def _prune(self, now: int) -> None:
        """Throws away what is older than three days, and the oldest of more than 10 000."""
        try:
            found = [(file.stat().st_mtime_ns // 1_000_000, file) for file in self._folder.iterdir() if _is_ours(file)]
            found.sort(reverse=True)
            for place, (written_at, file) in enumerate(found):
                if place >= MOST or written_at < now - KEPT_MS:
                    file.unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("old_ids_not_removed", reason=str(error))


def _is_ours(file: Path) -> bool:
    return _NAME.fullmatch(file.name) is not None


def _made(file: Path, tokens: int) -> ShareReceipt | None:
    """The share with the first so many tokens of a file."""
    try:
        head, _, raw = read_private(file).partition(b"\n")
        nothing = msgspec.json.decode(head, type=ShareReceipt)
    except (OSError, msgspec.DecodeError):
        return None
    if len(raw) < tokens * _BYTES:
        return None
    return share_of(nothing, [int.from_bytes(raw[at : at + _BYTES], "big") for at in range(0, tokens * _BYTES, _BYTES)])
