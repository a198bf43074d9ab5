"""The catalogue: the models that both sides know, with their files, digests and prices."""

import hashlib
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

_HERE: Final = Path(__file__).parent
_CHUNK: Final = 1 << 20


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model as catalogue.toml has it."""

    id: str
    file: str
    context: int
    price_in: int
    price_out: int
    owned_by: str
    created: int
    quantization: str
    architecture: str
    licence: str
    note: str


class Entry(msgspec.Struct, frozen=True):
    """A model of the catalogue: sizes in bytes, context in tokens, prices in stroops per million tokens.

    `path` is the bundled GGUF, which is also the vocabulary that tokens are counted with; `digest` is its SHA-256 in
    hex; `created` is in seconds since 1970 UTC.
    """

    id: str
    digest: str
    path: Path
    context: int
    size_bytes: int
    price_in: int
    price_out: int
    owned_by: str
    created: int
    quantization: str
    architecture: str
    licence: str
    note: str


class _Lines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of catalogue.toml."""

    model: list[_Line]


@cache
def catalogue() -> dict[str, Entry]:
    """Every model by its id, read once; raises FileNotFoundError where a bundled file is missing."""
    lines = msgspec.convert(tomllib.loads((_HERE / "catalogue.toml").read_text("utf-8")), _Lines)
    return {line.id: _entry(line) for line in lines.model}


def file_digest(path: Path) -> str:
    """The SHA-256 of a file as 64 hex digits."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def _entry(line: _Line) -> Entry:
    path = _HERE / "models" / line.file
    fields = {name: getattr(line, name) for name in _Line.__struct_fields__ if name != "file"}
    return Entry(**fields, path=path, digest=file_digest(path), size_bytes=path.stat().st_size)
