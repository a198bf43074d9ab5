"""The payout machine: plan a batch, look it up on the ledger, send it until the ledger has decided.

Each step may be cut off anywhere and done again by anyone: what is signed is stored before it is sent, what is decided
is read from the ledger, and every write says what it believes.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

import msgspec
import structlog

from coordinator.observe.series import SETTLEMENT, named
from coordinator.settle import attempts, batch as batches, credit
from coordinator.settle.attempts import Block, Decide, Renew, Send, Step, Wait
from coordinator.settle.batch import Fate
from coordinator.settle.ledger import is_worker, payout
from coordinator.settle.planning import plan, route_of, seal
from coordinator.settle.stellar import Found, Horizon, LedgerKeys, Leg
from coordinator.store import money, payables, payouts
from coordinator.store.engine import Connection, Engine
from coordinator.store.payables import GivenBack
from coordinator.store.payouts import BatchRow, Ending, EnvelopeRow, OrderEnd, OrderRow

log = structlog.get_logger()

ROWS_PER_BATCH: Final = 2_000
LONGEST_REST: Final = timedelta(minutes=1)
TROUBLE_REST: Final = timedelta(minutes=1)
"""For so long nothing is planned after the ledger said that the treasury cannot pay."""
UNREACHABLE_FOR: Final = timedelta(hours=1)
"""For so long a worker's new payables go by claimable balance after its account could not receive."""


class Policy(msgspec.Struct, frozen=True):
    """When a worker is paid: held for so many newest jobs and hours, then at a sum (stroops) or an age (seconds)."""

    held_jobs: int
    held_hours: int
    threshold: int
    age_s: int

    def mature_every(self) -> timedelta:
        """How often it is worth asking what matured."""
        return LONGEST_REST if self.held_jobs or self.held_hours else timedelta()

    def plan_every(self) -> timedelta:
        """How often it is worth asking what is due while nothing is."""
        return min(LONGEST_REST, timedelta(seconds=self.age_s) / 60)


