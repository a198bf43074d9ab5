"""The models that an operator has pinned beside the bundled ones: a card with the digest, and a vocabulary to count with."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from shared import hub
from shared.catalogue import Described, Entry, Listed, catalogue, described, file_digest, price_by_size
from shared.errors import RequestError
from shared.files import write_private
from shared.gguf.facts import Facts, facts_of
from shared.gguf.reader import GgufError, Header, Source, read_file
from shared.gguf.thin import thin
from shared.model_ids import fault_of_id, file_stem

FOLDER: Final = "models"
LONGEST_NOTE: Final = 200
GUARD: Final = "unsafe content categories"
"""What the chat template of a Llama Guard says in any case."""


Tell = Callable[[str], None]
"""Told, in a sentence, what is wrong."""


class Card(Described, frozen=True, kw_only=True):
    """What is kept of a pinned model. `vocabulary` is the SHA-256 of the file beside the card, `digest` that of the whole
    model, which a worker must serve; `origin` says where that came from. A `guard` says of a text whether it is safe."""

    digest: str
    vocabulary: str
    origin: str
    size_bytes: int
    aliases: tuple[str, ...] = ()
    guard: bool = False


class Terms(msgspec.Struct, frozen=True):
    """What the operator decides: the id, the prices in stroops per million tokens (None: by list or size), and that it is a
    guard, whatever its chat template says."""

    id: str | None = None
    price_in: int | None = None
    price_out: int | None = None
    guard: bool = False


def servable(folder: Path, tell: Tell) -> dict[str, Entry]:
    """The bundled models and those that are pinned in the folder, by id; a damaged card is left out and told."""
    found = dict(catalogue())
    for card, file in cards(folder, tell):
        if card.id in found:
            tell(f"{file.name} is left out: its id {card.id} is taken")
        else:
            found[card.id] = _entry(card, file.with_suffix(".gguf"))
    return found


def cards(folder: Path, tell: Tell) -> list[tuple[Card, Path]]:
    """The cards in the folder that hold, each with its file; what is wrong with the others is told."""
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            card = msgspec.json.decode(file.read_bytes(), type=Card)
            if file_digest(file.with_suffix(".gguf")) != card.vocabulary:
                raise ValueError("its vocabulary has changed")
        except (OSError, ValueError) as error:
            tell(f"{file.name} is left out: {error}; pin it again with `hive coordinator models add`")
        else:
            found.append((card, file))
    return found


def pin_listed(folder: Path, listed: Listed, terms: Terms, endpoint: str | None = None) -> Card:
    """Pins a model of the library by what the hub says of it now, of which only the header is fetched; raises HubError
    or RequestError."""
    file = hub.RemoteFile(hub.locate(listed.repository, listed.file, endpoint))
    header = hub.read_header(file)
    said = described(listed) | {"id": terms.id or listed.id, "context": 0}
    card = Card(
        **said,
        digest=file.remote.digest,
        vocabulary="",
        origin=f"{listed.repository}/{listed.file}@{file.remote.revision}",
        size_bytes=file.remote.size_bytes,
        aliases=listed.aliases,
    )
    return _pin(folder, card, terms, file, header)


def pin_file(folder: Path, file: Path, terms: Terms) -> Card:
    """Pins a model file of the operator's own, which is read but not kept; raises RequestError."""
    if terms.id is None:
        raise RequestError(f"{file.name} has no id that callers could name; choose one with --id.")
    try:
        header = read_file(file)
        said = header.metadata.get("general.license"), header.metadata.get("general.name")
        licence, note = (one[:LONGEST_NOTE] if isinstance(one, str) and one.isprintable() else "" for one in said)
        price_in, price_out = price_by_size(header.size_bytes)
        card = Card(
            id=terms.id,
            digest=file_digest(file),
            vocabulary="",
            origin=file.name,
            context=0,
            size_bytes=header.size_bytes,
            price_in=price_in,
            price_out=price_out,
            owned_by="operator",
            created=int(time.time()),
            quantization="",
            architecture="",
            licence=licence or "unknown",
            note=note,
        )
        with file.open("rb") as source:
            return _pin(folder, card, terms, source, header)
    except GgufError as error:
        raise RequestError(f"{file.name} is no model that can be used: {error}.") from error
    except OSError as error:
        raise RequestError(f"{file.name} cannot be read: {error.strerror}.") from error


def unpin(folder: Path, name: str) -> Card:
    """Takes a pinned model out of the folder; raises RequestError."""
    held = {card.id: (card, file) for card, file in cards(folder, lambda _: None)}
    if name not in held:
        known = ", ".join(sorted(held)) or "none is"
        raise RequestError(f"{name} is not pinned here ({known}); bundled models stay.")
    card, file = held[name]
    file.unlink(missing_ok=True)
    file.with_suffix(".gguf").unlink(missing_ok=True)
    return card


def _pin(folder: Path, card: Card, terms: Terms, source: Source, header: Header) -> Card:
    """Writes the vocabulary, tries it, then the card: a card is only ever beside a vocabulary that loads."""
    facts = _checked(card.id, header)
    place = folder / f"{file_stem(card.id)}.gguf"
    beside = place.with_suffix(f".{os.getpid()}.part")
    made = thin(source, header)
    try:
        write_private(beside, made)
        _try(beside, card.id)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
    card = msgspec.structs.replace(
        card,
        vocabulary=hashlib.sha256(made).hexdigest(),
        context=facts.context,
        quantization=card.quantization or facts.quantization,
        architecture=facts.architecture,
        price_in=card.price_in if terms.price_in is None else terms.price_in,
        price_out=card.price_out if terms.price_out is None else terms.price_out,
        guard=terms.guard or GUARD in facts.chat_template.lower(),
    )
    write_private(place.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(card)))
    return card


def _checked(name: str, header: Header) -> Facts:
    """The facts of a model that can be served under this name; raises RequestError."""
    try:
        facts = facts_of(header)
    except GgufError as error:
        raise RequestError(f"{name} is no model that can be used: {error}.") from error
    if fault := fault_of_id(name):
        raise RequestError(f"{fault}.")
    if facts.kind != "model" or facts.parts > 1:
        what = f"one of {facts.parts} parts" if facts.parts > 1 else f"a {facts.kind}"
        raise RequestError(f"{name} would be {what}, not a whole model; workers serve whole GGUF files.")
    if not facts.context or not facts.vocabulary:
        raise RequestError(
            f"{name} does not say how long its context is or which tokens it has, so it cannot be served."
        )
    return facts


def _try(file: Path, name: str) -> None:
    """Loads the vocabulary as the coordinator will."""
    from shared.tokens import ModelFileError, Vocabulary  # noqa: PLC0415 - llama.cpp, which listing does without

    try:
        Vocabulary(file).tokenise("a first word", special=False)
    except ModelFileError as error:
        raise RequestError(f"llama.cpp cannot count the tokens of {name}, so it was not pinned.") from error


def _entry(card: Card, vocabulary: Path) -> Entry:
    return Entry(
        **described(card),
        path=vocabulary,
        digest=card.digest,
        size_bytes=card.size_bytes,
        aliases=card.aliases,
        guard=card.guard,
    )
