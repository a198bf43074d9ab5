"""The model files of this machine: the bundled ones, and those that its owner fetched or added, pinned by digest."""

import os
import shutil
from pathlib import Path
from typing import Final, Literal

import msgspec

from shared.catalogue import catalogue, file_digest, library, named
from shared.errors import HiveError
from shared.files import write_private
from shared.gguf.facts import Facts, facts_of_file
from shared.gguf.memory import Need, need_of
from shared.gguf.reader import GgufError
from shared.model_ids import fault_of_id, file_stem, plain
from shared.protocol.messages import Task

FOLDER: Final = "models"
USUAL_CONTEXT: Final = 8192
"""Tokens for each slot where the owner says nothing: a model of today was trained on more than a home has memory for."""


class ModelError(HiveError):
    """A model cannot be served, added or removed; the message says what to do."""

    code = "model"
    retryable = False


class LocalModel(msgspec.Struct, frozen=True):
    """A GGUF file on this machine: `digest` is its SHA-256 in hex, context in tokens, size in bytes; `mtime_ns` and
    size tell whether the file is still the one that was hashed. `need` is its memory, None where nobody has asked;
    `tasks` are what it can be asked."""

    id: str
    path: str
    digest: str
    context: int
    size_bytes: int
    architecture: str
    mtime_ns: int = 0
    bundled: bool = False
    source: Literal["bundled", "fetched", "added"] = "added"
    quantization: str = ""
    parameters: int = 0
    need: Need | None = None
    tasks: tuple[Task, ...] = ("generate", "embed")


def local_models(home: Path) -> dict[str, LocalModel]:
    """Every model that can be served here, by id: the bundled ones, then those in HIVE_HOME/models."""
    bundled = {name: _bundled(name) for name in catalogue()}
    cards = sorted((home / FOLDER).glob("*.json")) if (home / FOLDER).is_dir() else []
    added = {card.id: card for card in map(_card, cards) if card is not None}
    return {**bundled, **{name: model for name, model in added.items() if name not in bundled}}


def planned_context(trained: int, asked: int) -> int:
    """Tokens for each slot: as the owner asks, else 8 192, but never more than the model was trained on."""
    return min(asked or USUAL_CONTEXT, trained or asked or USUAL_CONTEXT)


def verified(home: Path, wanted: tuple[str, ...]) -> list[LocalModel]:
    """The wanted models with their files checked against their digests (hashed again only where a file has changed);
    raises ModelError."""
    return [checked(_found(home, name)) for name in wanted]


def facts_of_model(file: Path) -> Facts:
    """What a file says of the model in it; raises ModelError for one that is none, or not a whole one."""
    try:
        facts = facts_of_file(file)
    except GgufError as error:
        raise ModelError(f"{file.name} is no model that can be used: {error}") from error
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error
    if problem := unusable(facts):
        raise ModelError(f"{file.name} {problem}")
    return facts


def unusable(facts: Facts) -> str | None:
    """Why a file cannot be served although it is a GGUF, as the rest of a sentence."""
    if facts.parts > 1:
        return f"is one of {facts.parts} parts; join them with `llama-gguf-split --merge` and add the whole file"
    if facts.kind != "model" or not facts.architecture:
        return "holds no model of its own" if facts.kind == "model" else f"is no model but a part of one: {facts.kind}"
    return None


def add(home: Path, file: Path, model_id: str | None = None) -> LocalModel:
    """Puts a GGUF file into HIVE_HOME/models, linked where the disk allows it, else copied; raises ModelError."""
    name = checked_id(model_id or plain(file.stem.lower()).strip("-."))
    try:
        facts = facts_of_model(file)
    except ModelError as error:
        raise ModelError(f"{error}; nothing was added") from error
    target = place_of(home, name)
    _place(file, target)
    return keep(home, name, target, file_digest(target), facts, "added")


def checked_id(name: str) -> str:
    """The id, if a model may have it; raises ModelError."""
    if fault := fault_of_id(name):
        raise ModelError(fault)
    return name


def place_of(home: Path, name: str) -> Path:
    """Where the file of a model lies; two ids never share a place. Its folder is made if it is missing."""
    target = home / FOLDER / f"{file_stem(name)}.gguf"
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return target


