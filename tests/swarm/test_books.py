"""The check that runs after every crash test sees what is wrong: each of these makes one thing wrong."""

import pytest
from sqlalchemy import text

from tests.support_books import faults_in
from tests.swarm.whole import Json, Swarm

JOB: Json = {"model_id": "hive-nano", "prompt": "What is the capital of Italy?", "max_tokens": 20, "jurisdiction": "EU"}

WRONGS = {
    "ALTER TABLE journal DROP CONSTRAINT journal_balanced; UPDATE journal SET amounts[1] = amounts[1] + 1": "sum to zero",
    "UPDATE spend SET held = held + 1": "hold is not",
    "UPDATE spend SET credit = credit + 1": "balance is not",
    "UPDATE spend SET spent = spent + 1": "spent is not",
    "DELETE FROM journal WHERE kind = 'settle'": "not settled exactly once",
    "DELETE FROM jobs_ended": "settled that has not ended",
    "DELETE FROM payables": "not owed for exactly once",
    "UPDATE payables SET worker_pk = 'another'": "not owed for exactly once",
    "UPDATE payables SET worker = worker + 1": "not owed for exactly once",
    "DELETE FROM receipts": "not exactly one receipt",
    "UPDATE attempts SET outcome = 'lose'": "not exactly one receipt",
    "UPDATE attempts SET ended_at = NULL": "attempts are not 1, 2, 3",
    "UPDATE kinds SET min_tier = 4": "too low a tier",
    "UPDATE kinds SET countries = '{US}'": "went to a worker in",
    "UPDATE kinds SET cell = 608819013513904127, strict = true": "went to a worker in",
}


@pytest.fixture
async def done(swarm: Swarm) -> Swarm:
    """A swarm that has completed one job."""
    async with swarm.client() as http:
        made = (await http.post("/hive/jobs", json=JOB)).raise_for_status().json()
        assert (await swarm.ended(http, made["job_id"]))["status"] == "completed"
    return swarm


async def test_what_is_wrong_is_found(done: Swarm) -> None:
    async with done.hive.engine.connect() as conn:
        assert await faults_in(conn) == []
        for wrong, name in WRONGS.items():
            savepoint = await conn.begin_nested()
            for statement in wrong.split("; "):
                await conn.execute(text(statement))
            assert any(name in fault for fault in await faults_in(conn)), wrong
            await savepoint.rollback()
        await conn.rollback()
