"""A local ledger with Horizon's face, and an SDK to speak to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from stellar_sdk import (
    Keypair,
    Server,
    TransactionBuilder,
    TransactionEnvelope,
)
from stellar_sdk.client.requests_client import RequestsClient
from stellar_sdk.exceptions import (
    BaseHorizonError,
)

from deploy.devledger.network import DEFAULT_PASSPHRASE, Network

ROOT = Network(DEFAULT_PASSPHRASE).root


@dataclass
class Bench:
    """A node that closes only when told, an SDK server that never tries twice, and what only tests ask a node for."""

    url: str
    horizon: Server
    http: httpx.Client

    def build(self, source: Keypair, *, memo: bytes | None = None) -> TransactionBuilder:
        builder = TransactionBuilder(self.horizon.load_account(source.public_key), DEFAULT_PASSPHRASE, 100)
        if memo is not None:
            builder.add_hash_memo(memo)
        return builder.add_time_bounds(0, 0)

    def submit(self, envelope: TransactionEnvelope) -> dict[str, Any]:
        answer: dict[str, Any] = self.horizon.submit_transaction_async(envelope, skip_memo_required_check=True)
        return answer

    def must(self, builder: TransactionBuilder, *signers: Keypair) -> TransactionEnvelope:
        envelope = builder.build()
        for signer in signers:
            envelope.sign(signer)
        assert self.submit(envelope)["tx_status"] == "PENDING"
        self.close_ledger()
        assert self.found(envelope)["successful"]
        return envelope

    def found(self, envelope: TransactionEnvelope) -> dict[str, Any]:
        found: dict[str, Any] = self.horizon.transactions().transaction(envelope.hash_hex()).call()
        return found

    def fund(self, *keys: Keypair) -> None:
        builder = self.build(ROOT)
        for key in keys:
            builder.append_create_account_op(key.public_key, "1000")
        self.must(builder, ROOT)

    def spoil(self, **faults: int) -> int:
        waiting: int = self.http.post("/_faults", json=faults).raise_for_status().json()["waiting"]
        return waiting

    def close_ledger(self) -> int:
        closed: int = self.http.post("/_close").raise_for_status().json()["ledger"]
        return closed


@contextmanager
def bench_at(url: str) -> Iterator[Bench]:
    client = RequestsClient(num_retries=0, post_timeout=20)
    with Server(url, client=client) as horizon, httpx.Client(base_url=url, timeout=20) as http:
        yield Bench(url, horizon, http)


def problem(error: BaseHorizonError) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(error.message)
    return body


def note(bench: Bench, source: Keypair, name: str = "a") -> TransactionEnvelope:
    envelope = bench.build(source).append_manage_data_op(name, b"1").build()
    envelope.sign(source)
    return envelope
