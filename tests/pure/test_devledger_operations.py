"""Every kind of operation against a table of states: what it answers, and that failing leaves nothing behind."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from stellar_sdk import (
    Asset,
    AuthorizationFlag,
    BeginSponsoringFutureReserves,
    BumpSequence,
    ChangeTrust,
    Claimant,
    ClaimClaimableBalance,
    ClaimPredicate,
    CreateAccount,
    CreateClaimableBalance,
    EndSponsoringFutureReserves,
    Inflation,
    ManageData,
    Operation,
    Payment,
    SetOptions,
    SetTrustLineFlags,
    Signer,
    TrustLineFlags,
)

from tests.pure.devledger_world import GNS, ISSUER, NETWORK, key, settled_world

TREASURY, WORKER, BARE, CHANNEL, POOR, NOBODY = (
    key(name) for name in ("treasury", "worker", "bare", "channel", "poor", "nobody")
)
XLM = Asset.native()
MAX = "922337203685.4775807"
SEND = (AuthorizationFlag.AUTHORIZATION_REQUIRED, AuthorizationFlag.AUTHORIZATION_REVOCABLE)
AUTHORIZE, MAINTAIN = TrustLineFlags.AUTHORIZED_FLAG, TrustLineFlags.AUTHORIZED_TO_MAINTAIN_LIABILITIES_FLAG


class Case(NamedTuple):
    """Operations of one account, those that come before, and the codes they end with."""

    source: Any
    operations: Sequence[Operation]
    expected: Sequence[str]
    before: Sequence[tuple[Any, Operation]] = ()


def claim(*who: Any) -> list[Claimant]:
    return [Claimant(one.public_key) for one in who]


def flags(trustor: Any, clear: TrustLineFlags | None = None, to_set: TrustLineFlags | None = None) -> Operation:
    return SetTrustLineFlags(trustor.public_key, GNS, clear, to_set)


def nested(depth: int) -> ClaimPredicate:
    predicate = ClaimPredicate.predicate_unconditional()
    for _ in range(depth):
        predicate = ClaimPredicate.predicate_not(predicate)
    return predicate


REVOCABLE = (ISSUER, SetOptions(set_flags=AuthorizationFlag.AUTHORIZATION_REVOCABLE))
REQUIRED = (ISSUER, SetOptions(set_flags=AuthorizationFlag.AUTHORIZATION_REQUIRED))
IMMUTABLE = (ISSUER, SetOptions(set_flags=AuthorizationFlag.AUTHORIZATION_IMMUTABLE))
FROZEN_TREASURY = (REVOCABLE, (ISSUER, flags(TREASURY, clear=AUTHORIZE)))

CASES: dict[str, Case] = {
    "pay": Case(TREASURY, [Payment(WORKER.public_key, GNS, "1")], ["op_success"]),
    "pay the issuer, which burns": Case(TREASURY, [Payment(ISSUER.public_key, GNS, "1")], ["op_success"]),
    "pay oneself": Case(TREASURY, [Payment(TREASURY.public_key, GNS, "1")], ["op_success"]),
    "pay without the destination's trust": Case(TREASURY, [Payment(BARE.public_key, GNS, "1")], ["op_no_trust"]),
    "pay nobody": Case(TREASURY, [Payment(NOBODY.public_key, GNS, "1")], ["op_no_destination"]),
    "pay over the limit": Case(TREASURY, [Payment(WORKER.public_key, GNS, "500.0000001")], ["op_line_full"]),
    "pay more than there is": Case(TREASURY, [Payment(ISSUER.public_key, GNS, "1000.0000001")], ["op_underfunded"]),
    "pay without own trust": Case(BARE, [Payment(WORKER.public_key, GNS, "1")], ["op_src_no_trust"]),
    "pay frozen": Case(TREASURY, [Payment(WORKER.public_key, GNS, "1")], ["op_src_not_authorized"], FROZEN_TREASURY),
    "pay somebody frozen": Case(
        ISSUER, [Payment(TREASURY.public_key, GNS, "1")], ["op_not_authorized"], FROZEN_TREASURY
    ),
    "pay nothing": Case(TREASURY, [Payment(WORKER.public_key, GNS, "0")], ["op_malformed"]),
    "pay XLM": Case(TREASURY, [Payment(BARE.public_key, XLM, "1")], ["op_success"]),
    "pay XLM out of the reserve": Case(POOR, [Payment(BARE.public_key, XLM, "0.5")], ["op_underfunded"]),
    "pay XLM to nobody": Case(TREASURY, [Payment(NOBODY.public_key, XLM, "1")], ["op_no_destination"]),
    "pay XLM to oneself without having it": Case(POOR, [Payment(POOR.public_key, XLM, "999")], ["op_success"]),
    "report every bad operation at once": Case(
        TREASURY,
        [
            Payment(WORKER.public_key, GNS, "1"),
            Payment(NOBODY.public_key, GNS, "1"),
            Payment(BARE.public_key, GNS, "1"),
            Payment(WORKER.public_key, GNS, "900"),
            Payment(WORKER.public_key, GNS, "1"),
        ],
        ["op_success", "op_no_destination", "op_no_trust", "op_line_full", "op_success"],
    ),
    "create": Case(TREASURY, [CreateAccount(NOBODY.public_key, "1")], ["op_success"]),
    "create what exists": Case(TREASURY, [CreateAccount(BARE.public_key, "1")], ["op_already_exists"]),
    "create below the reserve": Case(TREASURY, [CreateAccount(NOBODY.public_key, "0.9")], ["op_low_reserve"]),
    "create without the means": Case(POOR, [CreateAccount(NOBODY.public_key, "1")], ["op_underfunded"]),
    "create oneself": Case(TREASURY, [CreateAccount(TREASURY.public_key, "1")], ["op_malformed"]),
    "trust": Case(BARE, [ChangeTrust(GNS)], ["op_success"]),
    "trust a nobody's asset": Case(BARE, [ChangeTrust(Asset("ABC", NOBODY.public_key))], ["op_no_issuer"]),
    "trust oneself": Case(ISSUER, [ChangeTrust(GNS)], ["op_malformed"]),
    "trust without the reserve": Case(POOR, [ChangeTrust(GNS)], ["op_low_reserve"]),
    "trust less than one holds": Case(TREASURY, [ChangeTrust(GNS, "999")], ["op_invalid_limit"]),
    "end trust that holds something": Case(TREASURY, [ChangeTrust(GNS, "0")], ["op_invalid_limit"]),
    "end trust": Case(WORKER, [ChangeTrust(GNS, "0")], ["op_success"]),
    "end trust that never was": Case(BARE, [ChangeTrust(GNS, "0")], ["op_invalid_limit"]),
    "trust an asset that asks for leave": Case(BARE, [ChangeTrust(GNS)], ["op_success"], [REQUIRED]),
    "give leave": Case(ISSUER, [flags(BARE, to_set=AUTHORIZE)], ["op_success"], [REQUIRED, (BARE, ChangeTrust(GNS))]),
    "give leave without a line": Case(ISSUER, [flags(BARE, to_set=AUTHORIZE)], ["op_no_trust"]),
    "take leave irrevocably given": Case(ISSUER, [flags(WORKER, clear=AUTHORIZE)], ["op_cant_revoke"]),
    "lower leave irrevocably given": Case(ISSUER, [flags(WORKER, AUTHORIZE, MAINTAIN)], ["op_cant_revoke"]),
    "take leave": Case(ISSUER, [flags(WORKER, clear=AUTHORIZE)], ["op_success"], [REVOCABLE]),
    "half and whole leave": Case(ISSUER, [flags(WORKER, to_set=MAINTAIN)], ["op_invalid_state"], [REVOCABLE]),
    "give leave for another's asset": Case(BARE, [flags(WORKER, to_set=AUTHORIZE)], ["op_malformed"]),
    "note": Case(BARE, [ManageData("hive.epoch", b"root")], ["op_success"]),
    "note over a note": Case(BARE, [ManageData("a", b"2")], ["op_success"], [(BARE, ManageData("a", b"1"))]),
    "drop a note": Case(BARE, [ManageData("a", None)], ["op_success"], [(BARE, ManageData("a", b"1"))]),
    "drop no note": Case(BARE, [ManageData("a", None)], ["op_data_name_not_found"]),
    "note without the reserve": Case(POOR, [ManageData("a", b"1")], ["op_low_reserve"]),
    "note under a bad name": Case(BARE, [ManageData("a\x7f", b"1")], ["op_data_invalid_name"]),
    "bump": Case(BARE, [BumpSequence(10**15)], ["op_success"]),
    "bump backwards": Case(BARE, [BumpSequence(0)], ["op_success"]),
    "add a signer": Case(BARE, [SetOptions(signer=Signer.ed25519_public_key(WORKER.public_key, 1))], ["op_success"]),
    "add oneself as a signer": Case(
        BARE, [SetOptions(signer=Signer.ed25519_public_key(BARE.public_key, 1))], ["op_bad_signer"]
    ),
    "add a signer without the reserve": Case(
        POOR, [SetOptions(signer=Signer.ed25519_public_key(WORKER.public_key, 1))], ["op_low_reserve"]
    ),
    "add a signer too heavy": Case(
        BARE, [SetOptions(signer=Signer.ed25519_public_key(WORKER.public_key, 256))], ["op_bad_signer"]
    ),
    "add the 21st signer": Case(
        BARE,
        [SetOptions(signer=Signer.ed25519_public_key(key(f"s{n}").public_key, 1)) for n in range(21)],
        [*["op_success"] * 20, "op_too_many_signers"],
    ),
    "threshold out of range": Case(BARE, [SetOptions(med_threshold=256)], ["op_threshold_out_of_range"]),
    "flags for and against": Case(BARE, [SetOptions(set_flags=SEND[0], clear_flags=SEND[0])], ["op_bad_flags"]),
    "clawback without revocation": Case(
        BARE,
        [SetOptions(set_flags=AuthorizationFlag.AUTHORIZATION_CLAWBACK_ENABLED)],
        ["op_auth_revocable_required"],
    ),
    "change what is immutable": Case(ISSUER, [SetOptions(set_flags=SEND[0])], ["op_cant_change"], [IMMUTABLE]),
    "inflation to nobody": Case(BARE, [SetOptions(inflation_dest=NOBODY.public_key)], ["op_invalid_inflation"]),
    "home domain": Case(BARE, [SetOptions(home_domain="hive.example")], ["op_success"]),
    "set aside": Case(TREASURY, [CreateClaimableBalance(GNS, "1", claim(WORKER, TREASURY))], ["op_success"]),
    "set aside too much": Case(TREASURY, [CreateClaimableBalance(GNS, "1001", claim(BARE))], ["op_underfunded"]),
    "set aside without trust": Case(BARE, [CreateClaimableBalance(GNS, "1", claim(BARE))], ["op_no_trust"]),
    "set aside frozen": Case(
        TREASURY, [CreateClaimableBalance(GNS, "1", claim(BARE))], ["op_not_authorized"], FROZEN_TREASURY
    ),
    "set aside XLM without the means": Case(POOR, [CreateClaimableBalance(XLM, "1", claim(BARE))], ["op_underfunded"]),
    "set aside without the reserve": Case(
        POOR,
        [CreateClaimableBalance(GNS, "1", claim(BARE), source=ISSUER.public_key), BumpSequence(0)],
        ["op_low_reserve", "op_success"],
        [(ISSUER, Payment(NETWORK.root.public_key, XLM, "998.9999"))],
    ),
    "set aside for one twice": Case(TREASURY, [CreateClaimableBalance(GNS, "1", claim(BARE, BARE))], ["op_malformed"]),
    "set aside under a deep predicate": Case(
        TREASURY, [CreateClaimableBalance(GNS, "1", [Claimant(BARE.public_key, nested(4))])], ["op_malformed"]
    ),
    "claim what is not there": Case(BARE, [ClaimClaimableBalance("00000000" + "ab" * 32)], ["op_does_not_exist"]),
    "sponsor oneself": Case(BARE, [BeginSponsoringFutureReserves(BARE.public_key)], ["op_malformed"]),
    "end no sponsoring": Case(BARE, [EndSponsoringFutureReserves()], ["op_not_sponsored"]),
    "sponsor one twice": Case(
        BARE, [BeginSponsoringFutureReserves(WORKER.public_key)] * 2, ["op_success", "op_already_sponsored"]
    ),
    "an operation unknown here": Case(BARE, [Inflation()], ["op_not_supported"]),
    "a source that does not exist": Case(
        TREASURY,
        [Payment(TREASURY.public_key, XLM, "1", source=NOBODY.public_key)],
        ["op_no_source_account"],
    ),
    "a source created in time": Case(
        TREASURY,
        [
            CreateAccount(NOBODY.public_key, "5"),
            Payment(TREASURY.public_key, XLM, "1", source=NOBODY.public_key),
        ],
        ["op_success", "op_success"],
    ),
}


def sources(case: Case) -> list[Any]:
    known = {one.public_key: one for one in (TREASURY, WORKER, BARE, CHANNEL, POOR, NOBODY, ISSUER)}
    named = [op.source.account_id for op in case.operations if op.source is not None]
    return [case.source, *(known[name] for name in dict.fromkeys(named))]


@pytest.mark.parametrize("name", CASES)
def test_an_operation_answers_as_the_network_does(name: str) -> None:
    case, world = CASES[name], settled_world()
    for source, operation in case.before:
        world.must(source, operation)
    balances = {one.public_key: (world.account(one).balance, world.holding(one)) for one in (TREASURY, WORKER, BARE)}
    fees = world.ledger.fee_pool
    codes = world.do(case.source, *case.operations, signers=sources(case))
    assert codes["operations"] == list(case.expected)
    succeeded = set(case.expected) == {"op_success"}
    assert codes["transaction"] == ("tx_success" if succeeded else "tx_failed")
    if not succeeded:
        paid = world.ledger.fee_pool - fees
        for one in (TREASURY, WORKER, BARE):
            xlm, gns = balances[one.public_key]
            own_fee = paid if one == case.source else 0
            assert (world.account(one).balance, world.holding(one)) == (xlm - own_fee, gns)
