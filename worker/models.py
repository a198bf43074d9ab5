"""The model files of this machine: the bundled ones, and those that its owner added, pinned by digest."""

import os
import re
import shutil
from pathlib import Path
from typing import Final

import msgspec

from shared.catalogue import catalogue, file_digest
from shared.errors import HiveError
from shared.files import write_private
from shared.tokens import ModelFileError, Vocabulary

FOLDER: Final = "models"
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,127}")
_NOT_IN_ID: Final = re.compile(r"[^a-z0-9._-]+")


class ModelError(HiveError):
    """A model cannot be served or added; the message says what to do."""

    code = "model"
    retryable = False


class LocalModel(msgspec.Struct, frozen=True):
    """A GGUF file on this machine: `digest` is its SHA-256 in hex, context in tokens, size in bytes; `mtime_ns` and
    size tell whether the file is still the one that was hashed."""

    id: str
    path: str
    digest: str
    context: int
    size_bytes: int
    architecture: str
    mtime_ns: int = 0
    bundled: bool = False


def local_models(home: Path) -> dict[str, LocalModel]:
    """Every model that can be served here, by id: the bundled ones, then those in HIVE_HOME/models."""
    bundled = {name: _bundled(name) for name in catalogue()}
    cards = sorted((home / FOLDER).glob("*.json")) if (home / FOLDER).is_dir() else []
    added = {card.id: card for card in map(_card, cards) if card is not None}
    return {**bundled, **{name: model for name, model in added.items() if name not in bundled}}


def verified(home: Path, wanted: tuple[str, ...]) -> list[LocalModel]:
    """The wanted models with their files checked against their digests (hashed again only where a file has changed);
    raises ModelError."""
    here = local_models(home)
    for name in wanted:
        if name not in here:
            known = ", ".join(sorted(here))
            raise ModelError(f"there is no model {name} here, only {known}; `hive worker models add FILE` adds one")
        problem = _changed(here[name])
        if problem:
            raise ModelError(problem)
    return [here[name] for name in wanted]


def add(home: Path, file: Path, model_id: str | None = None) -> LocalModel:
    """Puts a GGUF file into HIVE_HOME/models, linked where the disk allows it, else copied; raises ModelError."""
    name = model_id or _NOT_IN_ID.sub("-", file.stem.lower()).strip("-.")
    if not _ID.fullmatch(name):
        raise ModelError(f"{name!r} cannot be a model's id: it takes a-z, 0-9 and . _ : / -; choose one with --id")
    if name in catalogue():
        raise ModelError(f"{name} is the id of a bundled model; choose another one with --id")
    try:
        vocabulary = Vocabulary(file)
    except ModelFileError as error:
        raise ModelError(f"{error}; nothing was added") from error
    target = home / FOLDER / f"{_NOT_IN_ID.sub('-', name)}.gguf"
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _place(file, target)
    stat = target.stat()
    model = LocalModel(
        id=name,
        path=str(target),
        digest=file_digest(target),
        context=vocabulary.context,
        size_bytes=stat.st_size,
        architecture=vocabulary.metadata("general.architecture") or "",
        mtime_ns=stat.st_mtime_ns,
    )
    write_private(target.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(model)))
    return model


def _bundled(name: str) -> LocalModel:
    entry = catalogue()[name]
    return LocalModel(
        id=name,
        path=str(entry.path),
        digest=entry.digest,
        context=entry.context,
        size_bytes=entry.size_bytes,
        architecture=entry.architecture,
        mtime_ns=entry.path.stat().st_mtime_ns,
        bundled=True,
    )


def _card(file: Path) -> LocalModel | None:
    """What was written when the model was added; None for a file that says something else."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=LocalModel)
    except (OSError, msgspec.DecodeError):
        return None


def _changed(model: LocalModel) -> str | None:
    try:
        stat = Path(model.path).stat()
    except OSError:
        return f"the file of {model.id} is gone ({model.path}); add it again with `hive worker models add FILE`"
    if (stat.st_size, stat.st_mtime_ns) == (model.size_bytes, model.mtime_ns):
        return None
    if file_digest(Path(model.path)) == model.digest:
        return None
    return f"the file of {model.id} is not the one that was added; add it again with `hive worker models add FILE`"


def _place(file: Path, target: Path) -> None:
    """A link would follow later writes to the owner's file, so it is made only where nobody may write the file."""
    beside = target.with_suffix(f".{os.getpid()}.part")
    try:
        if file.stat().st_mode & 0o222:
            shutil.copyfile(file, beside)
        else:
            _link(file, beside)
        beside.replace(target)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be put into {target.parent}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def _link(file: Path, beside: Path) -> None:
    try:
        os.link(file, beside)
    except OSError:
        shutil.copyfile(file, beside)
