"""A model that counts, with a cache of cells that are shared as llama.cpp shares them."""

from collections.abc import Sequence

import numpy as np

from shared.sampler import Floats
from worker.engine.loop import DecodeError, Step
from worker.engine.pace import BATCH

END = 0


class Letters:
    """Token n is the n-th letter; 0 ends."""

    end_ids = frozenset({END})

    def detokenise(self, ids: Sequence[int]) -> bytes:
        return bytes(96 + i for i in ids if i)


class Counting:
    """A model of 27 tokens: after token n it says n + 1. It checks that each sequence is fed without a gap, that what it
    shares is there, and that no more cells are used than it has."""

    cuts = True

    def __init__(self, context: int = 2000, slots: int = 2) -> None:
        self.context, self.cells = context, context * slots
        self.fed: dict[int, list[tuple[int, object]]] = {}
        self.last: Step = Step()
        self.steps: list[int] = []
        self.broken = False
        self.numbers = True

    def decode(self, step: Step) -> None:
        if self.broken:
            raise DecodeError("no memory")
        assert 0 < len(step.tokens) <= BATCH + 64
        for token, position, sequence in zip(step.tokens, step.positions, step.sequences, strict=True):
            cache = self.fed.setdefault(sequence, [])
            assert position == len(cache) < self.context
            cache.append((token, object()))
        assert self.cells_used() <= self.cells
        self.last = step
        self.steps.append(len(step.tokens))

    def logits(self, row: int) -> Floats:
        assert self.last.wanted[row]
        out = np.zeros(27, np.float32)
        out[(self.last.tokens[row] + 1) % 27] = 9.0
        return out if self.numbers else out * np.nan

    def share(self, source: int, target: int, start: int, end: int) -> None:
        taken, cache = self.fed[source], self.fed.setdefault(target, [])
        assert end <= len(taken)
        assert all(cell is None for _, cell in cache[start:end]), "llama.cpp would have two cells for one position"
        kept = cache[end:] if len(cache) > end else []
        self.fed[target] = [*cache[:start], *taken[start:end], *kept]

    def cut(self, sequence: int, start: int, end: int) -> None:
        cache = self.fed.get(sequence, [])
        if end == -1:
            del cache[start:]
        else:
            cache[start:end] = [(-1, None)] * (min(end, len(cache)) - start)
        if not cache:
            self.fed.pop(sequence, None)

    def cells_used(self) -> int:
        """How many different cells hold a token."""
        return len({id(cell) for cache in self.fed.values() for _, cell in cache if cell is not None})

    def held(self, sequence: int) -> list[int]:
        """The tokens that a sequence has in cells."""
        return [token for token, _ in self.fed.get(sequence, [])]
