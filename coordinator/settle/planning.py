"""Binding what is due to a channel's next sequence number: batch, operations and first envelope in one transaction."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from coordinator.settle.attempts import FIRST_BID, SPAN_LEDGERS
from coordinator.settle.batch import Batch, Due, gather
from coordinator.settle.ledger import earned_by
from coordinator.settle.stellar import LedgerKeys, Leg, Route, build
from coordinator.store import payables, payouts
from coordinator.store.engine import Connection
from coordinator.store.payables import DueRow
from coordinator.store.payouts import BatchRow, ChannelRow, EnvelopeRow, OrderRow

SPAN: Final = timedelta(minutes=10)


async def plan(
    conn: Connection,
    keys: LedgerKeys,
    channel: ChannelRow,
    due: Sequence[DueRow],
    unreachable: Collection[str],
    latest: int,
    now: datetime,
) -> BatchRow | None:
    """Binds `due` (locked, not empty) to a free channel (locked), workers in `unreachable` by claimable balances;
    None if somebody was first."""
    number = [Due(n, d.payable, route_of("claim" if _pk(d) in unreachable else d.route)) for n, d in enumerate(due)]
    batch = gather(number, keys)
    bound = await payouts.insert_batch(conn, channel.account, channel.seq + 1, batch.memo, batch.total, now)
    if bound is None:
        return None
    await payouts.insert_orders(conn, bound.id, _orders(batch))
    await payables.bind(conn, bound.id, [(d.payable.id, d.payable.attempt, d.route) for d in number])
    await payouts.insert_envelope(
        conn, await asyncio.to_thread(seal, keys, bound, batch.legs, 1, latest, now, FIRST_BID)
    )
    await payouts.occupy(conn, channel.account, bound.id)
    return bound


def seal(
    keys: LedgerKeys, batch: BatchRow, legs: Sequence[Leg], n: int, latest: int, now: datetime, fee: int
) -> EnvelopeRow:
    """Signs the n-th envelope of a batch, for the next 24 ledgers and 10 minutes, bidding `fee` stroops an operation."""
    max_time = int((now + SPAN).timestamp())
    made = build(
        keys,
        batch.channel,
        batch.seq,
        legs,
        batch.memo_root,
        max_ledger=latest + SPAN_LEDGERS,
        max_time=max_time,
        fee=fee,
    )
    return EnvelopeRow(
        batch_id=batch.id,
        n=n,
        xdr=made.xdr,
        outer_hash=made.outer_hash,
        inner_hash=made.inner_hash,
        max_ledger=made.max_ledger,
        max_time=max_time,
        max_fee=made.fee,
    )


def route_of(text: str) -> Route:
    """The route that a row names."""
    return "claim" if text == "claim" else "pay"


def _pk(due: DueRow) -> str:
    return due.payable.worker_pk


def _orders(batch: Batch) -> list[OrderRow]:
    """The operations with the ledger accounts that they pay: workers first, then the pools."""
    names = [*(earned_by(pk) for pk, _ in batch.workers), *batch.pools]
    return [
        OrderRow(op_index=n, recipient=name, account=leg.address, amount=leg.amount, route=leg.route)
        for n, (name, leg) in enumerate(zip(names, batch.legs, strict=True))
    ]
