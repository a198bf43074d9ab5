"""The guard against toxicity: slurs, insults to somebody's face, threats and hate, by their words."""

from collections.abc import Sequence
from typing import Final

from coordinator.guard.guard import Finding, Text
from coordinator.guard.rules import Rules
from coordinator.guard.toxicity_words import IDEAS, RULES

_RULES: Final = Rules(IDEAS, RULES)


class Toxicity:
    """Weighs words and rows of words in six languages, also where they are disguised."""

    name = "toxicity"
    method = (
        "a list of slurs, and weighted phrases for insults, threats and hate, in English, German, French, Spanish, "
        "Italian and Portuguese, over normalised text (look-alikes, invisible and spaced letters, digits for letters)"
    )
    limits = (
        "Knows words, not meaning: malice in polite words passes, and a text that quotes abuse, names its victims' words "
        "for themselves or is about such words is refused. Swearing at nobody passes. Of 1,400 passages of "
        "novels it refused 1 in 100, of 24,000 paragraphs of documentation none. Other languages pass."
    )

    def check(self, texts: Sequence[Text]) -> Finding | None:
        """The first text, whoever speaks, that is abusive."""
        for text in texts:
            if (kind := _RULES.found(text.text)) is not None:
                return Finding(text.where, kind)
        return None
