"""Claims, sponsors and reserves: what takes several transactions to show."""

from stellar_sdk import (
    Asset,
    AuthorizationFlag,
    BeginSponsoringFutureReserves,
    ChangeTrust,
    Claimant,
    ClaimClaimableBalance,
    ClaimPredicate,
    CreateAccount,
    CreateClaimableBalance,
    EndSponsoringFutureReserves,
    ManageData,
    Payment,
    SetOptions,
    Signer,
    TrustLineFlags,
)

from deploy.devledger.network import BASE_RESERVE
from tests.pure.devledger_world import GNS, ISSUER, NETWORK, key, settled_world

TREASURY, WORKER, BARE, CHANNEL, POOR, NOBODY = (
    key(name) for name in ("treasury", "worker", "bare", "channel", "poor", "nobody")
)
XLM = Asset.native()
MAX = "922337203685.4775807"
SEND = (AuthorizationFlag.AUTHORIZATION_REQUIRED, AuthorizationFlag.AUTHORIZATION_REVOCABLE)
AUTHORIZE, MAINTAIN = TrustLineFlags.AUTHORIZED_FLAG, TrustLineFlags.AUTHORIZED_TO_MAINTAIN_LIABILITIES_FLAG


def test_a_claim_takes_the_right_claimant_the_right_time_and_a_trustline() -> None:
    world = settled_world()
    later = ClaimPredicate.predicate_not(ClaimPredicate.predicate_before_relative_time(100))
    claimants = [Claimant(BARE.public_key), Claimant(TREASURY.public_key, later)]
    envelope = world.signed(TREASURY, CreateClaimableBalance(GNS, "7", claimants))
    balance_id = envelope.transaction.get_claimable_balance_id(0)
    assert world.fate(envelope)["transaction"] == "tx_success"
    assert world.account(TREASURY).sponsoring == 2
    claiming = ClaimClaimableBalance(balance_id)
    assert world.do(WORKER, claiming)["operations"] == ["op_cannot_claim"]
    assert world.do(TREASURY, claiming)["operations"] == ["op_cannot_claim"]
    assert world.do(BARE, claiming)["operations"] == ["op_no_trust"]
    world.must(BARE, ChangeTrust(GNS, "6"))
    assert world.do(BARE, claiming)["operations"] == ["op_line_full"]
    world.now += 100
    world.must(TREASURY, claiming)
    assert world.holding(TREASURY) == 1000 * 10**7
    assert world.account(TREASURY).sponsoring == 0
    assert world.do(BARE, claiming)["operations"] == ["op_does_not_exist"]


def test_a_sponsor_carries_the_reserves_of_a_new_worker() -> None:
    world = settled_world()
    world.must(
        TREASURY,
        BeginSponsoringFutureReserves(NOBODY.public_key),
        CreateAccount(NOBODY.public_key, "0"),
        ChangeTrust(GNS, source=NOBODY.public_key),
        ManageData("note", b"1", source=NOBODY.public_key),
        SetOptions(signer=Signer.ed25519_public_key(WORKER.public_key, 1), source=NOBODY.public_key),
        EndSponsoringFutureReserves(source=NOBODY.public_key),
        signers=[TREASURY, NOBODY],
    )
    assert world.account(NOBODY).balance == 0
    assert (world.account(NOBODY).sponsored, world.account(NOBODY).subentries) == (5, 3)
    assert world.account(TREASURY).sponsoring == 5
    world.must(
        TREASURY,
        ManageData("note", None, source=NOBODY.public_key),
        ChangeTrust(GNS, "0", source=NOBODY.public_key),
        SetOptions(signer=Signer.ed25519_public_key(WORKER.public_key, 0), source=NOBODY.public_key),
        signers=[TREASURY, NOBODY],
    )
    assert (world.account(NOBODY).sponsored, world.account(NOBODY).subentries) == (2, 0)
    assert world.account(TREASURY).sponsoring == 2


def test_a_sponsorship_left_open_undoes_the_transaction() -> None:
    world = settled_world()
    opened = [BeginSponsoringFutureReserves(WORKER.public_key), ManageData("a", b"1")]
    assert world.do(BARE, *opened) == {"transaction": "tx_bad_sponsorship"}
    assert world.account(BARE).subentries == 0


def test_a_chain_of_sponsors_is_refused() -> None:
    world = settled_world()
    codes = world.do(
        TREASURY,
        BeginSponsoringFutureReserves(WORKER.public_key),
        BeginSponsoringFutureReserves(BARE.public_key, source=WORKER.public_key),
        signers=[TREASURY, WORKER],
    )
    assert codes["operations"] == ["op_success", "op_recursive"]


def test_a_sponsor_without_means_cannot_carry_another() -> None:
    world = settled_world()
    codes = world.do(
        POOR,
        BeginSponsoringFutureReserves(BARE.public_key),
        ChangeTrust(GNS, source=BARE.public_key),
        EndSponsoringFutureReserves(source=BARE.public_key),
        signers=[POOR, BARE],
    )
    assert codes["operations"] == ["op_success", "op_low_reserve", "op_success"]


def test_reserves_are_counted_to_the_stroop() -> None:
    world = settled_world()
    world.must(NETWORK.root, CreateAccount(NOBODY.public_key, "1.5000200"))
    world.must(NOBODY, ChangeTrust(GNS))
    assert world.account(NOBODY).balance == 3 * BASE_RESERVE + 100
    assert world.do(NOBODY, ManageData("a", b"1"))["operations"] == ["op_low_reserve"]


def test_an_issuer_makes_its_asset_without_bounds_and_a_line_never_overflows() -> None:
    world = settled_world()
    world.must(BARE, ChangeTrust(GNS, MAX))
    world.must(ISSUER, Payment(BARE.public_key, GNS, MAX))
    assert world.do(ISSUER, Payment(BARE.public_key, GNS, "0.0000001"))["operations"] == ["op_line_full"]
