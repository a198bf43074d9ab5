"""The catalogue: the models that both sides know by name, where their files are, and what they cost."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from shared.gguf.memory import BATCH, ENGINE, Need

_HERE: Final = Path(__file__).parent
_CHUNK: Final = 1 << 20
_MB: Final = 1_000_000
_GNS: Final = 10_000_000
_PRICE_OF_A_GB: Final = 10 * _GNS


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a model wherever it is named: context in tokens, prices in stroops per million tokens, `created` in
    seconds since 1970 UTC."""

    id: str
    context: int
    price_in: int
    price_out: int
    owned_by: str
    created: int
    quantization: str
    architecture: str
    licence: str
    note: str


class _Line(Described, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundled model as catalogue.toml has it."""

    file: str


class Entry(Described, frozen=True, kw_only=True):
    """A model that can be served: size in bytes.

    `path` is the vocabulary that tokens are counted with: the bundled GGUF, or one without weights; `digest` is the
    SHA-256 of the whole model in hex; `aliases` are other names for it. A `guard` says of a text whether it is safe.
    """

    digest: str
    path: Path
    size_bytes: int
    aliases: tuple[str, ...] = ()
    guard: bool = False


class Listed(Described, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that can be fetched: `file` in `repository` of the hub, which says its digest and exact size.

    `size_mb` (10^6 bytes) is about what it takes on the disk, `scratch_mb` what llama.cpp computes in beside the
    weights, `kv_bytes` what one token takes in the cache.
    """

    repository: str
    file: str
    size_mb: int
    parameters: int
    kv_bytes: int
    scratch_mb: int
    aliases: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """About how large the file is."""
        return self.size_mb * _MB

    @property
    def need(self) -> Need:
        """About how much memory it takes; the file's own header says it exactly."""
        return Need(ENGINE + self.size_bytes + self.scratch_mb * _MB, self.kv_bytes + 4 * BATCH)


class _Lines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of catalogue.toml."""

    model: list[_Line]
    listed: list[Listed]


class _Named(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


_Model = TypeVar("_Model", bound=_Named)


@cache
def catalogue() -> dict[str, Entry]:
    """The bundled models by their ids, read once; raises FileNotFoundError where a bundled file is missing."""
    return {line.id: _entry(line) for line in _lines().model}


@cache
def library() -> dict[str, Listed]:
    """The models that can be fetched, by their ids."""
    return {line.id: line for line in _lines().listed}


def named(models: Mapping[str, _Model], name: str) -> _Model | None:
    """The model of this id, else the one that has it as another name; None where there is none."""
    found = models.get(name)
    return found if found is not None else next((one for one in models.values() if name in one.aliases), None)


def names(models: Iterable[_Named]) -> list[str]:
    """Every id and every other name, sorted."""
    return sorted(name for model in models for name in (model.id, *model.aliases))


def described(model: Described) -> dict[str, Any]:
    """What is said of a model, by the names of the fields."""
    return {name: getattr(model, name) for name in Described.__struct_fields__}


def price_by_size(size_bytes: int) -> tuple[int, int]:
    """What a model costs that nobody has priced: 10 GNS per million input tokens for each GB of its file, at least 10,
    and twice as much per million output tokens; in stroops."""
    price = _PRICE_OF_A_GB * max(1, round(size_bytes / 1e9))
    return price, 2 * price


def file_digest(path: Path) -> str:
    """The SHA-256 of a file as 64 hex digits."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


@cache
def _lines() -> _Lines:
    return msgspec.convert(tomllib.loads((_HERE / "catalogue.toml").read_text("utf-8")), _Lines)


def _entry(line: _Line) -> Entry:
    path = _HERE / "models" / line.file
    return Entry(**described(line), path=path, digest=file_digest(path), size_bytes=path.stat().st_size)
