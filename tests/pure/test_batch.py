"""What a payout batch pays, and what becomes of payables when it fails."""

import hashlib
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from stellar_sdk import FeeBumpTransactionEnvelope, Keypair

from coordinator.settle.batch import MAX_WORKERS, Due, Fate, fates, gather, merkle_root, trouble
from coordinator.settle.ledger import PLATFORM, earned_by
from coordinator.settle.stellar import LedgerKeys, Leg, Route, build, worker_address
from coordinator.store.rows import Payable

ENGINE = Keypair.from_raw_ed25519_seed(b"e" * 32)
TREASURY = Keypair.from_raw_ed25519_seed(b"t" * 32).public_key
NAMES = ("issuer", "fee", "platform", "resilience", "quorum")
KEYS = LedgerKeys(
    passphrase="test",
    asset_code="GNS",
    treasury=TREASURY,
    engine_seed=ENGINE.secret,
    channels=[Keypair.from_raw_ed25519_seed(b"c" * 32).public_key],
    **{name: Keypair.from_raw_ed25519_seed(name.encode().ljust(32, b"-")).public_key for name in NAMES},
)


def worker(n: int) -> str:
    return bytes(Keypair.from_raw_ed25519_seed(n.to_bytes(32, "big")).raw_public_key()).hex()


def due(n: int, pk: str, amount: int = 60, route: str = "pay") -> Due:
    payable = Payable(id=UUID(int=n), attempt=1, worker_pk=pk, worker=amount, platform=25, resilience=10, quorum=5)
    return Due(n, payable, "claim" if route == "claim" else "pay")


def test_payables_of_a_worker_are_one_leg_and_the_pools_come_last() -> None:
    batch = gather([due(1, worker(1)), due(2, worker(2)), due(3, worker(1))], KEYS)
    assert batch.legs == [
        Leg(worker_address(worker(1)), 120),
        Leg(worker_address(worker(2)), 60),
        Leg(KEYS.platform, 75),
        Leg(KEYS.resilience, 30),
        Leg(KEYS.quorum, 15),
    ]
    assert batch.workers == [(worker(1), "pay"), (worker(2), "pay")]
    assert batch.total == 300


def test_a_leg_of_nothing_is_left_out() -> None:
    nothing = Due(
        1, Payable(id=UUID(int=1), attempt=1, worker_pk=worker(1), worker=0, platform=0, resilience=7, quorum=0), "pay"
    )
    batch = gather([nothing], KEYS)
    assert batch.legs == [Leg(KEYS.resilience, 7)]
    assert (batch.workers, batch.pools) == ([], ["pool:resilience"])


def test_a_transaction_holds_97_workers_and_no_more() -> None:
    full = [due(n, worker(n)) for n in range(1, MAX_WORKERS + 1)]
    assert len(gather(full, KEYS).legs) == 100
    with pytest.raises(ValueError, match="98 workers"):
        gather([*full, due(99, worker(99))], KEYS)


def test_the_memo_does_not_depend_on_the_order_of_rows() -> None:
    rows = [due(n, worker(1)) for n in range(1, 6)]
    assert gather(rows, KEYS).memo == gather(rows[::-1], KEYS).memo


def test_merkle_root_is_rfc_6962() -> None:
    def leaf(b: bytes) -> bytes:
        return hashlib.sha256(b"\0" + b).digest()

    def node(a: bytes, b: bytes) -> bytes:
        return hashlib.sha256(b"\1" + a + b).digest()

    assert merkle_root([]) == hashlib.sha256(b"").digest()
    assert merkle_root([b"a"]) == leaf(b"a")
    assert merkle_root([b"a", b"b", b"c"]) == node(node(leaf(b"a"), leaf(b"b")), leaf(b"c"))


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40))
def test_no_two_lists_share_a_root_by_repeating_the_last(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) != merkle_root([*leaves, leaves[-1]])


A, B, C = (earned_by(worker(n)) for n in (1, 2, 3))
PAID: list[tuple[str, Route]] = [(A, "pay"), (B, "pay"), (C, "pay"), (C, "claim"), (PLATFORM, "pay")]
DONE = "payment_success"


def test_after_a_failure_each_worker_goes_its_own_way() -> None:
    codes = ["payment_no_trust", "payment_line_full", DONE, "create_claimable_balance_success", DONE]
    assert fates(PAID, codes) == [
        Fate("ready", "claim", "payment_no_trust"),
        Fate("held", "pay", "payment_line_full"),
        Fate("ready", "pay", None),
        Fate("ready", "claim", None),
        Fate("ready", "pay", None),
    ]
    assert trouble(PAID, codes) is None


def test_the_treasurys_own_trouble_is_nobodys_fault() -> None:
    codes = ["payment_underfunded"] * 3 + ["create_claimable_balance_low_reserve", DONE]
    assert fates(PAID, codes) == [Fate("ready", route, None) for _, route in PAID]
    assert trouble(PAID, codes) == "payment_underfunded"
    assert trouble(PAID, [DONE, DONE, DONE, "create_claimable_balance_low_reserve", DONE]) is not None


def test_a_pool_that_cannot_be_paid_is_the_operators_trouble() -> None:
    codes = [DONE, DONE, DONE, "create_claimable_balance_success", "payment_no_trust"]
    assert fates(PAID, codes)[-1] == Fate("ready", "pay", None)
    assert trouble(PAID, codes) == "payment_no_trust"


def test_an_envelope_is_bound_to_channel_and_sequence() -> None:
    legs = [Leg(worker_address(worker(1)), 12_345_678), Leg(worker_address(worker(2)), 1, "claim")]
    made = build(KEYS, KEYS.channels[0], 42, legs, b"m" * 32, max_ledger=24, max_time=1_900_000_000, fee=1000)
    outer = FeeBumpTransactionEnvelope.from_xdr(made.xdr, "test")
    inner = outer.transaction.inner_transaction_envelope
    assert inner.hash_hex() == made.inner_hash
    assert outer.hash_hex() == made.outer_hash
    assert inner.transaction.sequence == 42
    assert inner.transaction.source.account_id == KEYS.channels[0]
    assert [o.source and o.source.account_id for o in inner.transaction.operations] == [TREASURY, TREASURY]
    assert inner.transaction.preconditions is not None
    assert inner.transaction.preconditions.ledger_bounds is not None
    assert inner.transaction.preconditions.ledger_bounds.max_ledger == 24
