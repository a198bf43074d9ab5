"""The engine's one loop: commands between two steps, then a step over every slot that has something to feed."""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol, assert_never

import msgspec

from shared.sampler import Floats
from worker.engine.llama import BATCH, DecodeError, Row
from worker.engine.sequence import Sequence, Tokens
from worker.engine.wire import Cancel, Failed, Finished, FromEngine, Generate, Load, OfRequest, Prefill, ToEngine


class Steps(Protocol):
    """Of a model, what the loop needs: `worker.engine.llama.Model`."""

    context: int

    def decode(self, rows: list[Row]) -> None: ...

    def logits(self, row: int) -> Floats: ...

    def forget(self, slot: int) -> None: ...


class Loop:
    """Runs up to `slots` requests at once; further ones wait in order. `now` is monotonic seconds."""

    def __init__(
        self,
        model: Steps,
        vocabulary: Tokens,
        say: Callable[[FromEngine], None],
        *,
        slots: int,
        max_tps: float = 0.0,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._model, self._vocabulary, self._say, self._now = model, vocabulary, say, now
        self._free = list(reversed(range(slots)))
        self._running: dict[int, Sequence] = {}
        self._started: dict[int, float] = {}
        self._waiting: deque[Generate] = deque()
        self._max_tps = max_tps
        self._next_step = 0.0

    def pause(self) -> float | None:
        """Seconds until the next step may be done, 0 for at once, None while there is nothing to do."""
        if not self._running:
            return None
        return max(0.0, self._next_step - self._now())

    def take(self, command: ToEngine) -> None:
        """Lets a request in, or cancels one."""
        match command:
            case Generate():
                self._waiting.append(command)
                self._fill()
            case Cancel(number=number):
                self._waiting = deque(w for w in self._waiting if w.number != number)
                if number in self._running:
                    self._end(self._running[number])
                self._fill()
            case Load():
                raise ValueError("the model is already loaded")
            case _:
                assert_never(command)

    def step(self) -> None:
        """Feeds one batch and says what came of it. A step that llama.cpp refuses fails the requests in it."""
        rows, wanted, fed = self._rows()
        try:
            self._model.decode(rows)
        except DecodeError as error:
            for sequence in fed:
                self._tell(sequence, [Failed(sequence.number, "engine_error", str(error), retryable=True)])
                self._end(sequence)
        else:
            self._heard(fed, wanted)
        self._fill()

    def _rows(self) -> tuple[list[Row], dict[int, int], list[Sequence]]:
        """The rows of the next step, the row whose logits each request wants, and who is in it: one token for each
        that is answering, then as much of the prompts as there is room for."""
        rows: list[Row] = []
        wanted: dict[int, int] = {}
        fed: list[Sequence] = []
        for sequence in sorted(self._running.values(), key=lambda s: s.reading):
            tokens, position, last = sequence.take(BATCH - len(rows))
            if not tokens:
                continue
            fed.append(sequence)
            rows += [Row(token, position + i, sequence.slot, False) for i, token in enumerate(tokens)]
            if last:
                rows[-1] = rows[-1]._replace(wanted=True)
                wanted[sequence.number] = len(rows) - 1
        return rows, wanted, fed

    def _heard(self, fed: list[Sequence], wanted: dict[int, int]) -> None:
        made = 0
        for sequence in fed:
            row = wanted.get(sequence.number)
            if row is None:
                self._say(Prefill(sequence.number, *sequence.read()))
                continue
            if sequence.first_at is None:
                sequence.first_at = self._now()
            self._tell(sequence, sequence.accept(self._model.logits(row)))
            made += 1
        if self._max_tps > 0:
            self._next_step = max(self._now(), self._next_step) + made / self._max_tps

    def _tell(self, sequence: Sequence, events: list[OfRequest]) -> None:
        for event in events:
            self._say(self._timed(sequence, event) if isinstance(event, Finished) else event)
        if sequence.ended:
            self._end(sequence)

    def _timed(self, sequence: Sequence, event: Finished) -> Finished:
        now, started = self._now(), self._started[sequence.number]
        first = now if sequence.first_at is None else sequence.first_at
        return msgspec.structs.replace(
            event, prefill_ms=round((first - started) * 1000), decode_ms=round((now - first) * 1000)
        )

    def _fill(self) -> None:
        while self._free and self._waiting:
            request = self._waiting.popleft()
            sequence = Sequence(request, self._vocabulary, slot=self._free.pop(), context=self._model.context)
            self._running[request.number] = sequence
            self._started[request.number] = self._now()
            self._tell(sequence, sequence.begin())

    def _end(self, sequence: Sequence) -> None:
        if self._running.pop(sequence.number, None) is not None:
            del self._started[sequence.number]
            self._model.forget(sequence.slot)
            self._free.append(sequence.slot)
