"""A local ledger that closes when told, a database, and workers who have earned: what payouts are tried in."""

import secrets
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from sqlalchemy import text
from stellar_sdk import Asset, Keypair, Server, TransactionBuilder
from stellar_sdk.client.requests_client import RequestsClient

from coordinator.settle.ledger import PAID, earned_by, settle
from coordinator.settle.payout import Payer, Policy
from coordinator.settle.split import split
from coordinator.settle.stellar import Horizon, LedgerKeys, worker_address
from coordinator.store import money
from coordinator.store.engine import Engine
from coordinator.store.rows import Payable
from deploy.devledger.network import DEFAULT_PASSPHRASE
from deploy.devledger.serving import Plan, Running, serve
from deploy.ledger_setup import Seeds, ledger_keys, load_seeds, open_accounts
from shared.ids import new_job_id, to_stroops

AT_ONCE = Policy(held_jobs=0, held_hours=0, threshold=10_000_000, age_s=0)


@dataclass
class World:
    """Everything around a payer; `now` is what it is told, `owed` what each worker has earned (stroops, by key)."""

    engine: Engine
    node: Running
    http: httpx.Client
    seeds: Seeds
    keys: LedgerKeys
    horizon: Horizon
    owed: dict[str, int] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def payer(self, policy: Policy = AT_ONCE, channels: int = 1, horizon: Horizon | None = None) -> Payer:
        """A payer with an empty memory."""
        keys = msgspec.structs.replace(self.keys, channels=self.keys.channels[:channels])
        return Payer(self.engine, horizon or self.horizon, keys, policy)

    async def started(self, policy: Policy = AT_ONCE, channels: int = 1, horizon: Horizon | None = None) -> Payer:
        """A payer that has just been started."""
        payer = self.payer(policy, channels, horizon)
        await payer.open_channels()
        return payer

    def workers(self, count: int) -> list[str]:
        """Workers with an account and a trustline."""
        made = [Keypair.random() for _ in range(count)]
        self.while_closing(lambda: open_accounts(self.node.url, self.seeds, made))
        return [key.raw_public_key().hex() for key in made]

    async def earn(self, worker: str, *costs: int, ago: timedelta = timedelta()) -> list[Payable]:
        """A worker completes a job for each cost (stroops)."""
        at, made = self.now - ago, []
        async with self.engine.begin() as conn:
            for cost in costs:
                shares = split(cost)
                job = new_job_id(at, secrets.token_bytes(16))
                made.append(Payable(id=job, attempt=1, worker_pk=worker, **_legs(shares)))
                await money.post(conn, settle(job, uuid4(), worker, shares), at)
                self.owed[worker] = self.owed.get(worker, 0) + shares.worker
            await money.owe(conn, made, at)
        return made

    def close(self, times: int = 1) -> None:
        for _ in range(times):
            self.node.close_ledger()

    def spoil(self, **faults: int) -> None:
        self.http.post("/_faults", json=faults).raise_for_status()

    async def until_paid(self, *payers: Payer, rounds: int = 60) -> None:
        """Rounds and ledgers until nothing is waiting any more."""
        for _ in range(rounds):
            for payer in payers:
                await payer.one_round(self.now)
            if not await self.rows("SELECT 1 FROM payables WHERE state NOT IN ('paid', 'held') LIMIT 1"):
                return
            self.close()
        raise AssertionError(await self.rows("SELECT state, count(*) FROM payables GROUP BY state"))

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as conn:
            return [tuple(row) for row in await conn.execute(text(query), values)]

    def balance(self, address: str) -> int:
        """GNS (stroops) on an account."""
        held = self.http.get(f"/accounts/{address}").raise_for_status().json()["balances"]
        return sum(to_stroops(line["balance"]) for line in held if line["asset_type"] != "native")

    def claimable(self, worker: str) -> dict[str, int]:
        """What a worker can claim, by balance id."""
        found = self.http.get("/claimable_balances", params={"claimant": worker_address(worker), "limit": 200})
        return {one["id"]: to_stroops(one["amount"]) for one in found.json()["_embedded"]["records"]}

    async def check_all_paid(self) -> None:
        """Every worker and pool has exactly its due on the ledger, once; the journal says the same."""
        for worker, amount in self.owed.items():
            reached = self.http.get(f"/accounts/{worker_address(worker)}").status_code == 200
            paid = self.balance(worker_address(worker)) if reached else 0
            assert paid + sum(self.claimable(worker).values()) == amount
        states = "SELECT p.state, b.state FROM payables p LEFT JOIN payout_batches b ON b.id = p.batch_id GROUP BY 1, 2"
        assert await self.rows(states) == [("paid", "paid")]
        sums = "sum(platform), sum(resilience), sum(quorum)"
        ((platform, resilience, quorum),) = await self.rows(f"SELECT {sums} FROM payables")
        pools = [self.balance(address) for address in (self.keys.platform, self.keys.resilience, self.keys.quorum)]
        assert pools == [platform, resilience, quorum]
        folded = await self.books()
        assert [folded[earned_by(worker)] for worker in self.owed] == [0] * len(self.owed)
        assert folded[PAID] == sum(self.owed.values()) + sum(pools)
        assert sum(folded.values()) == 0

    async def books(self) -> dict[str, int]:
        """The folded journal."""
        return dict(
            await self.rows("""
            SELECT leg.account, CAST(sum(leg.amount) AS bigint) FROM journal,
                   unnest(accounts, amounts) AS leg(account, amount) GROUP BY leg.account""")
        )

    def transact(
        self, signer: Keypair, build: Any, *, account: str | None = None, bid: int = 100, wait: bool = False
    ) -> None:
        """Sends somebody else's transaction, of the signer's account or of `account`; `build` gets the builder."""
        with Server(self.node.url, RequestsClient(num_retries=0)) as server:
            builder = TransactionBuilder(server.load_account(account or signer.public_key), self.keys.passphrase, bid)
            build(builder.add_time_bounds(0, 0))
            envelope = builder.build()
            envelope.sign(signer)
            send = server.submit_transaction if wait else server.submit_transaction_async
            send(envelope, skip_memo_required_check=True)

    @property
    def gns(self) -> Asset:
        return Asset(self.keys.asset_code, self.keys.issuer)

    def key_of(self, role: str) -> Keypair:
        return Keypair.from_secret(self.seeds.accounts[role])

    def while_closing(self, work: Any) -> None:
        """Does work that waits for ledgers, and closes them."""
        with ThreadPoolExecutor(1) as pool:
            running: Future[None] = pool.submit(work)
            while not running.done():
                self.close()
                wait([running], timeout=0.005)
            running.result()


def _legs(shares: Any) -> dict[str, int]:
    return {name: getattr(shares, name) for name in ("worker", "platform", "resilience", "quorum")}


def total(payables: Iterable[Payable]) -> int:
    """What these payables pay to all."""
    return sum(p.worker + p.platform + p.resilience + p.quorum for p in payables)


@pytest.fixture
async def world(engine: Engine, tmp_path: Any) -> AsyncIterator[World]:
    seeds = load_seeds(tmp_path / "seeds.json")
    keys = ledger_keys(seeds, DEFAULT_PASSPHRASE)
    with serve(Plan(close_every=None)) as node, httpx.Client(base_url=node.url, timeout=20) as http:
        made = World(engine, node, http, seeds, keys, Horizon(node.url))
        made.while_closing(lambda: open_accounts(node.url, seeds, []))
        yield made
        made.horizon.close()
