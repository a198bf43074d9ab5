"""A minute of chaos, and that its checker sees what it is there for; `python -m tests.bench.chaos` runs for as long as asked.
Each run has a seed of its own, which a failure names and HIVE_CHAOS_SEED repeats."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from coordinator.queue import moves
from coordinator.queue.limits import LEASE
from coordinator.store import held, jobs
from coordinator.store.engine import Engine
from tests.bench.chaos import Plan, run, told
from tests.bench.chaos_checks import checked
from tests.bench.chaos_clients import Seen
from tests.bench.chaos_plant import unfenced
from tests.postgres.made import NOW, OTHER, WORKER, complete, lose, open_shop, result

SEED = int(os.environ.get("HIVE_CHAOS_SEED") or int.from_bytes(os.urandom(4)))
MINUTE = Plan(seconds=60, seed=SEED, workers=8, clients=5, quick=6, pause_s=1.0)
"""So few workers and clients that all others of the suite hardly notice."""


@pytest.mark.timeout(300)
async def test_nothing_is_lost_doubled_or_misplaced_in_a_minute_of_chaos(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    outcome = await run(MINUTE, tmp_path, database_url)
    print(told(MINUTE, outcome))
    assert outcome.wrong == [], f"HIVE_CHAOS_SEED={SEED}"
    assert outcome.counts["jobs completed"] > 5
    assert outcome.harms.total() > 20


_SAME = "day, job_id, worker, platform, resilience, quorum, state, created_at"
WRONGS = {
    "DELETE FROM jobs_ended": "is lost",
    "UPDATE jobs_ended SET state = 'failed', result = NULL": "its history says completed",
    "UPDATE jobs_ended SET result = 'of nobody'": "the result is 'of nobody'",
    "UPDATE job_events SET attempt = 2 WHERE event = 'start'": "start of attempt 2",
    "UPDATE job_events SET event = 'assign', attempt = 2 WHERE event = 'start'": "assign of attempt 2",
    "UPDATE attempts SET ended_at = NULL, outcome = NULL": "outlived the job",
    "UPDATE attempts SET worker_pk = 'another'": "was accepted, and",
    f"INSERT INTO payables (attempt, worker_pk, {_SAME}) SELECT 2, 'another', {_SAME} FROM payables": "paid for twice",
}


async def test_what_is_wrong_is_found(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned(WORKER, NOW)
    async with engine.begin() as conn:
        await jobs.start(conn, [(id_, 1, WORKER)], NOW)
        await complete(conn, [result(id_, 1)], NOW)
    seen = [Seen("streamed", str(id_), {0: "hello"}, whole=True, status=200)]
    acks = {WORKER: [(str(id_), 1, "accepted", "")]}
    async with engine.connect() as conn:
        assert (await checked(conn, seen, acks))[1] == []
        for wrong, name in WRONGS.items():
            savepoint = await conn.begin_nested()
            await conn.execute(text(wrong))
            found = (await checked(conn, seen, acks))[1]
            assert any(name in fault for fault in found), (wrong, found)
            await savepoint.rollback()
        await conn.rollback()


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_late_result_that_counts_is_caught(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, fenced: bool
) -> None:
    """The worker of a first attempt, taken for dead, signs while another makes the second, whose tokens a client reads."""
    if not fenced:
        for module, name in ((held, "RECALL"), (jobs, "START"), (jobs, "ASSIGN"), (moves, "_believed")):
            monkeypatch.setattr(module, name, getattr(module, name))  # as it is again afterwards
        unfenced()
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned(WORKER, NOW)
    async with engine.begin() as conn:
        await lose(conn, [(id_, 1, WORKER, "silent")], NOW)
    await shop.assigned(OTHER, NOW + LEASE)
    async with engine.begin() as conn:
        first = result(id_, 1, WORKER, text="of the first")
        second = result(id_, 2, OTHER, text="of the second")
        outcomes = [(await complete(conn, [one], NOW + LEASE))[0].verdict for one in (first, second)]
        seen = [Seen("streamed", str(id_), {0: "of the second"}, whole=True, status=200)]
        _, wrong = await checked(conn, seen, {WORKER: [(str(id_), 1, outcomes[0], "")]})
    if fenced:
        assert (outcomes, wrong) == (["late", "accepted"], [])
    else:
        assert outcomes[0] == "accepted"
        for fault in ("the result is 'of the first'", "attempt 1 of", "not owed for exactly once"):
            assert any(fault in one for one in wrong), (fault, wrong)
