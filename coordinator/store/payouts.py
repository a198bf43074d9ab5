"""Payouts: channels, batches bound to (channel, sequence), their operations and envelopes, and how each ended."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from coordinator.store.batch import Batch
from coordinator.store.engine import Connection
from coordinator.store.rows import Row


class ChannelRow(Row, frozen=True):
    """A channel account: the sequence number it has used last, and the batch that it is bound to now."""

    account: str
    seq: int
    open_batch: int | None


class EnvelopeRow(Row, frozen=True):
    """A signed envelope as it was stored before it was sent: it can apply below `max_ledger` and before `max_time`
    (Unix seconds); `max_fee` is its bid in stroops an operation, `status` the last answer to it."""

    batch_id: int
    n: int
    xdr: str
    outer_hash: str
    inner_hash: str
    max_ledger: int
    max_time: int
    max_fee: int
    status: str | None = None


class BatchRow(Row, frozen=True):
    """A batch that is not decided yet; a blocked one waits for a person."""

    id: int
    channel: str
    seq: int
    state: str
    memo_root: bytes
    total: int


class OrderRow(Row, frozen=True):
    """One operation of a batch: which ledger account it pays, on which Stellar account, how much in stroops."""

    op_index: int
    recipient: str
    account: str
    amount: int
    route: str


class Ending(Row, frozen=True):
    """How a batch was decided by the ledger."""

    state: str
    tx_hash: str
    inner_hash: str
    ledger: int
    result_xdr: str
    fee_charged: int
    reason: str | None


class OrderEnd(Row, frozen=True):
    """How one operation ended, with the id of the claimable balance that it made."""

    op_index: int
    state: str
    reason: str | None = None
    balance_id: str | None = None


async def open_channel(conn: Connection, account: str, seq: int) -> None:
    """Registers a channel at the sequence number that the ledger shows; an existing one keeps its own."""
    await conn.execute(
        text("INSERT INTO payout_channels (account, seq) VALUES (:account, :seq) ON CONFLICT DO NOTHING"),
        {"account": account, "seq": seq},
    )


async def channel(conn: Connection, account: str) -> ChannelRow | None:
    """The channel's row if it is in use, locked until the transaction ends."""
    found = await conn.execute(
        text("""
        SELECT account, seq, open_batch FROM payout_channels WHERE account = :account AND state = 'active'
           FOR UPDATE"""),
        {"account": account},
    )
    row = found.mappings().one_or_none()
    return ChannelRow(**row) if row else None


async def open_batch(conn: Connection, account: str) -> BatchRow | None:
    """The undecided batch that the channel is bound to."""
    found = await conn.execute(
        text("""
        SELECT b.id, b.channel, b.seq, b.state, b.memo_root, b.total
          FROM payout_channels c JOIN payout_batches b ON b.id = c.open_batch
         WHERE c.account = :account AND b.state IN ('open', 'blocked')"""),
        {"account": account},
    )
    row = found.mappings().one_or_none()
    return BatchRow(**row) if row else None


async def insert_batch(
    conn: Connection, account: str, seq: int, memo: bytes, total: int, now: datetime
) -> BatchRow | None:
    """Stores an open batch at (channel, seq); None if somebody was first."""
    found = await conn.execute(
        text("""
        INSERT INTO payout_batches (channel, seq, state, memo_root, total, created_at)
        VALUES (:channel, :seq, 'open', :memo, :total, :now) ON CONFLICT DO NOTHING RETURNING id"""),
        {"channel": account, "seq": seq, "memo": memo, "total": total, "now": now},
    )
    number = found.scalar_one_or_none()
    if number is None:
        return None
    return BatchRow(id=number, channel=account, seq=seq, state="open", memo_root=memo, total=total)


async def insert_orders(conn: Connection, batch: int, orders: Sequence[OrderRow]) -> None:
    """Stores the operations of a batch."""
    rows = [(o.op_index, o.recipient, o.account, o.amount, o.route) for o in orders]
    await conn.execute(_ORDER, _ordered.bind(rows) | {"batch": batch})


_ordered = Batch("o", op_index="integer", recipient="text", account="text", amount="bigint", route="text")
_ORDER = text(f"""
INSERT INTO payout_orders (batch_id, op_index, recipient, account, amount, route)
SELECT :batch, op_index, recipient, account, amount, route FROM {_ordered.sql}
""")  # noqa: S608  # names of ours


async def occupy(conn: Connection, account: str, batch: int) -> None:
    """Marks the channel busy with this batch."""
    await conn.execute(
        text("UPDATE payout_channels SET open_batch = :batch WHERE account = :account AND open_batch IS NULL"),
        {"batch": batch, "account": account},
    )


