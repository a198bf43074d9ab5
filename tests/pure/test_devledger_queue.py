"""The queue: one transaction a source, the highest bids first, nothing waits for ever."""

from stellar_sdk import (
    FeeBumpTransactionEnvelope,
    Keypair,
    ManageData,
    TransactionBuilder,
    TransactionEnvelope,
)

from deploy.devledger.entries import account_key
from deploy.devledger.ledger import BAN, MAX_WAIT, Status
from deploy.devledger.network import LEDGER_CAPACITY
from deploy.devledger.results import result_codes
from tests.pure.devledger_world import NETWORK, World, key, settled_world

TREASURY, WORKER, BARE, CHANNEL, POOR, NOBODY, STRANGER = (
    key(name) for name in ("treasury", "worker", "bare", "channel", "poor", "nobody", "stranger")
)
NOTE = ManageData("a", b"1")


def bump(inner: TransactionEnvelope, payer: Keypair, fee: int) -> FeeBumpTransactionEnvelope:
    envelope = TransactionBuilder.build_fee_bump_transaction(payer, fee, inner, NETWORK.passphrase)
    envelope.sign(payer)
    return envelope


def signed(builder: TransactionBuilder, *signers: Keypair) -> TransactionEnvelope:
    envelope = builder.build()
    for signer in signers:
        envelope.sign(signer)
    return envelope


def within(world: World, after: int, until: int) -> TransactionBuilder:
    last = world.ledger.header.sequence
    return world.builder(BARE, NOTE).set_ledger_bounds(last + after if after else 0, last + until)


def test_the_queue_holds_one_transaction_a_source() -> None:
    world = settled_world()
    first = world.signed(BARE, NOTE)
    assert world.submit(first).status is Status.PENDING
    assert world.submit(first).status is Status.DUPLICATE
    assert world.submit(world.signed(BARE, NOTE, ahead=2)).status is Status.TRY_AGAIN_LATER
    assert world.submit(world.signed(BARE, ManageData("b", b"2"))).status is Status.TRY_AGAIN_LATER
    assert len(world.close().applied) == 1
    applied_already = world.submit(first)
    assert applied_already.status is Status.ERROR
    assert applied_already.result is not None
    assert result_codes(applied_already.result) == {"transaction": "tx_bad_seq"}


def test_a_waiting_transaction_is_replaced_for_ten_times_its_bid() -> None:
    world = settled_world()
    inner = world.signed(BARE, NOTE)
    assert world.submit(bump(inner, TREASURY, 100)).status is Status.PENDING
    refused = world.submit(bump(inner, TREASURY, 999))
    assert refused.status is Status.ERROR
    assert refused.result is not None
    assert (result_codes(refused.result)["transaction"], refused.result.fee_charged.int64) == (
        "tx_insufficient_fee",
        2_000,
    )
    assert world.submit(inner).status is Status.DUPLICATE
    assert world.submit(bump(inner, TREASURY, 1_000)).status is Status.PENDING
    (applied,) = world.close().applied
    assert applied.tx.fee == 2_000


def test_one_payer_cannot_promise_the_same_fee_twice() -> None:
    world = settled_world()
    assert world.submit(bump(world.signed(BARE, NOTE), POOR, 30_000)).status is Status.PENDING
    second = world.submit(bump(world.signed(WORKER, NOTE), POOR, 30_000))
    assert second.result is not None
    assert result_codes(second.result) == {"transaction": "tx_insufficient_balance"}


def crowd(world: World, bid: int, size: int = 100) -> list[bytes]:
    """Fill a ledger with transactions of this bid an operation; return their hashes."""
    notes = [ManageData(f"n{n}", None) for n in range(size)]
    hashes = []
    for n in range(LEDGER_CAPACITY // size):
        source = key(f"crowd{n}")
        envelope = world.signed(source, *notes, fee=bid)
        assert world.submit(envelope).status is Status.PENDING
        hashes.append(envelope.hash())
    return hashes


def crowded_world() -> World:
    world = settled_world()
    creations = [key(f"crowd{n}") for n in range(LEDGER_CAPACITY // 100)]
    builder = world.builder(NETWORK.root)
    for one in creations:
        builder.append_create_account_op(one.public_key, "1000")
    assert world.fate(signed(builder, NETWORK.root))["transaction"] == "tx_success"
    return world


def test_a_full_ledger_takes_the_highest_bids_at_the_lowest_of_them() -> None:
    world = crowded_world()
    late = world.signed(BARE, NOTE, fee=250)
    assert world.submit(late).status is Status.PENDING
    hashes = crowd(world, bid=300)
    closed = world.close()
    assert {one.tx.hash for one in closed.applied} == set(hashes)
    assert {one.fee_charged for one in closed.applied} == {300 * 100}
    (mine,) = world.close().applied
    assert (mine.tx.hash, mine.fee_charged) == (late.hash(), 100)


def test_a_transaction_that_waits_too_long_is_dropped_and_banned() -> None:
    world = crowded_world()
    late = world.signed(BARE, NOTE)
    assert world.submit(late).status is Status.PENDING
    for _ in range(MAX_WAIT):
        crowd(world, bid=300)
        assert late.hash() not in {one.tx.hash for one in world.close().applied}
    assert world.submit(late).status is Status.TRY_AGAIN_LATER
    for _ in range(BAN):
        world.close()
    assert world.submit(late).status is Status.PENDING


def test_what_expires_while_it_waits_never_reaches_the_ledger() -> None:
    world = crowded_world()
    late = signed(within(world, 0, 2), BARE)
    assert world.submit(late).status is Status.PENDING
    crowd(world, bid=300)
    world.close()
    balance = world.account(BARE).balance
    assert world.close().applied == []
    assert world.account(BARE).balance == balance


def test_time_never_runs_backwards() -> None:
    world = settled_world()
    closed_at = world.ledger.header.closed_at
    assert world.close(seconds=-100).header.closed_at == closed_at


def test_a_close_tells_exactly_what_changed() -> None:
    world = settled_world()
    assert world.submit(world.signed(BARE, NOTE)).status is Status.PENDING
    closed = world.close()
    assert {key.parts for key in closed.changes} == {(BARE.public_key,), (BARE.public_key, "a")}
    assert all(entry is not None and entry.modified == closed.header.sequence for entry in closed.changes.values())
    assert closed.applied[0].participants == {BARE.public_key}
    assert world.ledger.state.peek(account_key(BARE.public_key)) is not None
