"""What an undecided batch needs next: every kind of finding against every age of its newest envelope."""

import pytest

from coordinator.settle import attempts
from coordinator.settle.attempts import (
    FIRST_BID,
    MAX_BID,
    SPAN_LEDGERS,
    SPENT_ELSEWHERE,
    Block,
    Decide,
    Renew,
    Send,
    Step,
    Wait,
    after_send,
    is_strange,
    needs_person,
    next_step,
    to_look_up,
)
from coordinator.settle.stellar import Answer, Found
from coordinator.store.payouts import EnvelopeRow

MADE_AT = 1_000


def envelope(n: int = 1, status: str | None = None, fee: int = FIRST_BID, made_at: int = MADE_AT) -> EnvelopeRow:
    return EnvelopeRow(
        batch_id=1,
        n=n,
        xdr="",
        outer_hash=f"outer{n}",
        inner_hash=f"inner{n}",
        max_ledger=made_at + SPAN_LEDGERS,
        max_time=0,
        max_fee=fee,
        status=status,
    )


def found(code: str) -> Found:
    return Found("outer", 7, code, [], 500, "", {})


def step(latest: int, *tried: EnvelopeRow, elsewhere: bool = False, **codes: str) -> Step:
    shown = {inner_hash: found(code) for inner_hash, code in codes.items()}
    return next_step(latest, tried, shown, elsewhere=elsewhere)


@pytest.mark.parametrize("status", [None, "PENDING", "UNKNOWN", "ERROR txbad_seq"])
@pytest.mark.parametrize("age", [0, SPAN_LEDGERS, 10_000])
@pytest.mark.parametrize("code", ["txsuccess", "txfailed"])
def test_what_ran_on_the_ledger_decides_whatever_else_is_known(code: str, age: int, status: str | None) -> None:
    tried = [envelope(2, status), envelope(1)]
    for inner_hash in ("inner1", "inner2"):
        assert step(MADE_AT + age, *tried, elsewhere=True, **{inner_hash: code}) == Decide(inner_hash, found(code))


@pytest.mark.parametrize("code", ["txtoo_late", "txbad_seq", "txinsufficient_balance"])
def test_an_envelope_that_ran_without_its_operations_only_ends_itself(code: str) -> None:
    assert step(MADE_AT, envelope(2), envelope(1), inner1=code) == Send(envelope(2))
    assert step(MADE_AT, envelope(2), envelope(1), inner2=code) == Renew(2, FIRST_BID)
    assert step(MADE_AT, envelope(1), inner1="txbad_auth") == Block("txbad_auth")


def test_an_envelope_is_sent_until_the_ledger_can_take_it_no_more() -> None:
    last = MADE_AT + SPAN_LEDGERS - 1
    assert step(last, envelope(status="UNKNOWN")) == Send(envelope(status="UNKNOWN"))
    assert step(last + 1, envelope(status="UNKNOWN")) == Renew(1, FIRST_BID)


@pytest.mark.parametrize("status", ["PENDING", "DUPLICATE", "TRY_AGAIN_LATER"])
def test_what_waits_in_the_queue_too_long_bids_more_up_to_the_cap(status: str) -> None:
    waiting, highest = envelope(status=status), envelope(status=status, fee=MAX_BID)
    assert step(MADE_AT + 3, waiting) == Send(waiting)
    assert step(MADE_AT + 4, waiting) == Renew(1, MAX_BID)
    assert step(MADE_AT + 4, highest) == Send(highest)
    assert step(MADE_AT + SPAN_LEDGERS, highest) == Renew(1, MAX_BID)


def test_a_number_that_somebody_else_spent_needs_a_person() -> None:
    assert step(MADE_AT, envelope(), elsewhere=True) == Block(SPENT_ELSEWHERE)


def test_only_a_bid_too_low_or_a_wrong_key_is_believed_of_an_answer() -> None:
    for status in ("PENDING", "DUPLICATE", "TRY_AGAIN_LATER", "UNKNOWN"):
        assert after_send(Answer(status), envelope()) == Wait()
    for code in ("txbad_seq", "txtoo_late", "txtoo_early", "txinsufficient_balance", "txinternal_error"):
        assert after_send(Answer("ERROR", code), envelope()) == Wait()
    assert after_send(Answer("ERROR", "txinsufficient_fee"), envelope(3)) == Renew(3, MAX_BID)
    assert after_send(Answer("ERROR", "txinsufficient_fee"), envelope(fee=MAX_BID)) == Wait()
    assert after_send(Answer("ERROR", "opbad_auth"), envelope()) == Block("opbad_auth")


def test_what_needs_a_person() -> None:
    for code in ("txbad_auth", "txno_account", "txmalformed", "opbad_auth", "payment_malformed"):
        assert needs_person(code)
    for code in ("", "txsuccess", "txfailed", "txbad_seq", "txinsufficient_fee", "txinsufficient_balance"):
        assert not needs_person(code)


def test_all_envelopes_are_looked_up_once_the_number_is_called_spent() -> None:
    older = [envelope(n) for n in (4, 3, 2, 1)]
    assert [e.n for e in to_look_up([envelope(5, "PENDING"), *older])] == [5, 4, 3]
    assert [e.n for e in to_look_up([envelope(5, "ERROR txbad_seq"), *older])] == [5, 4, 3, 2, 1]


def test_a_spent_number_is_strange_only_after_a_hundred_ledgers() -> None:
    tried = [envelope(2, "ERROR txbad_seq", made_at=MADE_AT + 30), envelope(1)]
    assert not is_strange(MADE_AT + attempts.STRANGE_LEDGERS - 1, tried)
    assert is_strange(MADE_AT + attempts.STRANGE_LEDGERS, tried)
    assert not is_strange(MADE_AT + 10_000, [envelope(2, "UNKNOWN"), envelope(1, "ERROR txbad_seq")])
