"""Text from elsewhere as token ids of a vocabulary, piece by piece, so that the ids say that very text. Pure."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final, Literal, Protocol

from shared.text import Deltas

_NUL: Final = "\0"


class Unsayable(ValueError):
    """No tokens of the vocabulary say this text."""


class Tokens(Protocol):
    """Of a vocabulary, what is needed: `shared.tokens.Vocabulary`."""

    @property
    def size(self) -> int: ...

    @property
    def end_ids(self) -> frozenset[int]: ...

    def tokenise(self, text: str, *, special: bool) -> list[int]: ...

    def detokenise(self, ids: Sequence[int]) -> bytes: ...


class Speller:
    """Turns pieces of text into ids whose bytes are those of the piece, whatever was said before it."""

    def __init__(self, vocabulary: Tokens) -> None:
        self._vocabulary = vocabulary

    def ids(self, text: str) -> list[int]:
        """The vocabulary's own way where it keeps every byte (some put a space in front, or fold letters), else the
        longest tokens that fit, one after the other; raises Unsayable."""
        raw = text.encode()
        ids = self._vocabulary.tokenise(text, special=False)
        if self._vocabulary.detokenise(ids) == raw and not self._vocabulary.end_ids.intersection(ids):
            return ids
        return list(self._spelled(raw))

    def _spelled(self, raw: bytes) -> Iterator[int]:
        place = 0
        while place < len(raw):
            ends = range(min(len(raw), place + self._longest), place, -1)
            end = next((e for e in ends if raw[place:e] in self._ids), None)
            if end is None:
                raise Unsayable("the answer holds text that no token of this vocabulary says")
            yield self._ids[raw[place:end]]
            place = end

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        """Every token that says something, the first of those that say the same; read when it is first needed."""
        last_first = reversed(range(self._vocabulary.size))
        table = {self._vocabulary.detokenise((i,)): i for i in last_first if i not in self._vocabulary.end_ids}
        table.pop(b"", None)
        return table

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._ids), default=0)


class Pieces:
    """One answer: pieces in; ids, text and the end out. The text is that of the ids, cut as every answer here is."""

    def __init__(self, speller: Speller, vocabulary: Tokens, *, stop: Sequence[str], max_tokens: int) -> None:
        self._speller = speller
        self._deltas = Deltas(vocabulary, stop)
        self._left = max_tokens

    def push(self, text: str) -> tuple[list[int], str, Literal["", "stop", "length"]]:
        """The ids of a piece up to the end of the answer, the text that they make certain, and the end if this is it;
        raises Unsayable."""
        if _NUL in text:
            raise Unsayable("the answer holds U+0000")
        taken, said = [], []
        for token in self._speller.ids(text):
            taken.append(token)
            said.append(self._deltas.push(token))
            if self._deltas.stopped or len(taken) == self._left:
                break
        self._left -= len(taken)
        ended: Literal["", "stop", "length"] = "stop" if self._deltas.stopped else "length" if self._left <= 0 else ""
        return taken, "".join(said) + (self._deltas.flush() if ended == "length" else ""), ended

    def flush(self) -> str:
        """What was held back, now that the answer is over."""
        return self._deltas.flush()
