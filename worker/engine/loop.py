"""The engine's one loop: commands between two steps, then a step over every slot that has something to feed."""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

import msgspec

from shared.sampler import Floats
from worker.engine.cache import Cache, Memory
from worker.engine.pace import Pace
from worker.engine.prefixes import common_length
from worker.engine.sequence import Prompt, Sequence, Tokens
from worker.engine.wire import Failed, Finished, FromEngine, OfRequest, Prefill

SPARE_SEQUENCES: Final = 28
"""How many ended sequences may be kept for their prefixes (there are 256 in llama.cpp)."""
MOST_SEQUENCES: Final = 256
LEADING: Final = 64
"""A prompt waits for another that is being read if they have so many more tokens in common than it has already."""


class DecodeError(RuntimeError):
    """llama.cpp could not do a step."""


class Step:
    """The rows of one step: a token each, at which position of which sequence, and whose logits are wanted."""

    __slots__ = ("positions", "sequences", "tokens", "wanted")

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self.sequences: list[int] = []
        self.wanted: list[int] = []

    def add(self, tokens: list[int], position: int, sequence: int, *, wanted: bool) -> int:
        """Adds a run of tokens; the row of its last one."""
        self.tokens += tokens
        self.positions += range(position, position + len(tokens))
        self.sequences += [sequence] * len(tokens)
        self.wanted += [0] * (len(tokens) - 1) + [int(wanted)]
        return len(self.tokens) - 1


class Steps(Memory, Protocol):
    """Of a model, what the loop needs: `worker.engine.llama.Model`."""

    context: int
    cells: int
    cuts: bool

    def decode(self, step: Step) -> None:
        """Computes a step; raises DecodeError."""

    def logits(self, row: int) -> Floats:
        """The logits after a row that was wanted; they hold until the next step and may be changed."""


