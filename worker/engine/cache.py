"""The KV cache as the loop sees it: a sequence for each request, prefixes shared between them, old ones evicted. Pure."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import msgspec

from worker.engine.prefixes import Prefixes

LEAST = 4
"""A shorter common prefix is not worth a copy."""
KEPT = 4096
"""How many cells ended requests may keep, the newest of them in any case: every step looks at all cells that are taken, and
many more than these slow it down."""


class Memory(Protocol):
    """Of a model, what the cache needs: `worker.engine.llama.Model`. Cells of one token may belong to many sequences."""

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Gives the cells of positions start to end (excluded) of `source` to `target` too."""

    def cut(self, sequence: int, start: int, end: int) -> None:
        """Takes positions start to end (excluded) from a sequence; end -1 is its end."""


class Lease(msgspec.Struct, frozen=True):
    """A request's sequence, and how many tokens of its prompt it holds already."""

    sequence: int
    length: int


class Cache:
    """Sequences 0 to `sequences` - 1 over `cells` cells; at least two more sequences than requests that run at once.
    Where a memory cannot be cut (recurrent models) nothing is reused."""

    def __init__(self, memory: Memory, *, sequences: int, cells: int, reuse: bool = True) -> None:
        self._memory, self._most, self._reuse = memory, cells, reuse
        self._free = list(reversed(range(sequences)))
        self._prefixes = Prefixes()
        self._running: dict[int, tuple[str, int]] = {}
        self._kept: OrderedDict[int, None] = OrderedDict()

    @property
    def cells(self) -> int:
        """How many cells hold a token."""
        return self._prefixes.cells + sum(
            length - (self._prefixes.length(sequence) if sequence in self._prefixes else 0)
            for sequence, (_, length) in self._running.items()
        )

    @property
    def running(self) -> int:
        """How many sequences belong to requests."""
        return len(self._running)

    @property
    def kept(self) -> int:
        """How many ended sequences are kept for their prefixes."""
        return len(self._kept)

    def begin(self, scope: str, tokens: Sequence[int], *, fresh: bool) -> Lease:
        """A sequence for a new request over `tokens`, with the longest prefix that is held, but never all of it: the
        last token's logits are wanted. `fresh` reads nothing."""
        length, holder = (0, None) if fresh or not self._reuse else self._prefixes.longest(scope, tokens)
        length = min(length, len(tokens) - 1)
        if holder is not None and holder in self._kept:
            self._kept.move_to_end(holder)
        if not self._free:
            self._evict(spare=holder)
        sequence = self._free.pop()
        if holder is None or length < LEAST:
            length = 0
        else:
            self._memory.share(holder, sequence, 0, length)
            self._prefixes.hold(sequence, scope, tokens[:length])
        self._running[sequence] = (scope, length)
        return Lease(sequence, length)

    def fed(self, sequence: int, count: int) -> None:
        """So many more tokens of a request are in cells."""
        scope, length = self._running[sequence]
        self._running[sequence] = (scope, length + count)

    def room_for(self, count: int) -> bool:
        """Evicts what is needed for so many more cells; False if running requests alone leave too few."""
        while self.cells + count > self._most:
            if not self._kept:
                return False
            self._evict()
        return True

    def hold(self, sequence: int, tokens: Sequence[int]) -> None:
        """Lets others share what a running request has in cells: exactly these tokens. Cells that another sequence has
        for the same tokens are used in place of its own."""
        scope, length = self._running[sequence]
        if len(tokens) != length:
            raise ValueError(f"{length} tokens are in cells, not {len(tokens)}")
        if not self._reuse:
            return
        own = self._prefixes.length(sequence) if sequence in self._prefixes else 0
        known, holder = self._prefixes.longest(scope, tokens)
        if holder is not None and known > own and holder != sequence:
            self._memory.cut(sequence, own, known)
            self._memory.share(holder, sequence, own, known)
        self._prefixes.hold(sequence, scope, tokens)

    def end(self, sequence: int, tokens: Sequence[int]) -> None:
        """A request is over; what it has in cells (`tokens`) is kept, and stands for shorter ones that it covers."""
        if not self._reuse or not tokens:
            del self._running[sequence]
            self._drop(sequence)
            return
        self.hold(sequence, tokens)
        del self._running[sequence]
        self._kept[sequence] = None
        for other in self._prefixes.covered(sequence) & self._kept.keys():
            del self._kept[other]
            self._drop(other)
        running = sum(length for _, length in self._running.values())
        while len(self._kept) > 1 and self._prefixes.cells > KEPT + running:
            self._evict()

    def clear(self) -> None:
        """Forgets every kept sequence."""
        while self._kept:
            self._evict()

    def _evict(self, spare: int | None = None) -> None:
        """Drops the sequence that was not used for longest."""
        oldest = next(sequence for sequence in self._kept if sequence != spare)
        del self._kept[oldest]
        self._drop(oldest)

    def _drop(self, sequence: int) -> None:
        if sequence in self._prefixes:
            self._prefixes.release(sequence)
        self._memory.cut(sequence, 0, -1)
        self._free.append(sequence)