class Payer:
    """Pays what is ready over the channels of one key file. Two payers at once are harmless."""

    def __init__(self, engine: Engine, horizon: Horizon, keys: LedgerKeys, policy: Policy) -> None:
        self.engine = engine
        self.horizon = horizon
        self.keys = keys
        self.policy = policy
        self._mature_at = self._plan_at = datetime.min.replace(tzinfo=UTC)
        self._unreachable: dict[str, datetime] = {}
        self._looked: dict[str, tuple[int, int]] = {}

    async def open_channels(self) -> None:
        """Registers the channels of the key file and opens their blocked batches again, as whoever starts us has seen to
        them; raises ValueError if the ledger is another network or lacks a channel, LedgerAway if it does not answer."""
        serving = await asyncio.to_thread(self.horizon.passphrase)
        if serving != self.keys.passphrase:
            raise ValueError(f"{self.horizon.url} serves «{serving}», the ledger keys are for «{self.keys.passphrase}»")
        for account in self.keys.channels:
            seq = await asyncio.to_thread(self.horizon.sequence, account)
            if seq is None:
                raise ValueError(f"channel account {account} is not on the ledger; create it first")
            async with self.engine.begin() as conn:
                await payouts.open_channel(conn, account, seq)
                if await payouts.unblock(conn, account):
                    log.info("payout_unblocked", channel=account)

    async def one_round(self, now: datetime) -> bool:
        """One step of every channel; whether any of them has work. Raises LedgerAway or Away, both to be tried again."""
        await self._mature(now)
        busy = False
        for account in self.keys.channels:
            async with self.engine.begin() as conn:
                batch = await payouts.open_batch(conn, account)
            if batch is None and now >= self._plan_at:
                batch = await self._plan(account, now)
            if batch is not None:
                await self._look(batch, now)
                busy = True
        return busy

    async def _mature(self, now: datetime) -> None:
        if now < self._mature_at:
            return
        async with self.engine.begin() as conn:
            before = now - timedelta(hours=self.policy.held_hours)
            ready = await credit.mature(conn, self.policy.held_jobs, before, now)
        self._mature_at = now if ready == payables.MATURED_AT_ONCE else now + self.policy.mature_every()

    async def _plan(self, account: str, now: datetime) -> BatchRow | None:
        """Binds what is due to this channel's next sequence number, signed and stored; None if nothing is due."""
        older = now - timedelta(seconds=self.policy.age_s)
        async with self.engine.begin() as conn:
            waiting = await payables.due(conn, self.policy.threshold, older, 1, 1)
        if not waiting:
            self._plan_at = now + self.policy.plan_every()
            return None
        latest = await asyncio.to_thread(self.horizon.latest)
        self._unreachable = {worker: until for worker, until in self._unreachable.items() if until > now}
        async with self.engine.begin() as conn:
            channel = await payouts.channel(conn, account)
            if channel is None or channel.open_batch is not None:
                return None
            due = await payables.due(conn, self.policy.threshold, older, batches.MAX_WORKERS, ROWS_PER_BATCH)
            batch = await plan(conn, self.keys, channel, due, self._unreachable, latest, now) if due else None
        if batch is not None:
            log.info("payout_planned", batch=batch.id, payables=len(due), stroops=batch.total)
        return batch

    async def _look(self, batch: BatchRow, now: datetime) -> None:
        """Reads the ledger once per height (its height first, so that a miss is at least as new), then acts."""
        latest = await asyncio.to_thread(self.horizon.latest)
        if self._looked.get(batch.channel) == (batch.id, latest):
            return
        async with self.engine.begin() as conn:
            tried = await payouts.envelopes(conn, batch.id)
        elsewhere = attempts.is_strange(latest, tried) and await self._is_spent(batch)
        found = await self._find(attempts.to_look_up(tried))
        step = attempts.next_step(latest, tried, found, elsewhere=elsewhere)
        if batch.state == "open" or isinstance(step, Decide):
            step = await self._act(batch, step, latest, now)
        if not isinstance(step, Renew):
            self._looked[batch.channel] = (batch.id, latest)

    async def _is_spent(self, batch: BatchRow) -> bool:
        used = await asyncio.to_thread(self.horizon.sequence, batch.channel)
        return used is not None and used >= batch.seq

    async def _find(self, tried: Sequence[EnvelopeRow]) -> dict[str, Found]:
        found = {e.inner_hash: await asyncio.to_thread(self.horizon.find, e.inner_hash) for e in tried}
        return {inner_hash: one for inner_hash, one in found.items() if one is not None}

    async def _act(self, batch: BatchRow, step: Step, latest: int, now: datetime) -> Step:
        """Takes a step, and the one that follows from the answer to a send; returns the last one."""
        match step:
            case Decide():
                await self._decide(batch, step, now)
            case Send():
                return await self._act(batch, await self._send(batch, step.envelope, now), latest, now)
            case Renew():
                await self._renew(batch, step, latest, now)
            case Block():
                await self._block(batch, step.reason)
            case Wait():
                pass
            case _:
                assert_never(step)
        return step

    async def _send(self, batch: BatchRow, envelope: EnvelopeRow, now: datetime) -> Step:
        answer = await asyncio.to_thread(self.horizon.send, envelope.xdr)
        async with self.engine.begin() as conn:
            await payouts.note_send(conn, batch.id, envelope.n, f"{answer.status} {answer.code}".strip(), now)
        if answer.code == "txinsufficient_balance":
            log.error("fee_account_cannot_pay", account=self.keys.fee, batch=batch.id)
        return attempts.after_send(answer, envelope)

    async def _renew(self, batch: BatchRow, step: Renew, latest: int, now: datetime) -> None:
        """Stores one more envelope for the same channel, sequence and operations, with new bounds and perhaps a new bid."""
        async with self.engine.begin() as conn:
            channel = await payouts.channel(conn, batch.channel)
            if channel is None or channel.open_batch != batch.id:
                return
            legs = [Leg(o.account, o.amount, route_of(o.route)) for o in await payouts.orders(conn, batch.id)]
            n = step.after + 1
            envelope = await asyncio.to_thread(seal, self.keys, batch, legs, n, latest, now, step.fee)
            await payouts.insert_envelope(conn, envelope)
        log.info("payout_renewed", batch=batch.id, envelope=n, bid=step.fee)

    async def _block(self, batch: BatchRow, reason: str) -> None:
        async with self.engine.begin() as conn:
            if await payouts.block(conn, batch.id, reason):
                log.error("payout_blocked", batch=batch.id, reason=reason)

    async def _decide(self, batch: BatchRow, step: Decide, now: datetime) -> None:
        """Writes what the ledger decided, once: payables paid, or each given back by the ledger's reason."""
        async with self.engine.begin() as conn:
            if not await payouts.close_batch(conn, batch.id, _ending(step), now):
                return
            orders = await payouts.orders(conn, batch.id)
            paid: list[tuple[UUID, datetime]] = []
            if step.found.paid:
                paid = await _pay(conn, batch, orders, step.found, now)
            else:
                await self._give_back(conn, batch, orders, step.found, now)
            await payouts.free_channel(conn, batch)
        for job_id, owed_at in paid:
            SETTLEMENT.observe((now - owed_at).total_seconds(), named(job_id))
        log.info("payout_decided", batch=batch.id, paid=step.found.paid, ledger=step.found.ledger, code=step.found.code)

    async def _give_back(
        self, conn: Connection, batch: BatchRow, orders: list[OrderRow], found: Found, now: datetime
    ) -> None:
        paid = [(order.recipient, route_of(order.route)) for order in orders]
        fates = batches.fates(paid, found.operations)
        workers = [_given(o, fate) for o, fate in zip(orders, fates, strict=True) if is_worker(o.recipient)]
        await payables.give_back(conn, batch.id, workers)
        ends = [_returned(order, fate) for order, fate in zip(orders, fates, strict=True)]
        await payouts.end_orders(conn, batch.id, ends)
        self._unreachable |= {w.worker_pk: now + UNREACHABLE_FOR for w in workers if w.route != w.was}
        code = batches.trouble(paid, found.operations)
        if code is not None:
            self._plan_at = now + TROUBLE_REST
            log.error("treasury_cannot_pay", batch=batch.id, code=code, treasury=self.keys.treasury)


