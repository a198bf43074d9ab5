"""Rules over the words of a text: a rule is a row of ideas, each near the one before, and weighs something."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from coordinator.guard.plain import disguised, hidden, pieces, plain, words

ENOUGH: Final = 10
"""Rules that weigh so much together in one piece of a text are a finding."""

SENTENCE: Final = 3
"""The end of a sentence counts as so many words between two others."""

_UNSPACED: Final = re.compile("[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_ENDS: Final = frozenset(".!?;:\n。！？；：")


class Rule(msgspec.Struct, frozen=True):
    """`steps` are the ideas in their order, with at most `gap` other words from one to the next; of the rules with the
    same `name` that hold in a piece the heaviest counts."""

    name: str
    weight: int
    steps: tuple[str, ...]
    gap: int = 3


class Rules:
    """Ideas with their words in any number of languages, and rules over them."""

    def __init__(self, ideas: Mapping[str, str], rules: Sequence[Rule], unmeant: re.Pattern[str] | None = None) -> None:
        """`ideas` are words with spaces between; those of languages that write without spaces are found anywhere. What
        `unmeant` finds in a plain text is not read."""
        listed = [(plain(word), idea) for idea, text in ideas.items() for word in text.split()]
        self._ideas: dict[str, tuple[str, ...]] = {}
        for word, idea in listed:
            self._ideas[word] = (*self._ideas.get(word, ()), idea)
        unspaced = sorted({word for word, _ in listed if _UNSPACED.search(word)}, key=len, reverse=True)
        self._unspaced = re.compile("|".join(map(re.escape, unspaced))) if unspaced else None
        self._rules = rules
        self._unmeant = unmeant
        self._next: dict[str, list[tuple[int, int]]] = {}
        for number, rule in enumerate(rules):
            for step in reversed(range(len(rule.steps))):
                self._next.setdefault(rule.steps[step], []).append((number, step))

    def found(self, text: str) -> str | None:
        """The name of the heaviest rule where a piece of the text weighs enough: as it stands, as it looks, or as its
        base64 says; None where none does."""
        for piece in pieces(text):
            for said in (piece, *hidden(piece)):
                if (name := self._found_in(plain(said))) is not None:
                    return name
        return None

    def _found_in(self, text: str) -> str | None:
        seen = disguised(text)
        for form in (text,) if seen is None else (text, seen):
            weights = self.weights(form)
            if sum(weights.values()) >= ENOUGH:
                return max(weights, key=lambda name: weights[name])
        return None

    def weights(self, text: str) -> dict[str, int]:
        """What each name weighs in a plain text."""
        if self._unspaced is not None and not text.isascii():
            text = self._unspaced.sub(r" \g<0> ", text)
        if self._unmeant is not None:
            text = self._unmeant.sub(" ", text)
        weights: dict[str, int] = {}
        for number in self._holding(self._hits(words(text))):
            rule = self._rules[number]
            weights[rule.name] = max(rule.weight, weights.get(rule.name, 0))
        return weights

    def _hits(self, said: Iterable[str]) -> Iterable[tuple[int, tuple[str, ...]]]:
        """The ideas in their order, each with its place."""
        place = 0
        for word in said:
            place += SENTENCE if word in _ENDS else 1
            if (ideas := self._ideas.get(word)) is not None:
                yield place, ideas

    def _holding(self, hits: Iterable[tuple[int, tuple[str, ...]]]) -> set[int]:
        """The numbers of the rules that hold. For the first steps of each rule the last place where they held is kept:
        no other could be nearer to what follows."""
        last: dict[tuple[int, int], int] = {}
        holding: set[int] = set()
        for place, ideas in hits:
            for number, step in (at for idea in ideas for at in self._next.get(idea, ())):
                rule = self._rules[number]
                if step and not 0 < place - last.get((number, step - 1), -1_000) <= rule.gap + 1:
                    continue
                last[number, step] = place
                if step == len(rule.steps) - 1:
                    holding.add(number)
        return holding
