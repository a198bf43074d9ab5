"""What tests of the store start from: an account with credit, a kind, jobs, results."""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import text

from coordinator.queue import moves
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import LEASE
from coordinator.queue.moves import Reports
from coordinator.settle import ledger
from coordinator.store import accounts, jobs, kinds
from coordinator.store.callers import AccountRow
from coordinator.store.engine import Connection, Engine
from coordinator.store.rows import Ask, Assignment, Claimed, Kind, KindSpec, NewJob, Outcome, Result
from coordinator.submit.writer import Writer
from shared.ids import new_job_id
from shared.receipt import Receipt

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
WORKER = "ab" * 32
OTHER = "cd" * 32
HOLD = 1_000_000


FORGET = """
    SELECT pg_clear_relation_stats('public', CAST(relname AS text)) FROM pg_class
    WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"""
"""What a vacuum between other tests has left: of a table known to be tiny all may be read."""


class Shop(msgspec.Struct, frozen=True):
    """An account with credit, its key, and a kind of job."""

    engine: Engine
    account: UUID
    key: UUID
    kind: Kind

    def job(self, now: datetime = NOW, **different: Any) -> NewJob:
        """A job of this account."""
        usual = NewJob(
            id=new_job_id(now, secrets.token_bytes(16)), account_id=self.account, key_id=self.key,
            kind_id=self.kind.id, model=self.kind.model, source="hive", priority="interactive", request=b'{"a": 1}',
            tokens_in=10, max_tokens=100, hold=HOLD, reward=None, seed="7", salt="00" * 32,
            deadline_at=now + timedelta(hours=24), created_at=now, store=False, attached=False, idempotency_key=None,
            body_hash="00",
        )  # fmt: skip
        return msgspec.structs.replace(usual, **different)

    async def submit(self, *jobs: NewJob) -> list[UUID]:
        """Submits jobs in order, as one group."""
        return await submit_all(Writer(self.engine), jobs)

    async def claimed(self, most: int = 100, now: datetime = NOW) -> list[Claimed]:
        """The jobs of this kind that can be claimed now, without keeping the claim."""
        async with self.engine.connect() as conn:
            return await moves.claim(conn, [Ask(kind_id=self.kind.id, limit=most)], now)

    async def assigned(self, worker: str = WORKER, now: datetime = NOW, most: int = 100) -> list[Claimed]:
        """Claims jobs of this kind and gives them to `worker`; returns them with the new attempt number."""
        async with self.engine.begin() as conn:
            rows = await moves.claim(conn, [Ask(kind_id=self.kind.id, limit=most)], now)
            got = await assign_all(conn, rows, worker, now)
        return [msgspec.structs.replace(row, attempt=row.attempt + 1) for row in rows if row.id in got]


async def submit_all(writer: Writer, jobs: Iterable[NewJob]) -> list[UUID]:
    """Submits jobs together and writes them round by round until all are answered; raises the first refusal."""
    tasks = [asyncio.ensure_future(writer.submit(job)) for job in jobs]
    await asyncio.sleep(0)
    while not all(task.done() for task in tasks):
        await writer.one_round()
        await asyncio.sleep(0)
    return list(await asyncio.gather(*tasks))


async def assign_all(conn: Connection, rows: list[Claimed], worker: str, now: datetime) -> set[UUID]:
    """Gives claimed jobs to `worker`."""
    given = [
        Assignment(id=r.id, attempt_before=r.attempt, worker_pk=worker, cell="841e805ffffffff", price=1) for r in rows
    ]
    return await moves.assign(conn, given, coordinator="c1", now=now, lease_until=now + LEASE)


async def open_shop(engine: Engine, credit: int = 1000 * HOLD, budget: int | None = None) -> Shop:
    """A new account with `credit` stroops."""
    account, key = uuid4(), uuid4()
    async with engine.begin() as conn:
        await accounts.create_account(conn, account, "shop", NOW)
        await accounts.create_key(
            conn, key, account, name="k", secret_hash=key.hex, prefix="hive_k", now=NOW, budget=budget
        )
        await accounts.grant(conn, account, credit, uuid4(), NOW)
        kind = await kinds.intern(conn, KindSpec(model=f"m-{account}", context=2048))
    return Shop(engine, account, key, kind)


