"""Text from another server as token ids: they say that very text, and end it as every answer here ends."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from shared.text import Deltas
from worker.engine.pieces import Pieces, Speller, Unsayable

WORDS = [b" the", b"the", b"lo", b" ", "日".encode(), b"ab"]
END = 256 + len(WORDS)
ALPHABET = "ab the€日😀 "
texts = st.text(alphabet=ALPHABET, max_size=40)
stops = st.lists(st.text(alphabet=ALPHABET, min_size=1, max_size=5), max_size=3)
cuts = st.lists(st.integers(0, 60), max_size=8)


class Exact:
    """Bytes, some words, and an end token that some texts seem to hold."""

    size = END + 1
    end_ids = frozenset({END})

    def detokenise(self, ids: Sequence[int]) -> bytes:
        return b"".join(self._piece(i) for i in ids)

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        raw, ids = text.encode(), []
        while raw:
            word = next((w for w in WORDS if raw.startswith(w)), raw[:1])
            ids.append(256 + WORDS.index(word) if word in WORDS else word[0])
            raw = raw[len(word) :]
        return ids

    def _piece(self, i: int) -> bytes:
        return b"<end>" if i == END else bytes((i,)) if i < 256 else WORDS[i - 256]


class Spacing(Exact):
    """Puts a space in front, as SentencePiece does."""

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        return super().tokenise(f" {text}", special=special)


class Ending(Exact):
    """Takes a text that looks like the end token for one."""

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        return [END] if text == "<end>" else super().tokenise(text, special=special)


class Capitals(Exact):
    """Has small letters alone, and folds what it reads."""

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        return super().tokenise(text.lower(), special=special)

    def _piece(self, i: int) -> bytes:
        return b"" if 65 <= i < 91 else super()._piece(i)


VOCABULARIES = [Exact(), Spacing(), Ending()]


def split(text: str, places: Sequence[int]) -> list[str]:
    at = sorted({0, len(text), *(p % (len(text) + 1) for p in places)})
    return [text[a:b] for a, b in pairwise(at)]


def run(vocabulary: Exact, parts: Sequence[str], stop: Sequence[str], most: int) -> tuple[list[int], str, str]:
    pieces = Pieces(Speller(vocabulary), vocabulary, stop=stop, max_tokens=most)
    ids: list[int] = []
    said = []
    for part in parts:
        taken, text, ended = pieces.push(part)
        ids += taken
        said.append(text)
        if ended:
            return ids, "".join(said), ended
    return ids, "".join(said) + pieces.flush(), ""


def told(vocabulary: Exact, ids: Sequence[int], stop: Sequence[str]) -> tuple[str, bool]:
    """What the coordinator makes of the ids."""
    deltas = Deltas(vocabulary, stop)
    early = False
    for token in ids:
        early = deltas.stopped
        deltas.push(token)
    deltas.flush()
    assert not early
    return deltas.text, deltas.stopped


@given(texts, cuts, st.sampled_from(VOCABULARIES))
def test_the_ids_of_any_pieces_say_the_text(text: str, places: list[int], vocabulary: Exact) -> None:
    ids, said, ended = run(vocabulary, split(text, places), [], 1000)
    assert vocabulary.detokenise(ids) == text.encode()
    assert (said, ended) == (text, "")


@given(texts, cuts, stops, st.integers(1, 12), st.sampled_from(VOCABULARIES))
def test_any_end_is_what_the_coordinator_reads_from_the_ids(
    text: str, places: list[int], stop: list[str], most: int, vocabulary: Exact
) -> None:
    ids, said, ended = run(vocabulary, split(text, places), stop, most)
    assert (said, ended == "stop") == told(vocabulary, ids, stop)
    assert len(ids) <= most
    assert (ended == "length") == (len(ids) == most and ended != "stop")


def test_a_text_that_looks_like_an_end_token_is_spelled() -> None:
    ids, said, _ = run(Ending(), ["<end>"], [], 1000)
    assert said == "<end>"
    assert END not in ids


def test_a_vocabulary_that_puts_spaces_in_front_takes_its_longest_tokens() -> None:
    ids, _, _ = run(Spacing(), ["the", " the", "lo"], [], 1000)
    assert ids == [256 + WORDS.index(w) for w in (b"the", b" the", b"lo")]


def test_what_no_token_says_is_refused() -> None:
    assert run(Capitals(), ["ab"], [], 10)[1] == "ab"
    with pytest.raises(Unsayable):
        run(Capitals(), ["aB"], [], 10)


def test_a_null_is_refused() -> None:
    with pytest.raises(Unsayable, match=r"U\+0000"):
        run(Exact(), ["a\0b"], [], 10)
