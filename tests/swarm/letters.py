"""A vocabulary for tests, and what scripted workers make of texts that they embed or rank."""

import math
from collections.abc import Sequence
from typing import Protocol

from shared.chat.formats import GENERIC
from shared.protocol.messages import OfferBody
from shared.tokens import Asked
from shared.vectors import lines_of, packed


class Tokeniser(Protocol):
    """What a scripted worker needs of a vocabulary: `shared.tokens.Vocabulary`, or `Letters`."""

    def tokenise(self, text: str, *, special: bool) -> list[int]: ...

    def prompt_ids(self, asked: Asked) -> list[int]: ...

    def text_ids(self, text: str) -> list[int]: ...

    def pair_ids(self, query: str, document: str) -> list[int]: ...

    def detokenise(self, ids: Sequence[int]) -> bytes: ...


class Letters:
    """A vocabulary for tests: every byte is a token, 256 ends an answer."""

    size = 257
    end_ids = frozenset({256})
    format = GENERIC
    ranks, dimensions, longest_text = True, 3, 2048

    def metadata(self, _key: str) -> str | None:
        """Nothing: there is no file."""
        return None

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        """The bytes of the text."""
        return list(text.encode())

    def prompt_ids(self, asked: Asked) -> list[int]:
        """The bytes of all that is said."""
        said = asked.prompt if asked.prompt is not None else "".join(m.content or "" for m in asked.messages or [])
        return list(said.encode())

    def text_ids(self, text: str) -> list[int]:
        """The bytes of a text to embed."""
        return list(text.encode())

    def pair_ids(self, query: str, document: str) -> list[int]:
        """The bytes of a query and a document."""
        return list(f"{query}{document}".encode())

    def detokenise(self, ids: Sequence[int]) -> bytes:
        """The bytes of the ids."""
        return bytes(token for token in ids if token < 256)


def vector_of(text: str) -> list[float]:
    """A vector of three numbers and of length 1 that is another for almost every text."""
    angle = sum(place * byte for place, byte in enumerate(text.encode(), 1)) % 6283 / 1000
    return [0.6 * math.cos(angle), 0.6 * math.sin(angle), 0.8]


def score_of(query: str, document: str) -> float:
    """How many words of the query are in the document."""
    return float(len(set(query.split()) & set(document.split())))


def made_of(body: OfferBody) -> str:
    """What an honest worker makes of an offer's texts."""
    if body.task == "rank":
        query, *documents = body.inputs
        return lines_of([packed([score_of(query, document) for document in documents])])
    return lines_of(packed(vector_of(text)) for text in body.inputs)


def tokens_in(body: OfferBody, tokeniser: Tokeniser) -> int:
    """How many tokens it reads."""
    match body.task:
        case "embed":
            return sum(len(tokeniser.text_ids(text)) for text in body.inputs)
        case "rank":
            query, *documents = body.inputs
            return sum(len(tokeniser.pair_ids(query, document)) for document in documents)
        case _:
            return len(tokeniser.prompt_ids(body))
