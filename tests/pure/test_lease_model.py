"""Every walk of a small swarm through lease and hand-over, up to so many harms: what may never be, and what can always be
reached."""

from collections import defaultdict, deque
from collections.abc import Iterator

import pytest

from coordinator.queue import moves
from coordinator.queue.lifecycle import TERMINAL, State
from tests.bench.chaos_plant import any_attempt
from tests.pure.lease_model import World, first, steps

HARMS = 2


def explored(start: World) -> dict[World, tuple[World, str] | None]:
    """All worlds that can be reached, and by which step each was first."""
    found: dict[World, tuple[World, str] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        for name, then in steps(world):
            if then not in found:
                found[then] = (world, name)
                waiting.append(then)
    return found


def way(found: dict[World, tuple[World, str] | None], world: World) -> str:
    """How a world was reached, for the message of a failure."""
    names = []
    while (before := found[world]) is not None:
        world, name = before
        names.append(name)
    return " → ".join(reversed(names))


def wrongs(found: dict[World, tuple[World, str] | None]) -> Iterator[str]:
    for world, before in found.items():
        row = world.row
        if len(row.accepted) > 1:
            yield f"two results were accepted: {way(found, world)}"
        if row.accepted and before is not None and not before[0].row.accepted:
            held = before[0].row
            if row.accepted != ((held.attempt, held.worker),):
                yield f"a fenced attempt counts: {way(found, world)}"
        if world.reader == "whole" and row.result[: len(world.minds[0].ids)] != world.minds[0].ids:
            yield f"what was streamed is not how the result begins: {way(found, world)}"
        if world.reader == "made_anew" and row.attempt == 1:
            yield f"the only attempt is not what was streamed: {way(found, world)}"


def can_end(found: dict[World, tuple[World, str] | None]) -> set[World]:
    """The worlds from which an end of the job can be reached."""
    into: dict[World, list[World]] = defaultdict(list)
    for world in found:
        for _, then in steps(world):
            into[then].append(world)
    able = {world for world in found if world.row.state in TERMINAL}
    waiting = list(able)
    while waiting:
        for before in into[waiting.pop()]:
            if before not in able:
                able.add(before)
                waiting.append(before)
    return able


def test_one_harm_and_then_every_job_can_end() -> None:
    found = explored(first(1))
    assert list(wrongs(found)) == []
    stuck = found.keys() - can_end(found)
    assert [way(found, world) for world in stuck][:3] == []


@pytest.mark.timeout(240)
def test_two_harms_break_nothing() -> None:
    found = explored(first(2))
    assert list(wrongs(found)) == []
    assert {world.row.attempt for world in found} == {0, 1, 2, 3}
    assert {State.PENDING, State.ASSIGNED, State.COMPLETED} <= {world.row.state for world in found}
    assert {world.reader for world in found} == {"reads", "whole", "broken", "made_anew"}


def test_without_the_fence_the_model_finds_what_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "_believed", any_attempt)
    found = explored(first(1))
    assert any("a fenced attempt counts" in wrong for wrong in wrongs(found))
