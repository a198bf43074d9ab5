"""Fetches a model of the library from the hub: checked before, resumed where it was cut, refused where it is not the file."""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from shared import hub
from shared.catalogue import Listed
from shared.gguf.facts import Facts, facts_of
from shared.gguf.memory import LEAST_CONTEXT, need_of
from shared.gguf.reader import GgufError
from shared.hub import HubAway, HubError, Remote
from shared.words import size
from worker.models import (
    FOLDER,
    LocalModel,
    ModelError,
    checked_id,
    facts_of_model,
    keep,
    local_models,
    place_of,
    unusable,
)

MARGIN: Final = 1 << 30
"""Bytes of the disk that a fetch leaves free."""
TRIES: Final = 6
"""How often in a row the hub may give nothing before a fetch gives up."""
PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 16.0
_CHUNK: Final = 1 << 20
_LOCK_S: Final = 0.1

Tell = Callable[[int, int], None]
"""Told how many bytes are here, of how many."""


class Room(msgspec.Struct, frozen=True):
    """What the machine has for a model, in bytes: free on the disk of HIVE_HOME/models, and memory in all."""

    disk: int
    memory: int


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """How to fetch: only the file with this digest (any, if empty) and up to this size (any, if 0), though it may not fit
    the memory, and from where."""

    digest: str = ""
    most_bytes: int = 0
    force: bool = False
    endpoint: str | None = None


class Away(Protocol):
    """What happens between two tries: a wait of so many seconds."""

    def __call__(self, seconds: float, /) -> object: ...


def fetch(
    home: Path, listed: Listed, room: Room, tell: Tell, asking: Asking | None = None, pause: Away = time.sleep
) -> LocalModel:
    """The model, whole and with the digest that the hub names for it; raises HubError, HubAway or ModelError in one
    sentence. What has come before a cut or a crash is kept, and the next fetch goes on from there."""
    asking = asking or Asking()
    name = checked_id(listed.id)
    remote = hub.locate(listed.repository, listed.file, asking.endpoint)
    if asking.digest and remote.digest != asking.digest:
        raise ModelError(f"the hub has another file for {name} than the one that is wanted; nothing was fetched")
    if asking.most_bytes and remote.size_bytes > asking.most_bytes:
        raise ModelError(
            f"{name} has {size(remote.size_bytes)}, more than {size(asking.most_bytes)}; nothing was fetched"
        )
    here = local_models(home).get(name)
    if here is not None and here.digest == remote.digest and _whole(here):
        return here
    facts = _usable(remote)
    if not asking.force:
        _fits_memory(name, facts, room)
    try:
        target = place_of(home, name)
        with _alone(target, name):
            part = target.with_name(f"{remote.digest[:32]}.part")
            _fits_disk(name, remote, part, room)
            _pull(remote, part, tell, pause)
            whole = facts_of_model(part)
            part.replace(target)
            return keep(home, name, target, remote.digest, whole, "fetched")
    except OSError as error:
        raise ModelError(f"{name} cannot be written to {home / FOLDER}: {error.strerror}") from error


def room_of(home: Path, memory: int) -> Room:
    """The room of this machine, whose memory in bytes the caller knows."""
    folder = next(place for place in (home / FOLDER, *(home / FOLDER).parents) if place.exists())
    return Room(shutil.disk_usage(folder).free, memory)


def left_over(home: Path) -> list[Path]:
    """What fetches have begun and not ended, and may still go on with."""
    return sorted((home / FOLDER).glob("*.part"))


def forget_left_over(home: Path) -> int:
    """Deletes what fetches have begun and not ended; how many bytes that were."""
    parts = left_over(home)
    freed = sum(part.stat().st_size for part in parts)
    for part in parts:
        part.unlink(missing_ok=True)
    return freed


def _whole(model: LocalModel) -> bool:
    try:
        stat = Path(model.path).stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (model.size_bytes, model.mtime_ns)


def _usable(remote: Remote) -> Facts:
    """The facts, from the header alone: what cannot be served is not fetched."""
    try:
        facts = facts_of(hub.header(remote))
    except GgufError as error:
        raise HubError(f"{remote.file} of {remote.repository} is no model that can be used: {error}") from error
    if problem := unusable(facts):
        raise ModelError(f"{remote.file} {problem}")
    return facts


