"""The guard's rounds: what it tells the worker when it rests, cuts, lets models go and wakes them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from worker.comfort.guard import Guard
from worker.comfort.usage import Usage, keep_usage, read_usage
from worker.comfort.verdict import Machine
from worker.settings import settings

NOON = datetime(2025, 11, 24, 12, 0, tzinfo=UTC)
CALM = Machine(on_battery=False, metered=False)


class Worker:
    """Writes down what the guard asks of it."""

    def __init__(self, home: Path, **flags: Any) -> None:
        self.said: list[str] = []
        self.now, self.machine, self.bytes = NOON, CALM, (0, 0)
        self.looked: list[tuple[list[int], int, int]] = []
        chosen = settings(home, {}, {"cell": "871e8052affffff", **flags})
        self.guard = Guard(home, chosen, self, lambda: self.now, self._look)

    def _look(self, engines: list[int], sent: int, received: int) -> Machine:
        self.looked.append((engines, sent, received))
        return msgspec.structs.replace(self.machine, sent=sent, received=received)

    async def after(self, seconds: float, **found: Any) -> list[str]:
        """A round so much later, on such a machine: what the guard asked for."""
        self.now += timedelta(seconds=seconds)
        self.machine = msgspec.structs.replace(CALM, **found)
        self.said = []
        await self.guard.one_round()
        return self.said

    def rests(self) -> None:
        self.said.append(f"rests: {self.guard.rest}")

    def cut(self, reason: str) -> None:
        self.said.append(f"cut: {reason}")

    def park(self, away: bool) -> None:
        self.said.append("park" if away else "wake")

    def engines(self) -> list[int]:
        return []

    def traffic(self) -> tuple[int, int]:
        return self.bytes


async def test_a_game_has_a_grace_then_cuts_and_later_the_models_go(tmp_path: Path) -> None:
    worker = Worker(tmp_path, **{"when.grace": 10, "when.unload_after": 60})
    game = {"programs": ("cs2",)}
    assert await worker.after(0) == []
    assert await worker.after(10, **game) == ["rests: cs2 is running"]
    assert await worker.after(9, **game) == []
    assert await worker.after(1, **game) == ["cut: cs2 is running"]
    assert await worker.after(50, **game) == ["cut: cs2 is running", "park"]
    assert await worker.after(10, **game) == ["cut: cs2 is running"]
    assert "rests: None" not in await worker.after(10)
    assert await worker.after(30) == ["rests: None", "wake"]
    assert await worker.after(10) == []


async def test_what_is_not_urgent_cuts_nothing(tmp_path: Path) -> None:
    worker = Worker(tmp_path, **{"when.quiet_hours": ["12:01-13:00"], "when.unload_after": 0})
    assert await worker.after(0) == []
    assert await worker.after(60) == ["rests: these are quiet hours (12:01-13:00)"]
    assert await worker.after(2940) == []
    assert await worker.after(600) == ["rests: None"]


async def test_models_that_are_too_large_leave_once_nobody_is_served(tmp_path: Path) -> None:
    worker = Worker(tmp_path, **{"limits.memory": 10, "when.grace": 0})
    said = await worker.after(0, engine_bytes=11)
    assert said[1:] == ["cut: the models hold 11 B (the limit is 10 B)", "park"]
    assert await worker.after(599, engine_bytes=0) == ["cut: the models hold 11 B (the limit is 10 B)"]
    assert await worker.after(1, engine_bytes=0) == ["rests: None", "wake"]


async def test_the_days_bytes_count_over_restarts_and_end_at_midnight(tmp_path: Path) -> None:
    flags = {"limits.upload_per_day": 100}
    worker = Worker(tmp_path, **flags)
    worker.bytes = (60, 5)
    assert await worker.after(0) == []
    worker.bytes = (90, 5)
    assert await worker.after(300) == []
    assert read_usage(tmp_path) == Usage("2025-11-24", 90, 5)
    again = Worker(tmp_path, **flags)
    again.now = worker.now
    again.bytes = (10, 0)
    assert await again.after(10) == ["rests: today's 100 B are sent"]
    assert again.looked[-1] == ([], 100, 5)
    again.bytes = (11, 0)
    assert await again.after(12 * 3600) == ["rests: None"]
    assert again.guard.usage == Usage("2025-11-25", 1, 0)


async def test_a_pause_is_at_once_and_ends_by_itself(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.guard.pause(int((NOON + timedelta(minutes=5)).timestamp() * 1000))
    assert (worker.said, worker.guard.asked) == (["rests: you paused it until 12:05"], True)
    assert Worker(tmp_path).guard.rest == "you paused it until 12:05"
    assert await worker.after(299) == []
    assert await worker.after(1) == ["rests: None"]
    assert not worker.guard.asked
    assert Worker(tmp_path).guard.rest is None


async def test_what_cannot_be_told_is_named(tmp_path: Path) -> None:
    worker = Worker(tmp_path, **{"when.idle_only": True})
    await worker.after(0)
    assert [rule.partition(":")[0] for rule in worker.guard.unchecked] == ["when.idle_only"]


def test_a_damaged_usage_is_none(tmp_path: Path) -> None:
    keep_usage(tmp_path, Usage("2025-11-24", 1, 2))
    assert read_usage(tmp_path) == Usage("2025-11-24", 1, 2)
    (tmp_path / "usage.json").write_bytes(b"{")
    assert read_usage(tmp_path) == Usage()