async def _pay(
    conn: Connection, batch: BatchRow, orders: list[OrderRow], found: Found, now: datetime
) -> list[tuple[UUID, datetime]]:
    """Writes that a batch is paid; the jobs that it paid for, each with the moment from which on that was owed."""
    paid = await payables.pay(conn, batch.id)
    ends = [OrderEnd(op_index=o.op_index, state="paid", balance_id=found.balances.get(o.op_index)) for o in orders]
    await payouts.end_orders(conn, batch.id, ends)
    legs = [(order.recipient, order.amount) for order in orders]
    await money.post(conn, payout(now.date(), UUID(found.outer_hash[:32]), legs), now)
    return paid


def _ending(step: Decide) -> Ending:
    found = step.found
    return Ending(
        state="paid" if found.paid else "failed",
        tx_hash=found.outer_hash,
        inner_hash=step.inner_hash,
        ledger=found.ledger,
        result_xdr=found.result_xdr,
        fee_charged=found.fee_charged,
        reason=None if found.paid else found.code,
    )


def _given(order: OrderRow, fate: Fate) -> GivenBack:
    return GivenBack(
        worker_pk=order.recipient.removeprefix("worker:"),
        was=order.route,
        state=fate.state,
        route=fate.route,
        reason=fate.reason,
    )


def _returned(order: OrderRow, fate: Fate) -> OrderEnd:
    state = "held" if fate.state == "held" else "returned"
    return OrderEnd(op_index=order.op_index, state=state, reason=fate.reason)