class Slot:
    """A running request: its sequence of tokens, and its sequence in the cache. `leader` is a request that is reading
    the beginning of the same prompt right now."""

    __slots__ = ("cells", "leader", "run")

    def __init__(self, run: Sequence, cells: int) -> None:
        self.run, self.cells = run, cells
        self.leader: Slot | None = None


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
        self._slots = slots
        sequences = min(slots + SPARE_SEQUENCES, MOST_SEQUENCES)
        self.cache = Cache(model, sequences=sequences, cells=model.cells, reuse=model.cuts)
        self.running: dict[int, Slot] = {}
        self._waiting: deque[Prompt] = deque()
        self._pace = Pace(max_tps)

    def pause(self) -> float | None:
        """Seconds until the next step may be done, 0 for at once, None while there is nothing to do."""
        return self._pace.wait(self._now()) if self.running else None

    def take(self, prompt: Prompt) -> None:
        """Lets a request in."""
        self._waiting.append(prompt)
        self._fill()

    def refuse(self, failed: Failed) -> None:
        """Says that a request can never be done."""
        self._say(failed)

    def cancel(self, number: int) -> None:
        """Stops a request; nothing more is said of it."""
        for waiting in [waiting for waiting in self._waiting if waiting.request.number == number]:
            self._waiting.remove(waiting)
            waiting.close()
        if number in self.running:
            self._end(self.running[number])
        self._fill()

    def step(self) -> None:
        """Feeds one batch and says what came of it. A step that llama.cpp refuses fails the requests in it."""
        began = self._now()
        step, fed = self._rows()
        try:
            if not self.cache.room_for(len(step.tokens)):
                raise DecodeError(f"there is no room for {len(step.tokens)} more tokens in the cache")
            self._model.decode(step)
        except DecodeError as error:
            self._failed(fed, str(error))
        else:
            self._heard(fed)
            ended, made = self._now(), sum(row is not None for _, _, row in fed)
            self._pace.took(ended - began, len(step.tokens), made=made, now=ended)
        self._fill()

    def _rows(self) -> tuple[Step, list[tuple[Slot, int, int | None]]]:
        """The next step and who is in it, with how many tokens and at which row the logits are that it wants: a token
        for each that is answering, then as much of the prompts as there is time for."""
        step = Step()
        fed: list[tuple[Slot, int, int | None]] = []
        slots = sorted(self.running.values(), key=lambda slot: slot.run.reading)
        answering = sum(not slot.run.reading for slot in slots)
        room = answering + self._pace.chunk(answering=answering > 0)
        for slot in slots:
            if room - len(step.tokens) <= 0 or (slot.leader is not None and not self._caught_up(slot)):
                continue
            run = slot.run
            count = min(run.left, room - len(step.tokens))
            last = count == run.left
            row = step.add(run.tokens[run.position : run.position + count], run.position, slot.cells, wanted=last)
            fed.append((slot, count, row if last else None))
        return step, fed

    def _heard(self, fed: list[tuple[Slot, int, int | None]]) -> None:
        for slot, count, row in fed:
            run, was_reading = slot.run, slot.run.reading
            run.fed(count)
            self.cache.fed(slot.cells, count)
            if row is None:
                self._say(Prefill(run.number, run.position, run.total))
                continue
            if was_reading:
                run.first_at = self._now()
                if not run.request.fresh:
                    self.cache.hold(slot.cells, run.tokens)
            self._tell(slot, run.accept(self._model.logits(row)))

    def _failed(self, fed: list[tuple[Slot, int, int | None]], why: str) -> None:
        for slot, _, _ in fed:
            self._say(Failed(slot.run.number, "engine_error", why, retryable=True))
            self._end(slot, keep=False)

    def _tell(self, slot: Slot, events: list[OfRequest]) -> None:
        for event in events:
            self._say(self._timed(slot.run, event) if isinstance(event, Finished) else event)
        if slot.run.ended:
            self._end(slot, keep=not isinstance(events[-1], Failed))

    def _timed(self, run: Sequence, event: Finished) -> Finished:
        now = self._now()
        first = now if run.first_at is None else run.first_at
        return msgspec.structs.replace(
            event, prefill_ms=round((first - run.started_at) * 1000), decode_ms=round((now - first) * 1000)
        )

    def _fill(self) -> None:
        while len(self.running) < self._slots and self._waiting:
            prompt = self._waiting.popleft()
            run = Sequence(prompt, self._vocabulary, context=self._model.context)
            run.started_at = self._now()
            events = run.begin()
            if run.ended:
                run.close()
                for event in events:
                    self._say(event)
                continue
            slot = self._seated(run)
            self.running[run.number] = slot
            slot.leader = self._leader_of(slot)

    def _seated(self, run: Sequence) -> Slot:
        lease = self.cache.begin(run.request.scope, run.tokens, fresh=run.request.fresh)
        run.position, run.cached = lease.length, min(lease.length, run.tokens_in)
        return Slot(run, lease.sequence)

    def _leader_of(self, slot: Slot) -> Slot | None:
        """A request that reads the same beginning and is further on with it, so that it need not be read twice."""
        run = slot.run
        if run.request.fresh or not self._model.cuts:
            return None
        for other in self.running.values():
            request = other.run.request
            leads = other is not slot and other.leader is None and other.run.reading
            if not leads or request.fresh or request.scope != run.request.scope:
                continue
            if common_length(other.run.tokens, run.tokens) - run.position >= LEADING:
                return other
        return None

    def _caught_up(self, slot: Slot) -> bool:
        """Whether a request that waited for its leader can go on: then it has what the leader read."""
        leader = slot.leader
        if leader is not None and leader.run.reading and self.running.get(leader.run.number) is leader:
            return False
        slot.leader = None
        self.cache.end(slot.cells, slot.run.tokens[: slot.run.position])
        renewed = self._seated(slot.run)
        slot.cells, slot.leader = renewed.cells, self._leader_of(slot)
        return slot.leader is None

    def _end(self, slot: Slot, *, keep: bool = True) -> None:
        if self.running.pop(slot.run.number, None) is not None:
            self.cache.end(slot.cells, slot.run.tokens[: slot.run.position] if keep else [])
            slot.run.close()