def result(id_: UUID, attempt: int, worker: str = WORKER, **different: Any) -> Result:
    """A result of one attempt that costs 40 % of the usual hold."""
    receipt = Receipt(
        version=1, job_id=str(id_), attempt=attempt, model_digest="0" * 64, engine_build="b", sampler="hive-sampler-1",
        seed_commitment="0" * 64, prompt_hash="0" * 64, result_hash="0" * 64, chain_head="0" * 64, tokens_in=10,
        tokens_out=3, finish_reason="stop", started_at=1, finished_at=2, cell="841e805ffffffff", jurisdictions=["IT"],
        evidence="claimed", verifiability="seeded", geo_digest="0" * 64, worker_pk=worker,
    )  # fmt: skip
    usual = Result(
        id=id_, attempt=attempt, worker_pk=worker, text="hello", ids=[1, 2, 3], tokens_in=10, tokens_out=3,
        finish_reason="stop", tokens_per_second=30.5, receipt=receipt, worker_signature="1" * 128,
        coordinator_signature="2" * 128, coordinator_pk="3" * 64, cost=HOLD * 4 // 10, share=(3, 3),
    )  # fmt: skip
    return msgspec.structs.replace(usual, **different)


async def complete(conn: Connection, results: Sequence[Result], now: datetime) -> list[Outcome]:
    """These results came; one outcome for each."""
    return (await moves.apply(conn, Reports(finished=results), now)).outcomes


async def lose(conn: Connection, held: Sequence[moves.Told], now: datetime) -> list[tuple[UUID, State]]:
    """The workers of these attempts went away; the new states of their jobs."""
    return list((await moves.apply(conn, Reports(lost=held), now)).states.items())


async def decline(conn: Connection, held: Sequence[moves.Told], now: datetime) -> set[UUID]:
    """These offers were not accepted; the jobs that wait again."""
    return set((await moves.apply(conn, Reports(declined=held), now)).states)


async def fail(conn: Connection, held: Sequence[tuple[UUID, int, str, str, str]], now: datetime) -> set[UUID]:
    """These attempts failed for good; the jobs that ended."""
    return set((await moves.apply(conn, Reports(failed=held), now)).states)


async def expire(conn: Connection, ids: Iterable[UUID], now: datetime) -> set[UUID]:
    """The time of these jobs is over; those that had not ended."""
    live = await jobs.lock(conn, ids)
    await moves.repair(conn, list(live.values()), [], [], now)
    return set(live)


async def set_state(conn: Connection, pk: str, state: str) -> int:
    """A person's word on a worker's standing; how many workers it was about."""
    said = text("UPDATE workers SET state = :state WHERE pk = :pk")
    return (await conn.execute(said, {"state": state, "pk": pk})).rowcount


async def books(shop: Shop) -> dict[str, int]:
    """The folded journal: the sum of every ledger account."""
    async with shop.engine.connect() as conn:
        rows = await conn.execute(
            text("""
            SELECT leg.account, sum(leg.amount) AS total FROM journal,
                unnest(accounts, amounts) AS leg(account, amount) GROUP BY leg.account""")
        )
        return {row.account: int(row.total) for row in rows}


async def check_books(shop: Shop) -> AccountRow:
    """Asserts that the journal sums to zero and says of the shop what its guarded rows and its live jobs say."""
    folded = await books(shop)
    async with shop.engine.connect() as conn:
        account = await accounts.get_account(conn, shop.account)
        live = text("SELECT coalesce(sum(hold), 0) FROM jobs WHERE account_id = :a")
        ended = text("SELECT coalesce(sum(cost), 0) FROM jobs_ended WHERE account_id = :a")
        of_key = text("SELECT held, spent FROM key_spend WHERE key_id = :k")
        owed = text("SELECT coalesce(sum(worker), 0) FROM payables")
        held, spent = await conn.scalar(live, {"a": shop.account}), await conn.scalar(ended, {"a": shop.account})
        by_key = (await conn.execute(of_key, {"k": shop.key})).one()
        earned = await conn.scalar(owed)
    assert account is not None
    assert sum(folded.values()) == 0
    assert (account.held, account.spent) == (held, spent) == tuple(by_key)
    assert folded.get(ledger.hold_of(shop.account), 0) == held
    assert folded[ledger.balance_of(shop.account)] == account.credit - account.held - account.spent
    assert sum(total for name, total in folded.items() if name.startswith("worker:")) == earned
    return account
