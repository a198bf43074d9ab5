"""Whole transactions: signatures, sequence numbers, bounds, fees, fee bumps and the queue."""

from collections.abc import Callable

import pytest
from stellar_sdk import (
    FeeBumpTransactionEnvelope,
    Keypair,
    ManageData,
    Payment,
    SetOptions,
    Signer,
    TransactionBuilder,
    TransactionEnvelope,
)

from deploy.devledger.envelope import decode
from tests.pure.devledger_world import GNS, NETWORK, World, decoded, key, settled_world

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


def foreign(world: World) -> TransactionEnvelope:
    builder = world.builder(BARE, NOTE)
    builder.network_passphrase = "Another network"
    return signed(builder, BARE)


def too_cheap(world: World) -> TransactionEnvelope:
    builder = world.builder(BARE, NOTE)
    builder.base_fee = 99
    return signed(builder, BARE)


ENVELOPES: dict[str, tuple[Callable[[World], TransactionEnvelope], str]] = {
    "good": (lambda w: w.signed(BARE, NOTE), "tx_success"),
    "no operations": (lambda w: w.signed(BARE), "tx_missing_operation"),
    "sequence used": (lambda w: w.signed(BARE, NOTE, ahead=0), "tx_bad_seq"),
    "sequence ahead": (lambda w: w.signed(BARE, NOTE, ahead=2), "tx_bad_seq"),
    "sequence ahead, allowed": (
        lambda w: signed(w.builder(BARE, NOTE, ahead=5).set_min_sequence_number(0), BARE),
        "tx_success",
    ),
    "unsigned": (lambda w: w.signed(BARE, NOTE, signers=[]), "tx_bad_auth"),
    "signed by another": (lambda w: w.signed(BARE, NOTE, signers=[STRANGER]), "tx_bad_auth"),
    "signed by one too many": (lambda w: w.signed(BARE, NOTE, signers=[BARE, STRANGER]), "tx_bad_auth_extra"),
    "of another network": (foreign, "tx_bad_auth"),
    "of nobody": (lambda w: w.signed(NOBODY, NOTE), "tx_no_source_account"),
    "too cheap": (too_cheap, "tx_insufficient_fee"),
    "dearer than its source": (lambda w: w.signed(POOR, NOTE, fee=200_000), "tx_insufficient_balance"),
    "expired": (lambda w: signed(timed(w, 0, w.now - 1), BARE), "tx_too_late"),
    "expiring within ten seconds": (lambda w: signed(timed(w, 0, w.now + 9), BARE), "tx_too_late"),
    "expiring in ten seconds": (lambda w: signed(timed(w, 0, w.now + 10), BARE), "tx_success"),
    "of tomorrow": (lambda w: signed(timed(w, w.now + 1, 0), BARE), "tx_too_early"),
    "for the next ledger": (lambda w: signed(within(w, 0, 2), BARE), "tx_success"),
    "for the last ledger": (lambda w: signed(within(w, 0, 1), BARE), "tx_too_late"),
    "for the ledger after the next": (lambda w: signed(within(w, 2, 9), BARE), "tx_too_early"),
    "too soon after the last": (
        lambda w: signed(w.builder(BARE, NOTE).set_min_sequence_ledger_gap(1_000), BARE),
        "tx_bad_minseq_age_or_gap",
    ),
    "too young": (
        lambda w: signed(w.builder(BARE, NOTE).set_min_sequence_age(10**10), BARE),
        "tx_bad_minseq_age_or_gap",
    ),
    "with another's word": (
        lambda w: signed(w.builder(BARE, NOTE).add_extra_signer(STRANGER.public_key), BARE, STRANGER),
        "tx_success",
    ),
    "without another's word": (
        lambda w: signed(w.builder(BARE, NOTE).add_extra_signer(STRANGER.public_key), BARE),
        "tx_bad_auth",
    ),
}


def timed(world: World, earliest: int, latest: int) -> TransactionBuilder:
    builder = world.builder(BARE, NOTE)
    builder.time_bounds = None
    return builder.add_time_bounds(earliest, latest)


