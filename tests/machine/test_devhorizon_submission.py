"""Submissions to the local ledger: what they are answered, and what spoils them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from stellar_sdk.exceptions import (
    BadRequestError,
    BadResponseError,
    ConnectionError as SdkConnectionError,
    NotFoundError,
)

from deploy.devledger.serving import Plan, serve
from tests.machine.devhorizon_bench import ROOT, Bench, bench_at, note, problem


@pytest.fixture
def bench() -> Iterator[Bench]:
    with serve(Plan(close_every=None)) as node, bench_at(node.url) as bench:
        yield bench


def test_the_queue_answers_with_its_four_statuses(bench: Bench) -> None:
    first, second = note(bench, ROOT, "a"), note(bench, ROOT, "b")
    assert bench.submit(first)["tx_status"] == "PENDING"
    with pytest.raises(BadRequestError) as duplicate:
        bench.submit(first)
    assert (duplicate.value.status, problem(duplicate.value)["tx_status"]) == (409, "DUPLICATE")
    with pytest.raises(BadResponseError) as later:
        bench.submit(second)
    assert (later.value.status, problem(later.value)["tx_status"]) == (503, "TRY_AGAIN_LATER")
    bench.close_ledger()
    with pytest.raises(BadRequestError) as late:
        bench.submit(second)
    assert problem(late.value) == {
        "tx_status": "ERROR",
        "hash": second.hash_hex(),
        "error_result_xdr": "AAAAAAAAAGT////7AAAAAA==",
    }


def test_a_synchronous_submission_waits_for_its_ledger(bench: Bench) -> None:
    envelope = note(bench, ROOT)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(bench.horizon.submit_transaction, envelope)
        while not answer.done():
            bench.close_ledger()
        assert answer.result()["hash"] == envelope.hash_hex()
    again = bench.horizon.submit_transaction(envelope)
    assert again["ledger"] == answer.result()["ledger"]


def test_a_submission_that_meets_no_ledger_times_out() -> None:
    with serve(Plan(close_every=None, patience=0.05)) as node, bench_at(node.url) as bench:
        envelope = note(bench, ROOT)
        with pytest.raises(BadResponseError) as caught:
            bench.horizon.submit_transaction(envelope)
        assert caught.value.status == 504
        assert problem(caught.value)["extras"]["hash"] == envelope.hash_hex()
        assert node.close_ledger() == 2
        assert bench.found(envelope)["successful"]


@pytest.mark.parametrize(("fault", "applied"), [("drop", False), ("lose", True), ("cut", True)])
def test_a_spoilt_answer_says_nothing_about_the_fate(bench: Bench, fault: str, applied: bool) -> None:
    envelope = note(bench, ROOT)
    assert bench.spoil(**{fault: 1}) == 1
    with pytest.raises((BadResponseError, SdkConnectionError)) as caught:
        bench.submit(envelope)
    assert isinstance(caught.value, SdkConnectionError) is (fault == "cut")
    bench.close_ledger()
    if applied:
        assert bench.found(envelope)["successful"]
    else:
        with pytest.raises(NotFoundError):
            bench.found(envelope)
        assert bench.submit(envelope)["tx_status"] == "PENDING"


def test_a_doubled_submission_is_applied_once(bench: Bench) -> None:
    envelope = note(bench, ROOT)
    bench.spoil(duplicate=1)
    with pytest.raises(BadRequestError) as caught:
        bench.submit(envelope)
    assert problem(caught.value)["tx_status"] == "DUPLICATE"
    bench.close_ledger()
    bench.close_ledger()
    assert bench.horizon.load_account(ROOT.public_key).sequence == 1


def test_a_delayed_submission_is_overtaken(bench: Bench) -> None:
    delayed, quick = note(bench, ROOT, "delayed"), note(bench, ROOT, "quick")
    bench.spoil(delay=1, delay_ms=2_000)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(bench.submit, delayed)
        while bench.spoil() > 0:
            assert not answer.done()
        assert bench.submit(quick)["tx_status"] == "PENDING"
        late = answer.exception()
    assert isinstance(late, BadResponseError)
    assert problem(late)["tx_status"] == "TRY_AGAIN_LATER"


def test_faults_are_spent_one_a_submission_in_their_order(bench: Bench) -> None:
    envelope = note(bench, ROOT)
    assert bench.spoil(drop=2, lose=1) == 3
    for _ in range(3):
        with pytest.raises(BadResponseError):
            bench.submit(envelope)
    with pytest.raises(BadRequestError):
        bench.submit(envelope)
    bench.close_ledger()
    assert bench.found(envelope)["successful"]