def keep(
    home: Path, name: str, target: Path, digest: str, facts: Facts, source: Literal["fetched", "added"]
) -> LocalModel:
    """Writes the card of a file that lies in its place; a file that the same id had elsewhere is removed."""
    before = local_models(home).get(name)
    stat = target.stat()
    model = LocalModel(
        id=name,
        path=str(target),
        digest=digest,
        context=facts.context,
        size_bytes=stat.st_size,
        architecture=facts.architecture,
        mtime_ns=stat.st_mtime_ns,
        source=source,
        quantization=facts.quantization,
        parameters=facts.parameters,
        need=need_of(facts),
        tasks=facts.tasks,
    )
    _write_card(model)
    if before is not None and before.path != model.path:
        _remove_files(home, before)
    return model


def remove(home: Path, name: str) -> LocalModel:
    """Takes a model off this machine, with its file in HIVE_HOME/models; raises ModelError."""
    model = _found(home, name)
    if model.bundled:
        raise ModelError(f"{name} is bundled with Hive and cannot be removed")
    _remove_files(home, model)
    return model


def _found(home: Path, name: str) -> LocalModel:
    here = local_models(home)
    listed = named(library(), name)
    if model := here.get(name) or (here.get(listed.id) if listed else None):
        return model
    way = f"`hive worker models fetch {name}` gets it" if listed else "`hive worker models add FILE` adds one"
    raise ModelError(f"there is no model {name} here, only {', '.join(sorted(here))}; {way}")


def checked(model: LocalModel) -> LocalModel:
    """The model if its file is the one that was pinned: a file that looks untouched is, another one is read. Raises
    ModelError."""
    file, again = Path(model.path), _again(model)
    try:
        stat = file.stat()
    except OSError as error:
        raise ModelError(f"the file of {model.id} is gone ({model.path}); {again}") from error
    if (stat.st_size, stat.st_mtime_ns) == (model.size_bytes, model.mtime_ns):
        return model
    try:
        facts = facts_of_file(file)
        same = stat.st_size == model.size_bytes and file_digest(file) == model.digest
    except (GgufError, OSError) as error:
        raise ModelError(f"the file of {model.id} is not the one that was {model.source}: {error}; {again}") from error
    if not same:
        raise ModelError(f"the file of {model.id} is not the one that was {model.source}; {again}")
    touched = msgspec.structs.replace(model, mtime_ns=stat.st_mtime_ns, need=need_of(facts), tasks=facts.tasks)
    if not model.bundled:
        _write_card(touched)
    return touched


def _again(model: LocalModel) -> str:
    if model.source == "fetched":
        return f"fetch it again with `hive worker models fetch {model.id}`"
    return "add it again with `hive worker models add FILE`" if not model.bundled else "install Hive again"


def _bundled(name: str) -> LocalModel:
    entry = catalogue()[name]
    facts = facts_of_file(entry.path)
    return LocalModel(
        id=name,
        path=str(entry.path),
        digest=entry.digest,
        context=entry.context,
        size_bytes=entry.size_bytes,
        architecture=entry.architecture,
        mtime_ns=entry.path.stat().st_mtime_ns,
        bundled=True,
        source="bundled",
        quantization=entry.quantization,
        need=need_of(facts),
        tasks=facts.tasks,
    )


def _card(file: Path) -> LocalModel | None:
    """What was written when the model was added; None for a file that says something else."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=LocalModel)
    except (OSError, msgspec.DecodeError):
        return None


def _write_card(model: LocalModel) -> None:
    write_private(Path(model.path).with_suffix(".json"), msgspec.json.format(msgspec.json.encode(model)))


def _remove_files(home: Path, model: LocalModel) -> None:
    """The card goes first: without it a file is nothing. A file outside of HIVE_HOME/models is its owner's."""
    file = Path(model.path)
    try:
        file.with_suffix(".json").unlink(missing_ok=True)
        if file.parent == home / FOLDER:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(
            f"the file of {model.id} cannot be removed: {error.strerror}; stop the worker first"
        ) from error


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
