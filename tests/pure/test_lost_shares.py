"""What lost workers are owed: exact to the stroop, only for tokens that are in the answer, and only to who signs for them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st
from nacl.signing import SigningKey

from coordinator.queue.lifecycle import Event, State
from coordinator.settle import ledger
from coordinator.settle.due import SIGN, due
from coordinator.settle.split import Leg, Lost, Split, divide, own_share, split
from coordinator.store.changes import End
from coordinator.store.shares import Found
from coordinator.verify.shares import TOO_LATE, UNKNOWN, Answer, answer, forged, read_share
from shared.crypto import chain_extend, chain_start, public_key
from shared.ids import MAX_STROOPS
from shared.protocol.messages import Share
from shared.receipt import ShareReceipt, share_of, share_signed, sign_receipt, sign_share
from shared.shares import nothing_of
from tests.pure.protocol_pair import BODY, JOB, WORKER

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PK = public_key(WORKER)
NOTHING = nothing_of(msgspec.structs.replace(BODY, resume_ids=[9, 9]), engine_build="b")
SHARE = share_of(NOTHING, [5, 6, 7])


def found(**different: Any) -> Found:
    gone_out = msgspec.structs.replace(SHARE, engine_build="")
    usual: dict[str, Any] = {
        "state": "unsigned",
        "amount": 5,
        "sign_until": NOW + SIGN,
        "forfeited": 0,
        "share": gone_out,
    }
    return Found(**usual | different)


def end(**different: Any) -> End:
    usual = End(
        id=UUID(JOB), attempt=2, state=State.COMPLETED, event=Event.COMPLETE, cost=1000, worker_pk="b", share=(10, 50),
        purge_at=NOW,
    )  # fmt: skip
    return msgspec.structs.replace(usual, **different)


@given(
    st.integers(0, MAX_STROOPS),
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 400)), max_size=4),
    st.integers(0, 400),
)
def test_all_legs_of_a_job_are_its_cost_whoever_made_what(cost: int, ranges: list[tuple[int, int]], own: int) -> None:
    lost, at = [], 0
    for number, (gap, tokens) in enumerate(ranges, 1):
        lost.append(Lost(number, f"w{number}", at + gap, tokens))
        at += gap + tokens
    legs, owed = divide(cost, own, at + own, lost)
    whole = split(cost)
    assert legs.worker + legs.platform + legs.resilience + legs.quorum + sum(leg.amount for leg in owed) == cost
    assert (legs.platform, legs.quorum) == (whole.platform, whole.quorum)
    assert legs.worker == own_share(whole, own, at + own).worker
    assert legs.resilience >= whole.resilience
    assert all(0 < leg.amount <= whole.worker for leg in owed)
    assert [leg.attempt for leg in owed] == sorted({leg.attempt for leg in owed})
    if not any(gap for gap, _ in ranges):
        assert legs.resilience - whole.resilience <= len(lost)


@pytest.mark.parametrize(
    "lost",
    [
        [Lost(1, "a", 0, 41)],
        [Lost(1, "a", 1, 40)],
        [Lost(1, "a", 39, 2)],
    ],
)
def test_tokens_that_are_not_in_the_answer_are_paid_to_nobody(lost: list[Lost]) -> None:
    assert divide(1000, 10, 50, lost) == (own_share(split(1000), 10, 50), [])


def test_of_two_that_claim_the_same_tokens_the_earlier_attempt_made_them() -> None:
    _, owed = divide(1000, 10, 50, [Lost(1, "a", 0, 30), Lost(2, "b", 20, 20), Lost(3, "c", 30, 10)])
    assert owed == [Leg(1, "a", 360), Leg(3, "c", 120)]


def test_a_job_that_lost_nobody_is_owed_for_as_ever() -> None:
    owed = due(end(share=(50, 50)), [])
    (payable,) = owed.payables
    assert (payable.worker, payable.platform, payable.resilience, payable.quorum) == (600, 250, 100, 50)
    assert (owed.unsigned, owed.earned, owed.until(payable, NOW)) == (frozenset(), 600, None)


def test_both_workers_are_owed_by_the_tokens_that_they_made_and_the_lost_one_must_sign() -> None:
    owed = due(end(), [Lost(1, "a", 0, 40)])
    last, first = owed.payables
    assert (last.attempt, last.worker_pk, last.worker, last.resilience) == (2, "b", 120, 100)
    assert (first.attempt, first.worker_pk, first.worker, first.resilience) == (1, "a", 480, 0)
    assert (owed.until(last, NOW), owed.until(first, NOW), owed.earned) == (None, NOW + timedelta(hours=24), 120)


@pytest.mark.parametrize(
    "different", [{}, {"worker_pk": "a", "share": (40, 40), "state": State.FAILED, "event": Event.LOSE}]
)
def test_a_job_that_ends_after_the_loss_of_its_worker_waits_for_that_one_with_all_its_legs(different: Any) -> None:
    ended = end(**{"attempt": 1, "state": State.CANCELLED, "event": Event.CANCEL, "share": (0, 40)} | different)
    owed = due(ended, [Lost(1, "a", 0, 40)])
    (payable,) = owed.payables
    assert (payable.worker_pk, payable.worker, payable.platform, payable.resilience) == ("a", 600, 250, 100)
    assert (owed.unsigned, owed.earned) == (frozenset({1}), 0)


def test_what_the_last_lost_worker_made_and_nobody_has_noted_is_the_funds() -> None:
    (payable,) = due(end(state=State.FAILED, event=Event.LOSE), []).payables
    assert (payable.worker, payable.resilience) == (0, 700)


@given(st.integers(1, MAX_STROOPS), st.integers(1, 50), st.integers(0, 50))
def test_the_entries_of_a_handed_over_job_balance_and_forfeiting_moves_the_leg(cost: int, first: int, own: int) -> None:
    owed = due(end(cost=cost, share=(own, first + own)), [Lost(1, "a", 0, first)])
    last, *others = owed.payables
    legs = Split(last.worker, last.platform, last.resilience, last.quorum)
    account = UUID(int=8)
    entries = ledger.settle(UUID(JOB), account, "b", legs, [(p.worker_pk, p.worker) for p in others])
    for p in others:
        entries += ledger.forfeit(UUID(JOB), p.attempt, p.worker_pk, p.worker)
    folded: dict[str, int] = {}
    for entry in entries:
        assert sum(entry.amounts) == 0
        for name, amount in zip(entry.accounts, entry.amounts, strict=True):
            folded[name] = folded.get(name, 0) + amount
    assert folded[ledger.hold_of(account)] == -cost
    assert folded.get("worker:a", 0) == 0
    assert folded.get(ledger.RESILIENCE, 0) == split(cost).resilience + split(cost).worker - last.worker
    assert len({entry.ref for entry in entries}) == len(entries)


def test_a_share_says_what_a_receipt_of_the_attempt_would() -> None:
    assert SHARE.chain_head == chain_extend(chain_start(JOB, 1), 2, [5, 6, 7]).hex()
    assert (SHARE.offset, SHARE.tokens_out, SHARE.worker_pk, SHARE.verifiability) == (2, 3, PK, "seeded")
    assert share_of(NOTHING, []) == NOTHING


def test_only_its_worker_signs_a_share_and_a_receipts_signature_is_none() -> None:
    signature = sign_share(WORKER, SHARE)
    assert share_signed(SHARE, signature)
    assert not share_signed(SHARE, sign_share(SigningKey(b"x" * 32), SHARE))
    assert not share_signed(SHARE, sign_receipt(WORKER, SHARE))  # type: ignore[arg-type]
    assert not share_signed(msgspec.structs.replace(SHARE, tokens_out=4), signature)
    assert forged(SHARE, signature, PK) == ""
    assert "another worker" in forged(SHARE, signature, "ab" * 32)
    assert "signature" in forged(SHARE, "00" * 64, PK)


@pytest.mark.parametrize("broken", [{}, {"version": 1}, msgspec.to_builtins(SHARE) | {"more": 1}])
def test_what_is_no_share_is_not_read(broken: dict[str, Any]) -> None:
    assert read_share(Share(broken, "00" * 64)) is None
    assert read_share(Share(msgspec.to_builtins(SHARE), "00" * 64)) == SHARE


@pytest.mark.parametrize(
    ("payable", "at", "told"),
    [
        (found(), NOW, Answer("accepted")),
        (found(), NOW + SIGN - timedelta(seconds=1), Answer("accepted")),
        (found(), NOW + SIGN, Answer("late", TOO_LATE)),
        (found(state="ready", forfeited=5, amount=0), NOW, Answer("late", TOO_LATE)),
        (found(state="accrued"), NOW + 2 * SIGN, Answer("duplicate")),
        (found(state="paid"), NOW, Answer("duplicate")),
        (found(state="ready", amount=0), NOW, Answer("duplicate")),
        (None, NOW, Answer("late", UNKNOWN)),
    ],
)
def test_each_outcome_of_a_signed_share(payable: Found | None, at: datetime, told: Answer) -> None:
    assert answer(SHARE, payable, at) == told


@pytest.mark.parametrize("state", ["unsigned", "accrued", "ready", "reserved", "paid", "held"])
@pytest.mark.parametrize("name", [name for name in ShareReceipt.__struct_fields__ if name != "engine_build"])
def test_another_share_than_went_out_is_rejected_whenever_it_comes(name: str, state: str) -> None:
    value = getattr(SHARE, name)
    lie = msgspec.structs.replace(SHARE, **{name: value + 1 if isinstance(value, int) else value[::-1] + "x"})
    said = answer(lie, found(state=state), NOW)
    assert (said.verdict, name in said.reason) == ("rejected", True)


def test_a_share_has_no_room_for_words() -> None:
    for build in ("x" * 1000, "\0"):
        assert answer(msgspec.structs.replace(SHARE, engine_build=build), found(), NOW).verdict == "rejected"
