"""Whatever is done to the ledger: nothing is made, nothing is lost, nothing raises, and it stays what it stored."""

import base64

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from stellar_sdk import (
    Asset,
    BeginSponsoringFutureReserves,
    BumpSequence,
    ChangeTrust,
    Claimant,
    ClaimClaimableBalance,
    ClaimPredicate,
    CreateAccount,
    CreateClaimableBalance,
    EndSponsoringFutureReserves,
    Keypair,
    ManageData,
    Operation,
    Payment,
    SetOptions,
    SetTrustLineFlags,
    Signer,
    TransactionBuilder,
    TrustLineFlags,
)

from deploy.devledger.entries import Account, ClaimableBalance, DataEntry, TrustLine
from deploy.devledger.envelope import decode
from deploy.devledger.ledger import Closed
from deploy.devledger.network import muxed_address
from deploy.devledger.predicates import fixed, holds, is_valid
from deploy.devledger.reserves import ACCOUNT_RESERVES
from tests.pure.devledger_world import GNS, ISSUER, NETWORK, World, key, settled_world

PEOPLE = [key(name) for name in ("treasury", "worker", "bare", "channel", "poor", "nobody")] + [ISSUER]
BY_ID = {one.public_key: one for one in PEOPLE}
AMOUNTS = ["0.0000001", "1", "37.5", "499", "1000", "922337203685.4775807"]

someone = st.sampled_from(PEOPLE)
maybe_source = st.one_of(st.none(), someone.map(lambda one: one.public_key))
amounts = st.sampled_from(AMOUNTS)
assets = st.sampled_from([GNS, Asset.native(), Asset("LONGCODE", PEOPLE[2].public_key)])
addresses = someone.map(lambda one: one.public_key)
predicates = st.recursive(
    st.one_of(
        st.just(ClaimPredicate.predicate_unconditional()),
        st.integers(0, 100).map(ClaimPredicate.predicate_before_relative_time),
        st.integers(0, 2**40).map(ClaimPredicate.predicate_before_absolute_time),
    ),
    lambda inner: st.one_of(
        inner.map(ClaimPredicate.predicate_not),
        st.builds(ClaimPredicate.predicate_and, inner, inner),
        st.builds(ClaimPredicate.predicate_or, inner, inner),
    ),
    max_leaves=4,
)
claimants = st.lists(addresses, min_size=1, max_size=3, unique=True).flatmap(
    lambda who: st.tuples(*(st.builds(Claimant, st.just(one), predicates) for one in who)).map(list)
)
weights = st.one_of(st.none(), st.integers(0, 3))
operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Payment, addresses, assets, amounts, maybe_source),
    st.builds(CreateAccount, addresses, amounts, maybe_source),
    st.builds(
        lambda limit, source: ChangeTrust(GNS, limit, source), st.sampled_from(["0", "10", AMOUNTS[-1]]), maybe_source
    ),
    st.builds(ManageData, st.sampled_from("ab"), st.sampled_from([None, b"1"]), maybe_source),
    st.builds(CreateClaimableBalance, assets, amounts, claimants, maybe_source),
    st.builds(BeginSponsoringFutureReserves, addresses, maybe_source),
    st.builds(EndSponsoringFutureReserves, maybe_source),
    st.builds(BumpSequence, st.integers(0, 2**40), maybe_source),
    st.builds(
        lambda who, weight, source: SetOptions(signer=Signer.ed25519_public_key(who, weight), source=source),
        addresses,
        st.integers(0, 2),
        maybe_source,
    ),
    st.builds(
        lambda low, med, source: SetOptions(low_threshold=low, med_threshold=med, source=source),
        weights,
        weights,
        maybe_source,
    ),
    st.builds(
        lambda who, clear: SetTrustLineFlags(
            who,
            GNS,
            TrustLineFlags.AUTHORIZED_FLAG if clear else None,
            None if clear else TrustLineFlags.AUTHORIZED_FLAG,
            source=ISSUER.public_key,
        ),
        addresses,
        st.booleans(),
    ),
)
steps = st.tuples(someone, st.lists(operations, min_size=1, max_size=4), st.booleans(), st.booleans())


def submit(world: World, source: Keypair, chosen: list[Operation], bumped: bool) -> None:
    """Submit operations, with a claim for every balance that is open, signed by all whose names are on it."""
    open_balances = [balance_id for balance_id, _ in world.ledger.state.every(ClaimableBalance)]
    claims = [ClaimClaimableBalance(balance_id, source.public_key) for balance_id in open_balances[:2]]
    envelope = world.builder(source, *chosen, *claims).build()
    named = {source.public_key} | {op.source.account_id for op in chosen if op.source is not None}
    for name in sorted(named):
        envelope.sign(BY_ID[name])
    if not bumped:
        world.submit(envelope)
        return
    outer = TransactionBuilder.build_fee_bump_transaction(PEOPLE[0], 200, envelope, NETWORK.passphrase)
    outer.sign(PEOPLE[0])
    world.submit(outer)


