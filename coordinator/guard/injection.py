"""The guard against prompt injection: phrases that take orders back, ask for the system prompt or fake a chat's marks."""

import re
from collections.abc import Sequence
from typing import Final

from coordinator.guard.guard import INPUT, Finding, Text
from coordinator.guard.injection_words import IDEAS, KEPT, RULES
from coordinator.guard.plain import pieces
from coordinator.guard.rules import Rules

PASSED: Final = ("system", "assistant", INPUT)
"""Who is not looked at: the caller itself, who may well forbid injections in their own words, the model, and texts to embed
or to rank, which no model obeys."""

_MARKS: Final = re.compile(
    r"<\|(?:im_start|im_end|start_header_id|end_header_id|eot_id|system|assistant|endoftext|begin_of_text)\|>"
    r"|<start_of_turn>|<end_of_turn>|\[/?INST\]|<</?SYS>>"
)
_RULES: Final = Rules(IDEAS, RULES, KEPT)


class PromptInjection:
    """Weighs rows of words in eleven languages, also where they are disguised, and finds the marks of chat templates."""

    name = "prompt-injection"
    method = (
        "weighted phrases in 11 languages over normalised text (Unicode look-alikes, invisible letters, spaced letters, "
        "digits for letters, base64 once), and control marks of chat templates, in messages by users and tools"
    )
    limits = (
        "Knows phrases, not intentions: a new wording passes, and a text that quotes an injection to talk about it is "
        "refused. Of a public collection of jailbreaks it refused 6 in 10, of subtle injections within documents 1 in 3, "
        "of 24,000 harmless paragraphs none. System and assistant messages are not looked at, nor are images. Other "
        "languages pass."
    )

    def check(self, texts: Sequence[Text]) -> Finding | None:
        """The first text by a user, by a tool or by nobody that carries an injection."""
        for text in texts:
            if text.role in PASSED:
                continue
            if any(_MARKS.search(piece) for piece in pieces(text.text)):
                return Finding(text.where, "template-marks")
            if (name := _RULES.found(text.text)) is not None:
                return Finding(text.where, name)
        return None
