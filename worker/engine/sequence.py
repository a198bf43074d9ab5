"""One request in a slot: what it feeds to the model next, and what a step's logits make of it. Pure."""

from collections import Counter
from collections.abc import Sequence as Items
from typing import Protocol

from shared.sampler import Floats, choose, penalised
from shared.text import Deltas
from worker.engine.wire import Failed, Finished, Generate, Made, OfRequest


class Tokens(Protocol):
    """Of a vocabulary, what a sequence needs: `shared.tokens.Vocabulary`."""

    @property
    def end_ids(self) -> frozenset[int]: ...

    def detokenise(self, ids: Items[int]) -> bytes: ...


class Sequence:
    """A request while it runs; it depends on its request and its logits alone."""

    def __init__(self, request: Generate, vocabulary: Tokens, *, slot: int, context: int) -> None:
        self.request = request
        self.slot = slot
        self.ended = False
        self._ends = vocabulary.end_ids
        self._deltas = Deltas(vocabulary, request.stop)
        self._context = context
        self._feed: list[int] = [*request.prompt, *request.resume]
        self._position = 0
        self._counts = Counter(request.resume)
        self._count = len(request.resume)
        self.first_at: float | None = None
        for token in request.resume:
            self._deltas.push(token)

    @property
    def number(self) -> int:
        """The request's number."""
        return self.request.number

    @property
    def reading(self) -> bool:
        """Whether it is still reading its prompt."""
        return self._position < len(self.request.prompt) + len(self.request.resume)

    def begin(self) -> list[OfRequest]:
        """What is certain before any step: an error, or the end of an answer that has nothing left to say."""
        length = len(self._feed)
        if length >= self._context:
            self.ended = True
            message = f"the prompt takes {length} tokens and the context is {self._context}"
            return [Failed(self.number, "context_length_exceeded", message, retryable=False)]
        if self._deltas.stopped:
            return [self._finished("stop")]
        if self._count >= self.request.max_tokens:
            return [self._finished("length")]
        return []

    def take(self, room: int) -> tuple[list[int], int, bool]:
        """The next tokens to feed, at most `room`; the position of the first; whether its logits are wanted then."""
        tokens, position = self._feed[:room], self._position
        del self._feed[:room]
        self._position += len(tokens)
        return tokens, position, not self._feed

    def read(self) -> tuple[int, int]:
        """How many tokens of how many are read."""
        total = len(self.request.prompt) + len(self.request.resume)
        return min(self._position, total), total

    def accept(self, logits: Floats) -> list[OfRequest]:
        """Chooses the next token; what there is to say of it, with the end if it ends the answer."""
        request = self.request
        weighed = penalised(logits, request.sampling, self._counts)
        token = choose(weighed, request.sampling, request.seed, self._count)
        if token in self._ends:
            return [self._finished("stop")]
        self._counts[token] += 1
        self._count += 1
        self._feed = [token]
        made = Made(self.number, [token], self._deltas.push(token))
        if self._deltas.stopped:
            return [made, self._finished("stop")]
        if self._count >= request.max_tokens or self._position >= self._context:
            return [made, self._finished("length")]
        return [made]

    def _finished(self, reason: str) -> Finished:
        self.ended = True
        text = "" if self._deltas.stopped else self._deltas.flush()
        return Finished(self.number, "stop" if self._deltas.stopped or reason == "stop" else "length", text, 0, 0)
