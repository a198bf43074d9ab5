"""The cache of prefixes over cells that are counted one by one, whatever requests do."""

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from tests.pure.counting_model import Counting
from worker.engine import cache as cache_module
from worker.engine.cache import LEAST, Cache
from worker.engine.loop import Step
from worker.engine.prefixes import common_length

SEQUENCES, SLOTS, CELLS = 9, 4, 150


class World:
    """A cache, the cells below it, and what each sequence should have in them."""

    def __init__(self, *, reuse: bool = True) -> None:
        self.model = Counting(CELLS, 1)
        self.cache = Cache(self.model, sequences=SEQUENCES, cells=CELLS, reuse=reuse)
        self.running: dict[int, tuple[str, list[int], int]] = {}
        self.held: dict[int, tuple[str, list[int]]] = {}

    def begin(self, scope: str, tokens: list[int], *, fresh: bool) -> int:
        known = max((common_length(h, tokens) for where, h in self.held.values() if where == scope), default=0)
        lease = self.cache.begin(scope, tokens, fresh=fresh)
        assert lease.sequence not in self.running
        known = min(known, len(tokens) - 1)
        assert lease.length == (0 if fresh or known < LEAST else known)
        self.held.pop(lease.sequence, None)
        if lease.length:
            self.held[lease.sequence] = (scope, tokens[: lease.length])
        self.running[lease.sequence] = (scope, tokens, lease.length)
        return lease.sequence

    def feed(self, sequence: int, count: int) -> bool:
        scope, tokens, at = self.running[sequence]
        count = min(count, len(tokens) - at)
        if not self.cache.room_for(count):
            assert self.cache.kept == 0
            assert self.model.cells_used() + count > CELLS
            self._forget()
            return False
        self._forget()
        if count:
            step = Step()
            step.add(tokens[at : at + count], at, sequence, wanted=True)
            self.model.decode(step)
            self.cache.fed(sequence, count)
        self.running[sequence] = (scope, tokens, at + count)
        return True

    def hold(self, sequence: int) -> None:
        scope, tokens, at = self.running[sequence]
        if at:
            self.cache.hold(sequence, tokens[:at])
            self.held[sequence] = (scope, tokens[:at])

    def end(self, sequence: int, *, keep: bool) -> None:
        scope, tokens, at = self.running.pop(sequence)
        self.cache.end(sequence, tokens[:at] if keep else [])
        self.held[sequence] = (scope, tokens[:at])
        self._forget()

    def check(self) -> None:
        assert self.cache.running == len(self.running)
        assert self.cache.cells == self.model.cells_used() <= CELLS
        assert self.cache.kept + self.cache.running <= SEQUENCES
        for sequence, (_, tokens, at) in self.running.items():
            assert self.model.held(sequence) == tokens[:at]

    def _forget(self) -> None:
        """What was evicted has no cells any more, and is not found any more."""
        for sequence in list(self.held):
            if sequence not in self.running and not self.model.held(sequence):
                del self.held[sequence]


def walk(world: World, chance: Random, steps: int) -> None:
    for _ in range(steps):
        running = list(world.running)
        match chance.randrange(5):
            case 0 if len(running) < SLOTS:
                head = [chance.randrange(2)] * chance.randrange(0, 30)
                tokens = [*head, *(chance.randrange(2) for _ in range(chance.randrange(1, 12)))]
                world.begin(chance.choice("ab"), tokens, fresh=chance.random() < 0.2)
            case 1 if running:
                sequence = chance.choice(running)
                if not world.feed(sequence, chance.randrange(1, 30)):
                    world.end(sequence, keep=False)
            case 2 if running:
                world.hold(chance.choice(running))
            case 3 if running:
                world.end(chance.choice(running), keep=chance.random() < 0.8)
            case 4 if running:
                scope, tokens, at = world.running[sequence := chance.choice(running)]
                if len(tokens) < CELLS // SLOTS:
                    world.running[sequence] = (scope, [*tokens, chance.randrange(2)], at)
        world.check()


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_every_prefix_that_is_held_is_found_and_no_cell_is_lost(seed: int) -> None:
    world = World()
    walk(world, Random(seed), 120)
    for sequence in list(world.running):
        world.end(sequence, keep=True)
        world.check()
    world.cache.clear()
    assert (world.cache.cells, world.cache.running, world.cache.kept, world.model.cells_used()) == (0, 0, 0, 0)


def test_memory_that_cannot_be_cut_is_used_by_one_request_at_a_time() -> None:
    world = World(reuse=False)
    for _ in range(3):
        sequence = world.cache.begin("a", [1] * 20, fresh=False)
        assert sequence.length == 0
        world.cache.end(sequence.sequence, [])
    assert (world.cache.kept, world.cache.cells) == (0, 0)


def test_what_ended_requests_keep_has_a_bound_and_the_newest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "KEPT", 30)
    world = World()
    for token in range(4):
        sequence = world.begin("a", [token] * 20, fresh=False)
        assert world.feed(sequence, 20)
        world.end(sequence, keep=True)
    assert (world.cache.kept, world.cache.cells) == (1, 20)
    assert world.cache.begin("a", [3] * 20, fresh=False).length == 19


def test_only_what_is_in_cells_can_be_held() -> None:
    world = World()
    sequence = world.begin("a", [1] * 20, fresh=False)
    with pytest.raises(ValueError, match="0 tokens are in cells"):
        world.cache.hold(sequence, [1] * 20)
