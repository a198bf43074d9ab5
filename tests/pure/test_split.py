"""Shares are exact to the stroop, and journal entries balance."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from coordinator.settle import ledger
from coordinator.settle.split import Split, own_share, split
from shared.ids import MAX_STROOPS

AMOUNTS = st.integers(0, MAX_STROOPS)
JOB, ACCOUNT = UUID(int=7), UUID(int=8)


def total(legs: Split) -> int:
    return legs.worker + legs.platform + legs.resilience + legs.quorum


@pytest.mark.parametrize(
    ("cost", "legs"),
    [
        (0, (0, 0, 0, 0)),
        (1, (1, 0, 0, 0)),
        (19, (14, 4, 1, 0)),
        (100, (60, 25, 10, 5)),
        (1_000_000_007, (600_000_006, 250_000_001, 100_000_000, 50_000_000)),
    ],
)
def test_split(cost: int, legs: tuple[int, int, int, int]) -> None:
    assert split(cost) == Split(*legs)


@given(AMOUNTS)
def test_the_legs_are_the_cost_and_no_pool_gets_more_than_its_share(cost: int) -> None:
    legs = split(cost)
    assert total(legs) == cost
    assert 0 <= cost * 25 - legs.platform * 100 < 100
    assert 0 <= cost * 10 - legs.resilience * 100 < 100
    assert 0 <= cost * 5 - legs.quorum * 100 < 100
    assert legs.worker * 100 >= cost * 60


@given(AMOUNTS, st.integers(0, 4000), st.integers(0, 4000))
def test_a_share_of_the_tokens_moves_the_rest_to_the_resilience_fund(cost: int, own: int, earlier: int) -> None:
    whole = split(cost)
    legs = own_share(whole, own, own + earlier)
    assert total(legs) == cost
    assert (legs.platform, legs.quorum) == (whole.platform, whole.quorum)
    assert legs.worker <= whole.worker
    assert legs == whole or earlier


@given(AMOUNTS, AMOUNTS)
def test_the_entries_of_a_job_balance_and_empty_its_hold(held: int, cost: int) -> None:
    cost = min(held, cost)
    entries = [
        *ledger.hold(JOB, ACCOUNT, held),
        *ledger.settle(JOB, ACCOUNT, "ab", split(cost)),
        *ledger.release(JOB, ACCOUNT, held - cost),
    ]
    folded: dict[str, int] = {}
    for entry in entries:
        assert sum(entry.amounts) == 0
        assert 0 not in entry.amounts
        for account, amount in zip(entry.accounts, entry.amounts, strict=True):
            folded[account] = folded.get(account, 0) + amount
    assert folded.get(ledger.hold_of(ACCOUNT), 0) == 0
    assert folded.get(ledger.balance_of(ACCOUNT), 0) == -cost
    assert folded.get(ledger.earned_by("ab"), 0) == split(cost).worker


def test_an_unpaid_job_has_no_entries() -> None:
    assert ledger.hold(JOB, ACCOUNT, 0) == ledger.settle(JOB, ACCOUNT, "ab", split(0)) == []


def test_grants_and_payouts_balance() -> None:
    (given_,) = ledger.grant(date(2026, 1, 1), JOB, ACCOUNT, 5)
    (paid,) = ledger.payout(date(2026, 1, 1), JOB, [(ledger.earned_by("ab"), 3), (ledger.PLATFORM, 2)])
    assert (given_.accounts, given_.amounts) == ([ledger.ISSUE, ledger.balance_of(ACCOUNT)], [-5, 5])
    assert (paid.accounts, paid.amounts) == (["worker:ab", ledger.PLATFORM, ledger.PAID], [-3, -2, 5])
