"""A database of the first version, with jobs, partitions and payouts in it, is brought up to date and loses nothing."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import Connection as SyncConnection, make_url
from sqlalchemy.exc import IntegrityError

import migrations
from coordinator.queue import moves
from coordinator.store import earnings, kinds
from coordinator.store.earnings import Sums
from coordinator.store.engine import Engine, connect
from coordinator.store.migrate import migrate
from coordinator.store.partitions import make_partitions
from coordinator.store.rows import Ask, KindSpec
from tests.postgres.made import OTHER, WORKER

TODAY = datetime.now(UTC).date()
OLD = f"""
    INSERT INTO kinds (model, region, strict, min_tier, min_evidence, context) VALUES ('m', '', false, 0, 0, 256);
    INSERT INTO payout_channels (account, seq) VALUES ('G', 1);
    INSERT INTO payout_batches (channel, seq, state, memo_root, total, created_at, tx_hash)
        VALUES ('G', 2, 'paid', '', 1, now(), 'ab');
    INSERT INTO payables (day, job_id, attempt, worker_pk, worker, platform, resilience, quorum, state, batch_id, created_at)
        SELECT date '{TODAY}', CAST(lpad(n::text, 32, '0') AS uuid), 1, CASE n WHEN 9 THEN '{OTHER}' ELSE '{WORKER}' END, n,
            0, 0, 0, state, CASE WHEN state = 'paid' THEN 1 END, now()
        FROM (VALUES (1, 'accrued'), (2, 'accrued'), (4, 'ready'), (9, 'ready'), (16, 'paid'), (32, 'held')) p(n, state);
    INSERT INTO jobs_ended (day, id, account_id, key_id, kind_id, model, source, priority, state, attempt, lost, tokens_in,
        max_tokens, hold, seed, salt, store, created_at, deadline_at, ended_at, worker_pk, tokens_out, cost)
        SELECT day, job_id, job_id, job_id, 1, 'm', 'hive', 'batch', 'completed', 1, 0, 10, 9, 99, '', '', false, now(), now(),
            '{TODAY} 12:00Z', worker_pk, 5, worker FROM payables"""


def first_version(conn: SyncConnection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = conn
    command.upgrade(config, "0001")


@pytest.fixture
async def old(postgres_server: str) -> AsyncIterator[Engine]:
    """A database of the first version that a coordinator has worked with."""
    name = f"hive_old_{os.getpid()}"
    server = connect(postgres_server).execution_options(isolation_level="AUTOCOMMIT")
    async with server.connect() as conn:
        await conn.execute(text(f"CREATE DATABASE {name}"))
    engine = connect(make_url(postgres_server).set(database=name).render_as_string(hide_password=False))
    async with engine.begin() as conn:
        await conn.run_sync(first_version)
        await make_partitions(conn, TODAY)
        for part in OLD.split(";"):
            await conn.execute(text(part))
    yield engine
    await engine.dispose()
    async with server.connect() as conn:
        await conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await server.dispose()


async def test_what_was_earned_before_is_summed_up_and_goes_on(old: Engine) -> None:
    await migrate(old.url.render_as_string(hide_password=False))
    async with old.begin() as conn:
        found = await earnings.sums(conn, [WORKER, OTHER], TODAY)
        assert found[WORKER] == Sums(worker_pk=WORKER, today=55, held=35, pending=4, paid=16)
        assert found[OTHER] == Sums(worker_pk=OTHER, today=9, pending=9)
        (day,) = await earnings.days(conn, WORKER, TODAY)
        assert (day.jobs, day.tokens_in, day.tokens_out) == (5, 50, 25)
        await conn.execute(text("UPDATE payables SET state = 'ready' WHERE state = 'accrued'"))
        assert (await earnings.sums(conn, [WORKER], TODAY))[WORKER].pending == 7


async def test_old_partitions_keep_to_the_new_rules(old: Engine) -> None:
    await migrate(old.url.render_as_string(hide_password=False))
    credit = text("INSERT INTO journal VALUES (current_date, gen_random_uuid(), 'credit', '{a,b}', '{1,-1}', now())")
    async with old.begin() as conn:
        await conn.execute(credit)
    async with old.connect() as conn:
        with pytest.raises(IntegrityError, match="payables_credited"):
            await conn.execute(text("UPDATE payables SET credited = 1 WHERE worker = 4"))


async def test_a_coordinator_of_the_first_version_goes_on_interning_its_kinds(old: Engine) -> None:
    await migrate(old.url.render_as_string(hide_password=False))
    intern = text("""
        INSERT INTO kinds (model, region, countries, cell, strict, min_tier, min_evidence, context)
        VALUES ('m', '', NULL, NULL, false, 0, 0, 256) ON CONFLICT ON CONSTRAINT kinds_one_each
        DO UPDATE SET model = excluded.model RETURNING id""")
    async with old.begin() as conn:
        assert [await conn.scalar(intern) for _ in range(2)] == [1, 1]


async def test_kinds_go_on_beyond_32_bits(old: Engine) -> None:
    await migrate(old.url.render_as_string(hide_password=False))
    beyond = 2**31 + 5
    async with old.begin() as conn:
        await conn.execute(text(f"ALTER TABLE kinds ALTER COLUMN id RESTART WITH {beyond}"))
        kind = await kinds.intern(conn, KindSpec(model="m", context=512))
        await conn.execute(text("UPDATE jobs_ended SET kind_id = :kind"), {"kind": kind.id})
        assert kind.id == beyond
        assert await moves.claim(conn, [Ask(kind_id=kind.id, limit=3)], datetime.now(UTC)) == []
        assert [found.id for found in await kinds.read(conn, [kind.id])] == [beyond]
