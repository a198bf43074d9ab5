"""Random answers that a grammar allows, by llama.cpp's grammar over the bundled model's tokens."""

import random

import numpy as np

from shared.tokens import Vocabulary
from tests.machine.coordinator_double import model_file
from worker.engine.grammar import Following

VOCABULARY = Vocabulary(model_file())
PIECES = [VOCABULARY.detokenise((token,)) for token in range(VOCABULARY.size)]
CLOSING = [
    np.array([piece in some for piece in PIECES])
    for some in ({b'"', b"}", b"]", b"@", b".", b"\\"}, {b"0", b"e", b"Z"})
]
ENDS = np.zeros(VOCABULARY.size, bool)
ENDS[list(VOCABULARY.end_ids)] = True
PATIENCE = 40
LONGEST = 3000


def walk(following: Following, seed: int, begin: str = "") -> str:
    """A random answer, with bytes that are no text about as likely as words; after a while it takes what closes."""
    chance = random.Random(seed)
    made = VOCABULARY.tokenise(begin, special=True)
    for token in made:
        following.accept(token)
    for step in range(LONGEST):
        logits = np.zeros(VOCABULARY.size, np.float32)
        following.mask(logits)
        allowed = np.isfinite(logits)
        assert allowed.any(), (step, VOCABULARY.detokenise(made))
        if (allowed & ENDS).any() and (step > PATIENCE or chance.random() < 0.2 or not (allowed & ~ENDS).any()):
            following.close()
            return VOCABULARY.detokenise(made).decode()
        some = allowed & ~ENDS
        if step > PATIENCE:
            some = next((some & closing for closing in CLOSING if (some & closing).any()), some)
        token = int(chance.choice(np.flatnonzero(some)))
        assert following.allows(token)
        following.accept(token)
        made.append(token)
    raise AssertionError(f"no end: {VOCABULARY.detokenise(made)[:300]!r}")