def within(world: World, after: int, until: int) -> TransactionBuilder:
    last = world.ledger.header.sequence
    return world.builder(BARE, NOTE).set_ledger_bounds(last + after if after else 0, last + until)


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_transaction_answers_as_the_network_does(name: str) -> None:
    build, expected = ENVELOPES[name]
    world = settled_world()
    assert world.fate(build(world))["transaction"] == expected


def test_a_failed_transaction_costs_its_fee_and_its_sequence() -> None:
    world = settled_world()
    before, sequence = world.account(TREASURY).balance, world.sequence(TREASURY)
    assert world.do(TREASURY, Payment(BARE.public_key, GNS, "1"))["transaction"] == "tx_failed"
    assert (world.account(TREASURY).balance, world.sequence(TREASURY)) == (before - 100, sequence + 1)


def test_a_channel_and_a_treasury_share_one_engine_key() -> None:
    world = settled_world()
    engine = key("engine")
    signer = Signer.ed25519_public_key(engine.public_key, 1)
    world.must(CHANNEL, SetOptions(signer=signer, master_weight=0))
    world.must(TREASURY, SetOptions(signer=signer))
    payment = Payment(WORKER.public_key, GNS, "1", source=TREASURY.public_key)
    assert world.do(CHANNEL, payment, signers=[CHANNEL])["transaction"] == "tx_bad_auth"
    assert world.do(CHANNEL, payment, signers=[engine])["transaction"] == "tx_success"


def test_an_operation_needs_its_own_sources_signature() -> None:
    world = settled_world()
    codes = world.do(CHANNEL, Payment(WORKER.public_key, GNS, "1", source=TREASURY.public_key))
    assert codes == {"transaction": "tx_failed", "operations": ["op_bad_auth"]}


def test_thresholds_ask_for_as_much_weight_as_they_say() -> None:
    world = settled_world()
    second = Signer.ed25519_public_key(STRANGER.public_key, 1)
    world.must(BARE, SetOptions(signer=second, med_threshold=2, high_threshold=3))
    assert world.do(BARE, NOTE)["operations"] == ["op_bad_auth"]
    assert world.do(BARE, NOTE, signers=[BARE, STRANGER])["transaction"] == "tx_success"
    assert world.do(BARE, SetOptions(med_threshold=0), signers=[BARE, STRANGER])["operations"] == ["op_bad_auth"]


def test_a_fee_bump_is_paid_by_its_own_source_and_found_by_both_hashes() -> None:
    world = settled_world()
    inner = world.signed(BARE, NOTE)
    outer = bump(inner, TREASURY, 400)
    treasury, bare = world.account(TREASURY).balance, world.account(BARE).balance
    codes = world.fate(outer)
    assert codes == {
        "transaction": "tx_fee_bump_inner_success",
        "inner_transaction": "tx_success",
        "operations": ["op_success"],
    }
    assert (world.account(TREASURY).balance, world.account(BARE).balance) == (treasury - 200, bare)
    assert decoded(outer).inner_hash == inner.hash() != decoded(outer).hash == outer.hash()


def test_a_fee_bump_tells_the_inner_failure() -> None:
    world = settled_world()
    failing = bump(world.signed(TREASURY, Payment(BARE.public_key, GNS, "1")), CHANNEL, 100)
    assert world.fate(failing) == {
        "transaction": "tx_fee_bump_inner_failed",
        "inner_transaction": "tx_failed",
        "operations": ["op_no_trust"],
    }


@pytest.mark.parametrize(
    ("payer", "signer", "fee", "expected"),
    [
        (POOR, POOR, 10**7, "tx_insufficient_balance"),
        (NOBODY, NOBODY, 100, "tx_no_source_account"),
        (TREASURY, WORKER, 100, "tx_bad_auth"),
    ],
)
def test_a_fee_bump_is_judged_by_its_payer(payer: Keypair, signer: Keypair, fee: int, expected: str) -> None:
    world = settled_world()
    inner = world.signed(BARE, NOTE)
    outer = TransactionBuilder.build_fee_bump_transaction(payer, fee, inner, NETWORK.passphrase)
    outer.sign(signer)
    assert world.fate(outer)["transaction"] == expected


@pytest.mark.parametrize("text", ["", "AAAA", "not base64", "é", "A" * 400])
def test_garbage_is_no_envelope(text: str) -> None:
    assert decode(text, NETWORK.id) is None
