"""What OpenAI's faces take as texts: one or several, as words or as the model's token ids."""

from collections.abc import Callable, Sequence
from typing import Any

from coordinator.api.face import Face
from shared.catalogue import Entry, named
from shared.errors import RequestError
from shared.tokens import Vocabulary

Spell = Callable[[Sequence[int]], str]
"""How the model spells token ids; raises RequestError for what is none of them."""


def texts_of(given: str | list[Any] | None, spell: Spell, param: str, most: int) -> list[str]:
    """Up to so many texts; raises RequestError for what is none, and for more."""
    match given:
        case str():
            return [given]
        case [int(), *_] if _is_ids(given):
            return [spell(given)]
        case [str() | list(), *_] if len(given) > most:
            raise RequestError(f"{param} takes up to {most} texts, got {len(given)}.", param=param)
        case [_, *_] if all(isinstance(one, str) for one in given):
            return list(given)
        case [_, *_] if all(_is_ids(one) for one in given):
            return [spell(one) for one in given]
        case _:
            message = (
                f"{param} must be a text, a list of texts, a list of token ids or a list of such lists, and not empty."
            )
            raise RequestError(message, param=param)


def speller(face: Face, model: str, param: str) -> Spell:
    """How this model spells the ids in `param`; only when it is asked for it raises RequestError `invalid_model`."""

    def spell(ids: Sequence[int]) -> str:
        vocabulary = known(face, model)[1]
        if not all(0 <= token < vocabulary.size for token in ids):
            raise RequestError(f"{param}: this model's token ids go from 0 to {vocabulary.size - 1}.", param=param)
        return vocabulary.detokenise(ids).decode("utf-8", "replace")

    return spell


def known(face: Face, model: str) -> tuple[Entry, Vocabulary]:
    """A model of the catalogue by its id or another name; raises RequestError `invalid_model`."""
    entry = named(face.hive.catalogue, model)
    if entry is None:
        raise RequestError(f"The model {model[:200]!r} is not known here.", code="invalid_model", param="model")
    return entry, face.hive.vocabularies[entry.id]


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)
