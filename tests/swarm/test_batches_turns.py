"""Whose turn it is at a batch: that of whoever works on it for as long as it lives, and soon another's once it is dead."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.batch import rounds, turn as turns
from coordinator.batch.recording import OvertakenError
from coordinator.batch.work import TURN, Work
from coordinator.store import batches
from coordinator.store.engine import Engine, alone
from tests.support_wait import eventually
from tests.swarm.batching import chat
from tests.swarm.lane import lane

SECOND = timedelta(seconds=1)


async def test_a_turn_that_takes_long_is_kept(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, took = asyncio.Event(), asyncio.Event(), turns.take

    async def slow(work: Work) -> None:
        begun.set()
        await go.wait()
        await took(work)

    monkeypatch.setattr(turns, "take", slow)
    monkeypatch.setattr(rounds, "KEEP_S", 0.01)
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat()])
        turn = asyncio.create_task(rounds.one_round(made.face))
        await begun.wait()
        for _ in range(3):
            made.wait(TURN - SECOND)

            async def kept() -> bool:
                due = (await made.now(batch)).due_at
                return due is not None and due > made.hive.clock() + TURN - SECOND

            await eventually(kept, 20, "the turn prolonged")
            assert not await rounds.one_round(made.face), "nobody else has a turn meanwhile"
        go.set()
        assert await turn
        assert (await made.finished(batch)).completed == 1


async def test_a_turn_that_is_over_is_not_prolonged(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat()])
        now = made.hive.clock()
        async with alone(engine) as conn:
            (claimed,) = await batches.claim(conn, now, now + TURN, 1)
            work = Work(made.face, claimed, now)
            await batches.rest(conn, claimed, now + SECOND, now, None)
        with pytest.raises(OvertakenError):
            await work.renew()
        assert (await made.now(batch)).due_at == now + SECOND


async def test_a_batch_of_a_coordinator_that_died_goes_on_within_seconds(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat()])
        now = made.hive.clock()
        async with alone(engine) as conn:
            assert await batches.claim(conn, now, now + TURN, 1)
        assert not await rounds.one_round(made.face)
        made.wait(timedelta(seconds=5))
        assert (await made.finished(batch)).completed == 1
