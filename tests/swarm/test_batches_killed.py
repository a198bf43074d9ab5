"""A coordinator that dies, or is too slow, in the midst of a batch: no line is lost, none is done or told of twice."""

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.batch import rounds, turn
from coordinator.batch.recording import OvertakenError
from coordinator.batch.work import TURN, Work
from coordinator.store import batches
from coordinator.store.engine import Engine
from coordinator.submit.request import Submission
from tests.swarm.batching import chat
from tests.swarm.lane import KilledError, Lane, lane

BODIES = [chat("One?"), chat("Two?", temperature=7), chat("Three?", n=2), chat("Four?"), chat("Five?")]
GOOD = {"line-1", "line-3", "line-4", "line-5"}
EACH = 4
"""The tests of all words are so many, each with every fourth of them."""

JOBS = 5
"""Line 3 is two of them, line 2 is none."""


async def die_at(made: Lane, word: int) -> bool:
    """One batch from its start to its end by a coordinator that dies at its nth word; whether it came to that."""
    before = await made.jobs()
    batch = await made.begin(BODIES)
    made.death.left = word
    died = False
    for _ in range(100):
        try:
            await made.rounds()
        except KilledError:
            died = True
            made.wait(TURN + timedelta(seconds=1))
        if (await made.now(batch)).ended_at is not None:
            break
        await made.worked()
        made.wait(timedelta(seconds=1))
    made.death.left = None
    found = await made.now(batch)
    assert (found.status, found.total, found.completed, found.failed) == ("completed", 5, 4, 1)
    assert await made.jobs() - before == JOBS
    assert set(await made.lines(found.output_file)) == GOOD
    assert set(await made.lines(found.error_file)) == {"line-2"}
    assert (found.tokens_in, found.tokens_out) == (40, 15)
    assert await made.untold(batch) == 0
    return died


@pytest.mark.parametrize("first", range(EACH))
async def test_whoever_is_killed_at_any_word_loses_nothing_and_does_nothing_twice(
    engine: Engine, database_url: str, tmp_path: Path, first: int
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        words = first
        while await die_at(made, words):
            words += EACH
        assert words > 40, "it died at each of them"


async def cancelled_at(made: Lane, word: int) -> bool:
    """The same for a batch that is cancelled while some of it is done, some runs and some was not begun."""
    batch = await made.begin([chat(f"{n}?") for n in range(4)])
    await made.rounds()
    await made.worked(most=1)
    async with made.engine.begin() as conn:
        assert await batches.cancel(conn, made.key.account_id, batch.id, made.hive.clock())
    made.death.left = word
    died = False
    for _ in range(20):
        try:
            await made.rounds()
        except KilledError:
            died = True
            made.wait(TURN)
        if (await made.now(batch)).ended_at is not None:
            break
        await made.worked()
        made.wait(timedelta(seconds=1))
    made.death.left = None
    found = await made.now(batch)
    assert (found.status, found.completed + found.failed) == ("cancelled", 4)
    done, left = await made.lines(found.output_file), await made.lines(found.error_file)
    assert {*done, *left} == {"line-1", "line-2", "line-3", "line-4"}
    assert not {*done} & {*left}
    return died


@pytest.mark.parametrize("first", range(EACH))
async def test_the_same_for_one_that_is_cancelled(
    engine: Engine, database_url: str, tmp_path: Path, first: int
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        words = first
        while await cancelled_at(made, words):
            words += EACH
        assert words > 10, "it died at each of them"


@pytest.mark.parametrize("status", ["in_progress", "cancelling"])
async def test_of_two_that_go_on_with_a_batch_at_once_one_is_believed(
    engine: Engine, database_url: str, tmp_path: Path, status: str
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat(f"{n}?") for n in range(40)])
        for _ in range(8):
            claims = []
            for _ in range(2):
                made.wait(TURN + timedelta(seconds=1))
                now = made.hive.clock()
                async with made.engine.begin() as conn:
                    claims += [Work(made.face, one, now) for one in await batches.claim(conn, now, now + TURN, 1)]

            async def taken(work: Work) -> None:
                with contextlib.suppress(OvertakenError):
                    await turn.take(work)

            await asyncio.gather(*map(taken, claims))
            if status == "cancelling":
                async with made.engine.begin() as conn:
                    await batches.cancel(conn, made.key.account_id, batch.id, made.hive.clock())
            else:
                await made.worked(most=15)
        found = await made.finished(batch)
        told = {**await made.lines(found.output_file), **await made.lines(found.error_file)}
        assert len(told) == found.completed + found.failed == 40
        assert await made.jobs() <= 40


async def test_a_line_that_somebody_slow_is_about_to_ask_is_not_asked_once_it_is_told_of(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat()])
        await rounds.one_round(made.face)
        admit, begun, go_on = made.face.admit_with, asyncio.Event(), asyncio.Event()

        async def slow(header: str | None, asked: Submission) -> None:
            begun.set()
            await go_on.wait()
            await admit(header, asked)

        monkeypatch.setattr(made.face, "admit_with", slow)
        dawdling = asyncio.create_task(rounds.one_round(made.face))
        await asyncio.wait_for(begun.wait(), 10)
        async with made.engine.begin() as conn:
            assert await batches.cancel(conn, made.key.account_id, batch.id, made.hive.clock())
        await made.rounds()
        assert (await made.now(batch)).status == "cancelled"
        go_on.set()
        assert await dawdling
        assert await made.jobs() == 0
        found = await made.now(batch)
        assert (found.completed, found.failed, set(await made.lines(found.error_file))) == (0, 1, {"line-1"})
