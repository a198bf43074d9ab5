"""Horizon's face of the local ledger, spoken to by the unmodified SDK over loopback."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from stellar_sdk import (
    Account,
    Asset,
    Claimant,
    Keypair,
    TransactionBuilder,
)
from stellar_sdk.client.base_async_client import BaseAsyncClient
from stellar_sdk.client.response import Response
from stellar_sdk.exceptions import (
    BadRequestError,
    NotFoundError,
)
from stellar_sdk.server_async import ServerAsync

from deploy.devledger.network import DEFAULT_PASSPHRASE
from deploy.devledger.serving import Plan, serve
from tests.machine.devhorizon_bench import ROOT, Bench, bench_at, note


@pytest.fixture
def bench() -> Iterator[Bench]:
    with serve(Plan(close_every=None)) as node, bench_at(node.url) as bench:
        yield bench


def test_the_root_document_says_that_this_is_a_local_ledger(bench: Bench) -> None:
    root = bench.horizon.root().call()
    assert root["local_ledger"] is True
    assert "local ledger" in root["notice"]
    assert root["network_passphrase"] == DEFAULT_PASSPHRASE
    assert root["history_latest_ledger"] == 1
    bench.close_ledger()
    assert bench.horizon.root().call()["history_latest_ledger"] == 2


def test_a_payout_reaches_its_worker_and_is_found_by_both_hashes(bench: Bench) -> None:
    issuer, treasury, worker, channel, payer = (Keypair.random() for _ in range(5))
    bench.fund(issuer, treasury, worker, channel, payer)
    gns = Asset("GNS", issuer.public_key)
    trust = bench.build(treasury).append_change_trust_op(gns).append_change_trust_op(gns, source=worker.public_key)
    bench.must(trust, treasury, worker)
    bench.must(bench.build(issuer).append_payment_op(treasury.public_key, gns, "1000"), issuer)

    memo, sequence = os.urandom(32), bench.horizon.load_account(channel.public_key).sequence
    builder = TransactionBuilder(Account(channel.public_key, sequence), DEFAULT_PASSPHRASE, 100)
    builder.add_hash_memo(memo).set_ledger_bounds(0, 30).add_time_bounds(0, 0)
    inner = builder.append_payment_op(worker.public_key, gns, "0.6", source=treasury.public_key).build()
    inner.sign(channel)
    inner.sign(treasury)
    outer = TransactionBuilder.build_fee_bump_transaction(payer, 1_000, inner, DEFAULT_PASSPHRASE)
    outer.sign(payer)
    answer = bench.horizon.submit_transaction_async(outer)
    assert answer == {"tx_status": "PENDING", "hash": outer.hash_hex()}
    with pytest.raises(NotFoundError):
        bench.found(inner)
    bench.close_ledger()

    for tx_hash in (inner.hash_hex(), outer.hash_hex()):
        found = bench.horizon.transactions().transaction(tx_hash).call()
        assert found["successful"]
        assert found["hash"] == tx_hash
        assert (found["fee_account"], found["fee_charged"], found["max_fee"]) == (payer.public_key, "200", "2000")
        assert found["inner_transaction"]["hash"] == inner.hash_hex()
        assert found["fee_bump_transaction"]["hash"] == outer.hash_hex()
        assert found["envelope_xdr"] == outer.to_xdr()
        assert found["memo_type"] == "hash"
        assert found["preconditions"]["ledgerbounds"] == {"min_ledger": 0, "max_ledger": 30}
    account = bench.horizon.accounts().account_id(worker.public_key).call()
    (line,) = [one for one in account["balances"] if one["asset_type"] == "credit_alphanum4"]
    assert (line["balance"], line["asset_code"], line["asset_issuer"]) == ("0.6000000", "GNS", issuer.public_key)
    assert account["last_modified_ledger"] == found["ledger"] - 2
    assert bench.horizon.load_account(channel.public_key).sequence == sequence + 1

    mine = bench.horizon.transactions().for_account(worker.public_key).order(desc=True).limit(1).call()
    assert [one["hash"] for one in mine["_embedded"]["records"]] == [outer.hash_hex()]


def test_failed_payments_tell_every_bad_operation(bench: Bench) -> None:
    issuer, worker = Keypair.random(), Keypair.random()
    bench.fund(issuer, worker)
    gns = Asset("GNS", issuer.public_key)
    builder = bench.build(issuer).append_payment_op(worker.public_key, gns, "1")
    envelope = builder.append_payment_op(Keypair.random().public_key, gns, "1").build()
    envelope.sign(issuer)
    assert bench.submit(envelope)["tx_status"] == "PENDING"
    bench.close_ledger()
    assert bench.found(envelope)["successful"] is False
    with pytest.raises(BadRequestError) as caught:
        bench.horizon.submit_transaction(envelope, skip_memo_required_check=True)
    assert caught.value.extras is not None
    assert caught.value.extras["result_codes"] == {
        "transaction": "tx_failed",
        "operations": ["op_no_trust", "op_no_destination"],
    }
    everything = bench.horizon.transactions().include_failed(True).limit(200).call()["_embedded"]["records"]
    successful = bench.horizon.transactions().limit(200).call()["_embedded"]["records"]
    assert len(everything) == len(successful) + 1


def test_what_cannot_be_read_is_refused(bench: Bench) -> None:
    answers = {
        "/transactions": bench.http.post("/transactions", data={"tx": "AAAA"}),
        "/transactions/x": bench.http.get(f"/transactions/{'0' * 64}"),
        "/accounts/x": bench.http.get("/accounts/GABC"),
        "/nowhere": bench.http.get("/nowhere"),
        "limit": bench.http.get("/ledgers?limit=0"),
        "limit of words": bench.http.get("/ledgers?limit=many"),
        "order": bench.http.get("/ledgers?order=up"),
        "cursor": bench.http.get("/ledgers?cursor=-1"),
        "fault": bench.http.post("/_faults", json={"burn": 1}),
    }
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses == {**dict.fromkeys(answers, 400), "/transactions/x": 404, "/nowhere": 404}
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}
    assert answers["/transactions"].json()["type"].endswith("/transaction_malformed")


def test_a_claimable_balance_is_shown_until_it_is_claimed(bench: Bench) -> None:
    worker, other = Keypair.random(), Keypair.random()
    bench.fund(worker, other)
    builder = bench.build(ROOT).append_create_claimable_balance_op(Asset.native(), "5", [Claimant(worker.public_key)])
    envelope = bench.must(builder, ROOT)
    balance_id = envelope.transaction.get_claimable_balance_id(0)
    (shown,) = bench.horizon.claimable_balances().for_claimant(worker.public_key).call()["_embedded"]["records"]
    assert (shown["id"], shown["asset"], shown["amount"]) == (balance_id, "native", "5.0000000")
    assert shown["claimants"] == [{"destination": worker.public_key, "predicate": {"unconditional": True}}]
    assert not bench.horizon.claimable_balances().for_claimant(other.public_key).call()["_embedded"]["records"]
    assert bench.horizon.claimable_balances().claimable_balance(balance_id).call()["sponsor"] == ROOT.public_key
    bench.must(bench.build(worker).append_claim_claimable_balance_op(balance_id), worker)
    with pytest.raises(NotFoundError):
        bench.horizon.claimable_balances().claimable_balance(balance_id).call()


def test_lists_go_on_where_the_page_before_ended(bench: Bench) -> None:
    for _ in range(5):
        bench.close_ledger()
    builder = bench.horizon.ledgers().limit(4)
    first = [one["sequence"] for one in builder.call()["_embedded"]["records"]]
    rest = [one["sequence"] for one in builder.next()["_embedded"]["records"]]
    assert (first, rest) == ([1, 2, 3, 4], [5, 6])
    assert bench.horizon.ledgers().ledger(6).call()["sequence"] == 6
    (newest,) = bench.horizon.ledgers().order(desc=True).limit(1).call()["_embedded"]["records"]
    assert newest["sequence"] == 6
    with pytest.raises(NotFoundError):
        bench.horizon.ledgers().ledger(7).call()


def test_fee_stats_follow_what_was_bid_and_paid(bench: Bench) -> None:
    assert bench.horizon.fee_stats().call()["fee_charged"]["p99"] == "100"
    builder = bench.build(ROOT).append_manage_data_op("a", b"1")
    builder.base_fee = 7_000
    bench.must(builder, ROOT)
    stats = bench.horizon.fee_stats().call()
    assert (stats["max_fee"]["p50"], stats["fee_charged"]["p50"]) == ("7000", "100")


def test_the_friendbot_funds_many_at_once_and_nobody_twice(bench: Bench) -> None:
    addresses = [Keypair.random().public_key for _ in range(8)]

    def ask(address: str) -> httpx.Response:
        return bench.http.get("/friendbot", params={"addr": address})

    with ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(ask, addresses)} == {200}
    account = bench.horizon.accounts().account_id(addresses[0]).call()
    assert account["balances"][0]["balance"] == "10000.0000000"
    again = ask(addresses[0])
    assert (again.status_code, again.json()["detail"]) == (400, "account already funded to starting balance")
    assert ask("GNOBODY").status_code == 400


class HttpxClient(BaseAsyncClient):
    """The SDK's asynchronous port on httpx."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient()

    async def get(
        self, url: str, params: dict[str, str] | None = None, max_content_size: int | None = None
    ) -> Response:
        return self._response(await self._http.get(url, params=params))

    async def post(
        self, url: str, data: dict[str, str] | None = None, json_data: dict[str, Any] | None = None
    ) -> Response:
        return self._response(await self._http.post(url, data=data, json=json_data))

    def stream(self, url: str, params: dict[str, str] | None = None) -> Any:
        raise NotImplementedError("these tests do not stream")

    async def close(self) -> None:
        await self._http.aclose()

    def _response(self, answer: httpx.Response) -> Response:
        return Response(answer.status_code, answer.text, dict(answer.headers), str(answer.url))


async def test_the_asynchronous_sdk_is_served_too(bench: Bench) -> None:
    async with ServerAsync(bench.url, client=HttpxClient()) as horizon:
        account = await horizon.load_account(ROOT.public_key)
        envelope = TransactionBuilder(account, DEFAULT_PASSPHRASE, 100).append_manage_data_op("a", b"1")
        built = envelope.add_time_bounds(0, 0).build()
        built.sign(ROOT)
        assert (await horizon.submit_transaction_async(built))["tx_status"] == "PENDING"
        bench.close_ledger()
        assert (await horizon.transactions().transaction(built.hash_hex()).call())["successful"]


def test_a_ledger_closes_by_itself() -> None:
    with serve(Plan(close_every=0.02)) as node, bench_at(node.url) as bench:
        envelope = note(bench, ROOT)
        assert bench.horizon.submit_transaction(envelope)["successful"]