def _fits_memory(name: str, facts: Facts, room: Room) -> None:
    need = need_of(facts)
    if not need.fits(facts.context, room.memory):
        least = need.of(min(facts.context or LEAST_CONTEXT, LEAST_CONTEXT), 1)
        raise ModelError(
            f"{name} needs {size(least)} of memory and this machine has {size(room.memory)}; "
            "choose a smaller model, or fetch it in spite of that with --force"
        )


def _fits_disk(name: str, remote: Remote, part: Path, room: Room) -> None:
    missing = remote.size_bytes - (part.stat().st_size if part.exists() else 0)
    if missing + MARGIN > room.disk:
        raise ModelError(
            f"{name} takes {size(missing)} of disk beside the {size(MARGIN)} that stay free, and {size(room.disk)} are "
            "free; make room, or set HIVE_HOME to a larger disk"
        )


@contextmanager
def _alone(target: Path, name: str) -> Iterator[None]:
    """One fetch of a model at a time; the system frees the lock of a fetch that was killed."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # noqa: PLC0415 - only a fetch needs it

    with ExitStack() as held:
        try:
            held.enter_context(WeakFileLock(target.with_suffix(".lock"), timeout=_LOCK_S))
        except TimeoutError as error:
            raise ModelError(f"{name} is being fetched already; wait for that, or end it") from error
        yield


class _Lie(HubError):
    """The bytes are not those that the hub named; what came is worth nothing."""


class _Part:
    """The file so far and its digest; it takes no more than the hub said."""

    def __init__(self, path: Path, size: int) -> None:
        self._size = size
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._hash = hashlib.sha256()
        self.length = 0
        while chunk := self._file.read(_CHUNK):
            self._hash.update(chunk)
            self.length += len(chunk)
        if self.length > size:
            self.start_again()

    def start_again(self) -> None:
        """Forgets what is here."""
        self._file.seek(0)
        self._file.truncate()
        self._hash, self.length = hashlib.sha256(), 0

    def write(self, chunk: bytes) -> None:
        """Adds to the end; raises _Lie for more than was announced."""
        if self.length + len(chunk) > self._size:
            raise _Lie("the hub sends more than it said the file has; nothing of it was kept")
        self._file.write(chunk)
        self._hash.update(chunk)
        self.length += len(chunk)

    def digest(self) -> str:
        """The SHA-256 of what is here."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """To the disk, so that a power cut leaves no hole in what is counted as here."""
        self._file.close()


def _pull(remote: Remote, path: Path, tell: Tell, pause: Away) -> None:
    """Fills the part until it has the size and the digest; one that turns out wrong is deleted."""
    try:
        with closing(_Part(path, remote.size_bytes)) as part:
            _fill(part, remote, tell, pause)
        if part.digest() != remote.digest:
            raise _Lie(f"{remote.file} came with another SHA-256 than the hub names, so it was deleted; try again")
    except _Lie:
        path.unlink(missing_ok=True)
        raise


def _fill(part: _Part, remote: Remote, tell: Tell, pause: Away) -> None:
    """Asks on from where the part ends, until all is here or the hub has given nothing for several tries."""
    tries = 0
    tell(part.length, remote.size_bytes)
    while part.length < remote.size_bytes:
        before = part.length
        away = _take(part, remote, tell)
        tries = 1 if part.length > before else tries + 1
        if part.length < remote.size_bytes:
            if tries >= TRIES:
                raise away
            pause(min(PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S))


def _take(part: _Part, remote: Remote, tell: Tell) -> HubAway:
    """One answer of the hub, as far as it goes, and why it went no further."""
    try:
        with hub.opened(remote, part.length, remote.size_bytes - 1) as (begins, chunks):
            if begins != part.length:
                part.start_again()
            for chunk in chunks:
                part.write(chunk)
                tell(part.length, remote.size_bytes)
    except HubAway as away:
        return away
    return HubAway(f"the hub breaks off {remote.file} again and again; fetch it later, it goes on from there")