def issued(closed: Closed) -> int:
    """Return the stroops of GNS that the issuer's own successful payments and set-asides made, less those burnt."""
    made = 0
    for one in closed.applied:
        for op in one.tx.operations if one.successful else ():
            pay, aside = op.body.payment_op, op.body.create_claimable_balance_op
            if pay is not None and pay.asset.alpha_num4 is not None:
                to_issuer = muxed_address(pay.destination) == ISSUER.public_key
                made += pay.amount.int64 * ((op.source == ISSUER.public_key) - to_issuer)
            if aside is not None and aside.asset.alpha_num4 is not None and op.source == ISSUER.public_key:
                made += aside.amount.int64
    return made


def burnt_claims(before: dict[str, ClaimableBalance], closed: Closed) -> int:
    """Return the stroops of GNS that the issuer claimed itself."""
    claimed = (
        before.get(op.body.claim_claimable_balance_op.balance_id.to_xdr_bytes().hex())
        for one in closed.applied
        if one.successful
        for op in one.tx.operations
        if op.body.claim_claimable_balance_op is not None and op.source == ISSUER.public_key
    )
    return sum(balance.amount for balance in claimed if balance is not None and balance.asset.startswith("GNS:"))


def gns(world: World) -> int:
    held = sum(
        line.balance
        for one in PEOPLE
        for asset, line in world.ledger.state.owned(TrustLine, one.public_key)
        if asset.startswith("GNS:")
    )
    waiting = (b for _, b in world.ledger.state.every(ClaimableBalance) if b.asset.startswith("GNS:"))
    return held + sum(balance.amount for balance in waiting)


def reserves_match(world: World) -> None:
    """Every reserve that an account is charged for belongs to an entry that is there."""
    state = world.ledger.state
    sponsoring: dict[str, int] = {}
    for account_id, account in state.every(Account):
        lines = [line for _, line in state.owned(TrustLine, account_id)]
        notes = [entry for _, entry in state.owned(DataEntry, account_id)]
        assert account.subentries == len(lines) + len(notes) + len(account.signers)
        sponsors = [line.sponsor for line in lines] + [note.sponsor for note in notes]
        sponsors += [*account.signer_sponsors.values(), *[account.sponsor] * ACCOUNT_RESERVES]
        paid = [sponsor for sponsor in sponsors if sponsor is not None]
        assert account.sponsored == len(paid)
        for sponsor in paid:
            sponsoring[sponsor] = sponsoring.get(sponsor, 0) + 1
    for _, balance in state.every(ClaimableBalance):
        sponsoring[balance.sponsor] = sponsoring.get(balance.sponsor, 0) + len(balance.claimants)
    for account_id, account in state.every(Account):
        assert account.sponsoring == sponsoring.get(account_id, 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=8))
def test_nothing_is_made_or_lost_or_raised(walk: list[tuple[Keypair, list[Operation], bool, bool]]) -> None:
    world = settled_world()
    xlm = world.stroops_in_existence()
    for source, chosen, bumped, closing in walk:
        submit(world, source, chosen, bumped)
        if closing:
            before = dict(world.ledger.state.every(ClaimableBalance))
            expected = gns(world)
            closed = world.close()
            assert gns(world) == expected + issued(closed) - burnt_claims(before, closed)
        assert world.stroops_in_existence() == xlm
        reserves_match(world)
        assert all(account.balance >= 0 for _, account in world.ledger.state.every(Account))


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_do_not(raw: bytes) -> None:
    text = base64.b64encode(raw).decode()
    tx = decode(text, NETWORK.id)
    assert tx is None or tx.envelope_xdr == text


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_envelope_is_malformed_or_refused(data: st.DataObject) -> None:
    world = WORLD
    raw = bytearray(base64.b64decode(SIGNED))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    tx = decode(base64.b64encode(raw).decode(), NETWORK.id)
    intact = tx is not None and tx.envelope_xdr == SIGNED  # the damage undid itself
    assert intact or tx is None or world.ledger.submit(tx, world.now).result is not None


@given(predicates, st.integers(0, 2**33))
def test_a_predicate_means_the_same_after_its_times_are_fixed(predicate: ClaimPredicate, elapsed: int) -> None:
    made = predicate.to_xdr_object()
    assume(is_valid(made))
    stored = fixed(made, world_time := 1_900_000_000)
    assert fixed(stored, world_time + 5) == stored
    negated = ClaimPredicate.predicate_not(predicate).to_xdr_object()
    assert holds(fixed(negated, world_time), world_time + elapsed) is not holds(stored, world_time + elapsed)


@pytest.mark.parametrize(
    "entry",
    [
        Account(5, 6, signers={"G": 1}, signer_sponsors={"G": "H"}, sponsor="I"),
        TrustLine(2**63 - 1, 2**63 - 1, 1),
        DataEntry(bytes(range(64)), "G"),
        ClaimableBalance("native", 7, {"G": b"\0"}, "H", modified=3),
    ],
)
def test_an_entry_survives_being_written_down(entry: Account | TrustLine | DataEntry | ClaimableBalance) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=type(entry)) == entry
    copy = entry.clone()
    assert copy == entry
    assert copy is not entry


WORLD = settled_world()
SIGNED = WORLD.signed(PEOPLE[0], Payment(PEOPLE[1].public_key, GNS, "1")).to_xdr()
