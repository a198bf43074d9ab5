"""A batch that cannot go on at once: limits, money, workers, its window, its key."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from coordinator.batch import work
from coordinator.batch.feeding import IN_FLIGHT
from coordinator.queue import moves, sweep
from coordinator.store import accounts, batches
from coordinator.store.batch_lines import LineRow
from coordinator.store.engine import Engine
from coordinator.submit.request import Submission
from tests.swarm.batching import Json, chat, jsonl
from tests.swarm.lane import Lane, lane

MINUTE = timedelta(minutes=1)


def codes(told: dict[str, Json]) -> set[str]:
    """Why these lines have failed."""
    return {(one["error"] or one["response"]["body"]["error"])["code"] for one in told.values()}


async def test_no_more_than_so_many_lines_are_in_the_queue(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat(f"{n}") for n in range(IN_FLIGHT * 2)])
        await made.rounds()
        made.wait(MINUTE)
        await made.rounds()
        assert await made.jobs() == await made.untold(batch) == IN_FLIGHT
        await made.worked(most=100)
        made.wait(MINUTE)
        await made.rounds()
        made.wait(MINUTE)
        await made.rounds()
        assert (await made.untold(batch), await made.jobs()) == (IN_FLIGHT, IN_FLIGHT + 100)
        found = await made.finished(batch)
        assert (found.status, found.completed) == ("completed", IN_FLIGHT * 2)


async def test_limits_of_the_key_are_waited_for(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with lane(engine, database_url, tmp_path, plan=None, rpm=10) as made:
        batch = await made.begin([chat(f"{n}") for n in range(25)])
        await made.rounds()
        assert await made.jobs() == 10
        found = await made.finished(batch)
        assert (found.status, found.completed, found.failed) == ("completed", 25, 0)


async def test_a_batch_that_waits_for_a_limit_can_be_cancelled_at_once(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path, plan="free") as made:
        batch = await made.begin([chat(f"{n}") for n in range(60)])
        await made.rounds()
        assert await made.jobs() == 50, "a day's"
        now = made.hive.clock()
        async with engine.begin() as conn:
            (claimed,) = await batches.claim(conn, now + MINUTE, now + MINUTE, 1)
            assert await batches.cancel(conn, made.key.account_id, batch.id, now)
            assert not await batches.renew(conn, claimed, now + 60 * MINUTE)
            await batches.rest(conn, claimed, now + 60 * MINUTE, now + 60 * MINUTE, None)
        await made.rounds()
        found = await made.now(batch)
        assert (found.status, found.completed + found.failed) == ("cancelled", 60)


async def test_empty_lines_are_none(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        first, second = jsonl([chat("One?"), chat("Two?")]).splitlines()
        found = await made.finished(await made.begin(first + b"\r\n" * 3 * IN_FLIGHT + b"\n \n" + second))
        assert (found.status, found.total, found.completed) == ("completed", 2, 2)


async def test_lines_that_are_large_are_not_in_memory_together(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "GROUP_BYTES", 2000)
    async with lane(engine, database_url, tmp_path) as made:
        lengths = [10, 900, 1900, 10, 3000, 10, 10]
        found = await made.finished(await made.begin([chat("x" * length) for length in lengths]))
        assert (found.status, found.completed) == ("completed", len(lengths))
    sizes = [LineRow(line=n, custom_id="", size=size, job_id=None) for n, size in enumerate(lengths)]
    parts = [[line.size for line in part] for part in work.by_size(sizes)]
    assert parts == [[10, 900], [1900, 10], [3000], [10, 10]]


async def spend(made: Lane, left: int) -> None:
    """Leaves the account with so many stroops."""
    async with made.engine.begin() as conn:
        changed = text("UPDATE spend SET spent = credit - held - :left WHERE account_id = :account")
        await conn.execute(changed, {"left": left, "account": made.key.account_id})


async def test_money_that_is_held_by_the_batch_itself_is_waited_for(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        await spend(made, left=30_000)  # three times the least that a job may cost
        batch = await made.begin([chat(f"{n}", max_tokens=5) for n in range(12)])
        await made.rounds()
        assert 0 < await made.jobs() < 12
        found = await made.finished(batch)  # the workers of this test ask for nothing
        assert (found.status, found.completed, found.failed) == ("completed", 12, 0)


async def test_money_that_is_not_there_is_waited_for_a_while_and_then_lines_fail(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        await spend(made, left=0)
        batch = await made.begin([chat(f"{n}") for n in range(40)])
        await made.rounds()
        made.wait(9 * MINUTE)
        await made.rounds()
        assert (await made.now(batch)).failed == 0
        made.wait(2 * MINUTE)
        await made.rounds()
        found = await made.finished(batch)
        assert (found.status, found.completed, found.failed) == ("completed", 0, 40)
        assert codes(await made.lines(found.error_file)) == {"insufficient_balance"}
        assert await made.jobs() == 0


async def test_money_that_comes_back_in_time_is_enough(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        await spend(made, left=0)
        batch = await made.begin([chat(f"{n}") for n in range(40)])
        await made.rounds()
        made.wait(9 * MINUTE)
        await spend(made, left=100_000_000)
        found = await made.finished(batch)
        assert (found.status, found.completed, found.short_since) == ("completed", 40, None)


async def test_workers_are_waited_for_in_the_same_way(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        headers = msgspec.json.encode({"x-hive-jurisdiction": "FR"})
        batch = await made.begin([chat()], headers=headers)
        await made.rounds()
        assert await made.untold(batch) == 1
        made.wait(11 * MINUTE)
        found = await made.finished(batch)
        told = await made.lines(found.error_file)
        assert codes(told) == {"no_workers"}
        assert told["line-1"]["response"]["status_code"] == 503


async def test_what_is_not_done_within_the_window_is_told_of_as_expired(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat(f"{n}") for n in range(IN_FLIGHT + 50)])
        await made.rounds()
        await made.worked(most=3)
        made.wait(timedelta(hours=24, seconds=1))
        found = await made.finished(batch)
        assert (found.status, found.completed, found.failed) == ("expired", 3, IN_FLIGHT + 47)
        told = await made.lines(found.error_file)
        assert codes(told) == {"batch_expired"}
        assert all(one["response"] is None for one in told.values())
        assert await made.jobs() == IN_FLIGHT, "what was not begun by then never is"


async def test_lines_whose_jobs_are_timed_out_at_the_windows_end_are_told_of_as_expired_too(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat(f"{n}") for n in range(3)])
        await made.rounds()
        made.wait(timedelta(hours=24, seconds=1))
        assert (await sweep.one_round(engine, made.hive.clock())).expired == 3
        with capture_logs() as said:
            found = await made.finished(batch)
        (line,) = [line for line in said if line["event"] == "a batch ended"]
        assert (line["id"], line["state"], line["lines"]) == (str(batch.id), "expired", 3)
        assert (found.status, found.failed) == ("expired", 3)
        assert codes(await made.lines(found.error_file)) == {"batch_expired"}


async def test_a_file_that_is_not_looked_at_within_the_window(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat()])
        made.wait(timedelta(hours=25))
        found = await made.finished(batch)
        assert (found.status, found.total, found.output_file, found.error_file) == ("expired", 0, None, None)


async def test_a_key_that_is_revoked_asks_for_nothing_more(engine: Engine, database_url: str, tmp_path: Path) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat(f"{n}") for n in range(IN_FLIGHT + 5)])
        await made.rounds()
        async with engine.begin() as conn:
            await accounts.revoke_key(conn, made.key.id, made.hive.clock())
        found = await made.finished(batch)
        assert (found.status, found.completed, found.failed) == ("completed", IN_FLIGHT, 5)
        assert codes(await made.lines(found.error_file)) == {"invalid_api_key"}


async def test_a_line_that_is_our_own_fault_does_not_stop_the_others(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        admit = made.face.admit_with

        async def failing(header: str | None, asked: Submission) -> None:
            assert asked.seed != "13", "a bug"
            await admit(header, asked)

        monkeypatch.setattr(made.face, "admit_with", failing)
        found = await made.finished(await made.begin([chat(seed=seed) for seed in (12, 13, 14)]))
        assert (found.status, found.completed, found.failed) == ("completed", 2, 1)
        assert codes(await made.lines(found.error_file)) == {"internal_error"}


async def test_results_that_are_no_longer_kept_and_jobs_that_fail(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    async with lane(engine, database_url, tmp_path) as made:
        batch = await made.begin([chat(f"{n}") for n in range(3)])
        await made.rounds()
        async with engine.begin() as conn:
            job = await conn.scalar(text("SELECT job_id FROM batch_lines WHERE line = 1"))
            await moves.cancel(conn, job, "an operator's word", made.hive.clock())
        await made.worked(most=1)
        async with engine.begin() as conn:
            await conn.execute(
                text("UPDATE jobs_ended SET request = NULL, result = NULL, result_ids = NULL, purge_at = NULL")
            )
        found = await made.finished(batch)
        assert (found.completed, found.failed) == (1, 2)
        assert codes(await made.lines(found.error_file)) == {"job_failed", "result_expired"}