async def insert_envelope(conn: Connection, envelope: EnvelopeRow) -> bool:
    """Stores a signed envelope before it is sent; False if another settler stored this number first."""
    values = {name: getattr(envelope, name) for name in EnvelopeRow.__struct_fields__}
    found = await conn.execute(
        text("""
        INSERT INTO payout_envelopes (batch_id, n, xdr, outer_hash, inner_hash, max_ledger, max_time, max_fee, status)
        VALUES (:batch_id, :n, :xdr, :outer_hash, :inner_hash, :max_ledger, :max_time, :max_fee, :status)
        ON CONFLICT DO NOTHING"""),
        values,
    )
    return found.rowcount == 1


async def orders(conn: Connection, batch: int) -> list[OrderRow]:
    """The operations of a batch in their order."""
    found = await conn.execute(
        text("""
        SELECT op_index, recipient, account, amount, route FROM payout_orders WHERE batch_id = :id
         ORDER BY op_index"""),
        {"id": batch},
    )
    return [OrderRow(**row) for row in found.mappings()]


async def envelopes(conn: Connection, batch: int) -> list[EnvelopeRow]:
    """Every envelope of a batch, the newest first."""
    found = await conn.execute(
        text("""
        SELECT batch_id, n, xdr, outer_hash, inner_hash, max_ledger, max_time, max_fee, status
          FROM payout_envelopes WHERE batch_id = :id ORDER BY n DESC"""),
        {"id": batch},
    )
    return [EnvelopeRow(**row) for row in found.mappings()]


async def note_send(conn: Connection, batch: int, n: int, status: str, now: datetime) -> None:
    """Remembers what the ledger answered to a send; nothing is decided by it."""
    await conn.execute(
        text("""
        UPDATE payout_envelopes SET status = :status, sends = sends + 1, last_sent = :now,
               first_sent = coalesce(first_sent, :now)
         WHERE batch_id = :id AND n = :n"""),
        {"id": batch, "n": n, "status": status, "now": now},
    )


async def block(conn: Connection, batch: int, reason: str) -> bool:
    """The batch waits for a person, its channel stays bound to it; False if it was not open."""
    found = await conn.execute(
        text("UPDATE payout_batches SET state = 'blocked', reason = :reason WHERE id = :id AND state = 'open'"),
        {"id": batch, "reason": reason},
    )
    return found.rowcount == 1


async def unblock(conn: Connection, account: str) -> bool:
    """The channel's blocked batch is open again; False if it had none."""
    found = await conn.execute(
        text("UPDATE payout_batches SET state = 'open', reason = NULL WHERE channel = :account AND state = 'blocked'"),
        {"account": account},
    )
    return found.rowcount == 1


async def close_batch(conn: Connection, batch: int, ending: Ending, now: datetime) -> bool:
    """Ends an undecided batch as `paid` or `failed`; False if somebody was first."""
    values = {name: getattr(ending, name) for name in Ending.__struct_fields__}
    found = await conn.execute(
        text("""
        UPDATE payout_batches SET state = :state, tx_hash = :tx_hash, inner_hash = :inner_hash, ledger = :ledger,
               result_xdr = :result_xdr, fee_charged = :fee_charged, reason = :reason, closed_at = :now
         WHERE id = :id AND state IN ('open', 'blocked')"""),
        values | {"id": batch, "now": now},
    )
    return found.rowcount == 1


async def end_orders(conn: Connection, batch: int, ends: Sequence[OrderEnd]) -> None:
    """Notes how the operations of a decided batch ended."""
    rows = [(e.op_index, e.state, e.reason, e.balance_id) for e in ends]
    await conn.execute(_END_ORDERS, _ends.bind(rows) | {"batch": batch})


_ends = Batch("e", op_index="integer", state="text", reason="text", balance_id="text")
_END_ORDERS = text(f"""
UPDATE payout_orders o SET state = e.state, reason = e.reason, balance_id = e.balance_id FROM {_ends.sql}
 WHERE o.batch_id = :batch AND o.op_index = e.op_index AND o.state = 'reserved'
""")  # noqa: S608  # names of ours


async def free_channel(conn: Connection, batch: BatchRow) -> None:
    """The ledger has spent the batch's sequence number: the channel's next batch takes the next one."""
    await conn.execute(
        text("UPDATE payout_channels SET seq = :seq, open_batch = NULL WHERE account = :account AND open_batch = :id"),
        {"seq": batch.seq, "account": batch.channel, "id": batch.id},
    )
