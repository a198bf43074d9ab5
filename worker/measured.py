"""How fast this machine is with each model, as `hive worker bench` measured it: HIVE_HOME/measured.json."""

from pathlib import Path
from typing import Annotated, Final

import msgspec

from shared.files import write_private
from worker.engine.wire import Loaded

FILE: Final = "measured.json"
MOST: Final = 200
_Speed = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Measured(msgspec.Struct, frozen=True):
    """Speeds in thousandths of tokens per second: reading a prompt, making tokens for one stream, and for `slots` streams
    in all; `at` is in ms since 1970 UTC. They hold for one model file, engine build, number of threads and set of GPUs."""

    digest: str
    engine_build: str
    threads: int
    gpus: list[str]
    prompt_mtps: _Speed
    mtps: _Speed
    slots: int
    total_mtps: _Speed
    at: int


def lookup(home: Path, digest: str, loaded: Loaded) -> Measured | None:
    """What was measured last of this model file as it is loaded now; None if nothing was."""
    fits = (found for found in reversed(_all(home)) if _key(found) == _key_of(digest, loaded))
    return next(fits, None)


def remember(home: Path, measured: Measured) -> None:
    """Keeps a measurement in the place of an older one of the same; the 200 newest are kept."""
    others = [found for found in _all(home) if _key(found) != _key(measured)]
    write_private(home / FILE, msgspec.json.format(msgspec.json.encode([*others, measured][-MOST:])))


def measured_of(
    digest: str, loaded: Loaded, *, prompt_tps: float, tps: float, slots: int, total_tps: float, now: int
) -> Measured:
    """A measurement from tokens per second; `now` in ms since 1970 UTC."""
    speeds = [round(speed * 1000) for speed in (prompt_tps, tps, total_tps)]
    _, build, threads, gpus = _key_of(digest, loaded)
    return Measured(digest, build, threads, list(gpus), speeds[0], speeds[1], slots, speeds[2], now)


def _key(measured: Measured) -> tuple[str, str, int, tuple[str, ...]]:
    return measured.digest, measured.engine_build, measured.threads, tuple(measured.gpus)


def _key_of(digest: str, loaded: Loaded) -> tuple[str, str, int, tuple[str, ...]]:
    return digest, loaded.engine_build, loaded.threads, tuple(gpu.name for gpu in loaded.gpus)


def _all(home: Path) -> list[Measured]:
    """All that can be read; a damaged file is as good as none, for it is measured again."""
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=list[Measured])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
