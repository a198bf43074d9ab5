"""One request in a slot: what it feeds to the model next, and what a step's logits make of it. Pure."""

from collections import Counter
from collections.abc import Sequence as Items
from math import isfinite
from typing import Protocol

from shared.protocol.messages import Logprob
from shared.sampler import Floats, bias, choose, logprobs, penalise
from shared.text import Deltas
from worker.engine.wire import Failed, Finished, Generate, Made, OfRequest


class Tokens(Protocol):
    """Of a vocabulary, what a sequence needs: `shared.tokens.Vocabulary`."""

    @property
    def end_ids(self) -> frozenset[int]: ...

    def detokenise(self, ids: Items[int]) -> bytes: ...


class Constraint(Protocol):
    """A grammar that follows one answer: `worker.engine.constraint.Grammar`."""

    def allows(self, token: int) -> bool:
        """Whether the answer may go on with this token (or end with it)."""

    def mask(self, logits: Floats) -> None:
        """Makes every token that is not allowed impossible, in place."""

    def accept(self, token: int) -> None:
        """The answer goes on with this token."""

    def close(self) -> None:
        """Gives its memory back."""


class Prompt:
    """A request whose prompt is read into ids, ready for a slot."""

    __slots__ = ("constraint", "ids", "request")

    def __init__(self, request: Generate, ids: list[int], constraint: Constraint | None = None) -> None:
        self.request, self.ids, self.constraint = request, ids, constraint

    def close(self) -> None:
        """Gives back what it holds outside of Python."""
        if self.constraint is not None:
            self.constraint.close()


class Sequence:
    """A request while it runs; it depends on its prompt and its logits alone."""

    def __init__(self, prompt: Prompt, vocabulary: Tokens, *, context: int) -> None:
        self._prompt, request = prompt, prompt.request
        self.request = request
        self.tokens: list[int] = [*prompt.ids, *request.resume]
        self.position = 0
        self.number = request.number
        self.tokens_in = len(prompt.ids)
        self.cached = 0
        self.ended = False
        self.started_at = 0.0
        self.first_at: float | None = None
        self._read = len(self.tokens)
        self._ends = vocabulary.end_ids
        self._deltas = Deltas(vocabulary, request.stop)
        self._context = context
        self._constraint = prompt.constraint
        self._biases = {int(token): value for token, value in request.logit_bias.items()}
        self._counts = Counter(request.resume)
        self._count = len(request.resume)
        for token in request.resume:
            self._deltas.push(token)
            if self._constraint is not None:
                self._constraint.accept(token)

    @property
    def reading(self) -> bool:
        """Whether it is still reading its prompt."""
        return self.position < self._read

    @property
    def left(self) -> int:
        """How many tokens it can feed now."""
        return len(self.tokens) - self.position

    @property
    def total(self) -> int:
        """How many tokens it reads before it answers."""
        return self._read

    def begin(self) -> list[OfRequest]:
        """What is certain before any step: an error, or the end of an answer that has nothing left to say."""
        length = len(self.tokens)
        if length >= self._context:
            self.ended = True
            message = f"the prompt takes {length} tokens and the context is {self._context}"
            return [Failed(self.number, "context_length_exceeded", message, retryable=False)]
        if self._deltas.stopped:
            return [self._finished("stop")]
        if self._count >= self.request.max_tokens:
            return [self._finished("length")]
        return []

    def fed(self, count: int) -> None:
        """So many tokens are in the model's cache now."""
        self.position += count

    def accept(self, logits: Floats) -> list[OfRequest]:
        """Chooses the next token; what there is to say of it, with the end if it ends the answer. Changes the logits."""
        request = self.request
        chosen = self._choose(logits)
        if isinstance(chosen, Failed):
            self.ended = True
            return [chosen]
        token, told = chosen
        if token in self._ends:
            return [self._finished("stop")]
        if self._constraint is not None:
            self._constraint.accept(token)
        self._counts[token] += 1
        self._count += 1
        self.tokens.append(token)
        made = Made(self.number, [token], self._deltas.push(token), told)
        if self._deltas.stopped:
            return [made, self._finished("stop")]
        if self._count >= request.max_tokens or self.position >= self._context:
            return [made, self._finished("length")]
        return [made]

    def close(self) -> None:
        """Gives back what it holds outside of Python."""
        self._prompt.close()

    def _choose(self, logits: Floats) -> tuple[int, list[Logprob]] | Failed:
        """Penalties and biases, then the sampler; where a grammar forbids its choice, the sampler over what it allows,
        with the same noise. Failed where it allows nothing, or the model's logits are no numbers."""
        request, constraint = self.request, self._constraint
        raw = logits.copy() if request.logprobs is not None else logits
        penalise(logits, request.sampling, self._counts)
        bias(logits, self._biases)
        token = choose(logits, request.sampling, request.seed, self._count)
        if not isfinite(logits[token]):
            return Failed(self.number, "engine_error", "the model computes no numbers any more", retryable=True)
        if constraint is not None and not constraint.allows(token):
            constraint.mask(logits)
            token = choose(logits, request.sampling, request.seed, self._count)
            if not constraint.allows(token):
                return Failed(self.number, "grammar", "the grammar allows nothing more here", retryable=False)
        if request.logprobs is None or token in self._ends:
            return token, []
        return token, [logprobs(raw, token, request.logprobs)]

    def _finished(self, reason: str) -> Finished:
        self.ended = True
        text = "" if self._deltas.stopped else self._deltas.flush()
        ended = "stop" if self._deltas.stopped or reason == "stop" else "length"
        return Finished(self.number, ended, text, self.tokens_in, self.cached, 0, 0)  # type: ignore[arg-type]
