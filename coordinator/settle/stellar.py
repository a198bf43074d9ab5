"""The one file that speaks Stellar: envelopes of a payout batch, and the port to a ledger over Horizon.

A batch is bound for life to one (channel account, sequence number): whatever is sent, sent again or lost, at most one
of its envelopes ever applies. Nothing that `send` answers is believed, but for the fee and for what needs a person.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from requests.exceptions import RequestException
from stellar_sdk import (
    Account,
    Asset,
    Claimant,
    ClaimPredicate,
    FeeBumpTransactionEnvelope,
    Keypair,
    Server,
    StrKey,
    TransactionBuilder,
    xdr as stellar_xdr,
)
from stellar_sdk.client.requests_client import RequestsClient
from stellar_sdk.exceptions import BaseHorizonError, NotFoundError, SdkError

from shared.files import read_private
from shared.ids import to_gns

INNER_FEE: Final = 100
RECLAIM_S: Final = 180 * 86_400
READ_TIMEOUT_S: Final = 10
Route = Literal["pay", "claim"]


class LedgerKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who pays whom from where: public addresses (G...) and the one signing seed of the payout engine.

    `engine_seed` is the only signer of the channels and of the fee account, and a signer of the treasury.
    """

    passphrase: str
    asset_code: str
    issuer: str
    treasury: str
    fee: str
    channels: list[str]
    platform: str
    resilience: str
    quorum: str
    engine_seed: str

    @classmethod
    def read(cls, file: Path) -> "LedgerKeys":
        """Reads the key file; raises ValueError with a sentence if others may read it or a field is wrong."""
        try:
            return msgspec.json.decode(read_private(file), type=cls)
        except PermissionError as e:
            raise ValueError(str(e)) from e
        except msgspec.DecodeError as e:
            raise ValueError(f"{file} is not a ledger key file: {e}") from e


class Leg(msgspec.Struct, frozen=True):
    """One operation of a batch: so many stroops to an address, paid or left as a claimable balance."""

    address: str
    amount: int
    route: Route = "pay"


class Envelope(msgspec.Struct, frozen=True):
    """A signed fee-bumped transaction, ready to store and then to send; hashes in hex, valid before `max_ledger`."""

    xdr: str
    outer_hash: str
    inner_hash: str
    max_ledger: int
    fee: int


class Found(msgspec.Struct, frozen=True):
    """An envelope that is on the ledger: its result in stellar-core's names (lower case), one code per operation; the
    fee in stroops; by operation the ids (hex) of the claimable balances that it made."""

    outer_hash: str
    ledger: int
    code: str
    operations: list[str]
    fee_charged: int
    result_xdr: str
    balances: dict[int, str]

    @property
    def paid(self) -> bool:
        """Whether every operation took effect."""
        return self.code == "txsuccess"

    @property
    def decisive(self) -> bool:
        """Whether the sequence number is spent for certain; any other code only ends this one envelope."""
        return self.code in {"txsuccess", "txfailed"}


class Answer(msgspec.Struct, frozen=True):
    """What a ledger said to a send: `PENDING`, `DUPLICATE`, `TRY_AGAIN_LATER`, `ERROR` or `UNKNOWN`.

    An ERROR has a code: the transaction's, or that of the operation at fault.
    """

    status: str
    code: str = ""


def worker_address(pk: str) -> str:
    """The Stellar account (G...) of a worker's Ed25519 identity (hex)."""
    return StrKey.encode_ed25519_public_key(bytes.fromhex(pk))


def build(
    keys: LedgerKeys,
    channel: str,
    sequence: int,
    legs: Sequence[Leg],
    memo: bytes,
    *,
    max_ledger: int,
    max_time: int,
    fee: int,
) -> Envelope:
    """Signs the batch at (channel, sequence); `fee` is the bid per operation in stroops, `memo` 32 bytes."""
    builder = TransactionBuilder(Account(channel, sequence - 1), keys.passphrase, base_fee=INNER_FEE)
    builder.add_hash_memo(memo).set_ledger_bounds(0, max_ledger).add_time_bounds(0, max_time)
    asset = Asset(keys.asset_code, keys.issuer)
    for leg in legs:
        if leg.route == "pay":
            builder.append_payment_op(leg.address, asset, str(to_gns(leg.amount)), source=keys.treasury)
        else:
            claimants = [Claimant(leg.address), Claimant(keys.treasury, _after(RECLAIM_S))]
            builder.append_create_claimable_balance_op(asset, str(to_gns(leg.amount)), claimants, source=keys.treasury)
    signer = Keypair.from_secret(keys.engine_seed)
    inner = builder.build()
    inner.sign(signer)
    bump = TransactionBuilder.build_fee_bump_transaction(keys.fee, max(fee, INNER_FEE), inner, keys.passphrase)
    bump.sign(signer)
    return Envelope(bump.to_xdr(), bump.hash_hex(), inner.hash_hex(), max_ledger, fee)


def _after(seconds: int) -> ClaimPredicate:
    return ClaimPredicate.predicate_not(ClaimPredicate.predicate_before_relative_time(seconds))


class Horizon:
    """The port to the ledger: `latest`, `find`, `send`, `sequence`. Blocking: call it in a thread.

    Raises LedgerAway when the server cannot be read; a send never raises, its answer is `UNKNOWN`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        client = RequestsClient(num_retries=0, request_timeout=READ_TIMEOUT_S, post_timeout=READ_TIMEOUT_S)
        self._server = Server(url, client)

    def close(self) -> None:
        """Closes the connections."""
        self._server.close()

    def latest(self) -> int:
        """The sequence number of the latest closed ledger."""
        return int(self._read(self._server.root(), "history_latest_ledger")["history_latest_ledger"])

    def passphrase(self) -> str:
        """The network that this server serves."""
        return str(self._read(self._server.root(), "network_passphrase")["network_passphrase"])

    def find(self, inner_hash: str) -> Found | None:
        """What the ledger has done with an envelope, None if nothing (yet)."""
        try:
            row = self._read(self._server.transactions().transaction(inner_hash), "hash", "ledger", "result_xdr")
        except NotFoundError:
            return None
        try:
            outcome = _decode(row["result_xdr"])
        except (ValueError, EOFError) as e:
            raise LedgerAway(f"{self.url} gives a result that cannot be read") from e
        return Found(
            # Asked by the inner hash, Horizon calls the transaction so; what is on the ledger is the fee bump.
            outer_hash=row.get("fee_bump_transaction", row)["hash"],
            ledger=int(row["ledger"]),
            code=outcome.code,
            operations=outcome.operations,
            fee_charged=outcome.fee_charged,
            result_xdr=row["result_xdr"],
            balances=outcome.balances,
        )

    def send(self, envelope_xdr: str) -> Answer:
        """Submits an envelope; sending it twice is harmless."""
        try:
            envelope = FeeBumpTransactionEnvelope.from_xdr(
                envelope_xdr, network_passphrase=""
            )  # nothing is hashed here
            said = self._server.submit_transaction_async(envelope, skip_memo_required_check=True)
            return Answer(str(said["tx_status"]))
        except BaseHorizonError as e:
            return _refusal(e.message)
        except (SdkError, RequestException, TimeoutError, ValueError, KeyError):
            return Answer("UNKNOWN")

    def sequence(self, address: str) -> int | None:
        """The sequence number that an account has used last; None if there is no such account."""
        try:
            return int(self._read(self._server.accounts().account_id(address), "sequence")["sequence"])
        except NotFoundError:
            return None

    def _read(self, call: Any, *fields: str) -> dict[str, Any]:
        """A document that has these fields."""
        try:
            read = dict(call.call())
        except NotFoundError:
            raise
        except (SdkError, RequestException, TimeoutError, ValueError) as e:
            raise LedgerAway(f"{self.url} does not answer: {type(e).__name__}") from e
        if not read.keys() >= set(fields):
            raise LedgerAway(f"{self.url} does not answer as Horizon does")
        return read


class LedgerAway(Exception):
    """The ledger's server cannot be read now."""


class _Outcome(msgspec.Struct, frozen=True):
    code: str
    operations: list[str]
    fee_charged: int
    balances: dict[int, str]


def _refusal(message: str | None) -> Answer:
    """What a refusal says; one that is not in Horizon's words says nothing."""
    try:
        said = msgspec.json.decode(message or "", type=_Refused)
        outcome = _decode(said.error_result_xdr) if said.error_result_xdr else None
    except (ValueError, EOFError):
        return Answer("UNKNOWN")
    if outcome is None:
        return Answer(said.tx_status)
    faults = [code for code in outcome.operations if not code.endswith("success")]
    return Answer(said.tx_status, faults[0] if faults else outcome.code)


class _Refused(msgspec.Struct, frozen=True):
    tx_status: str
    error_result_xdr: str = ""


def _decode(result_xdr: str) -> _Outcome:
    """The result of the transaction that does the work (the inner one of a fee bump)."""
    result = stellar_xdr.TransactionResult.from_xdr(result_xdr)
    inner = result.result.inner_result_pair
    decisive = result.result if inner is None else inner.result.result
    done = decisive.results or []
    return _Outcome(
        code=decisive.code.name.lower(),
        operations=[_operation_code(operation) for operation in done],
        fee_charged=result.fee_charged.int64,
        balances={n: made for n, operation in enumerate(done) if (made := _balance_id(operation))},
    )


def _operation_code(operation: stellar_xdr.OperationResult) -> str:
    if operation.tr is None:
        return operation.code.name.lower()
    name = operation.tr.type.name.lower()
    return str(getattr(operation.tr, f"{name}_result").code.name).lower()


def _balance_id(operation: stellar_xdr.OperationResult) -> str | None:
    made = operation.tr.create_claimable_balance_result if operation.tr else None
    return made.balance_id.to_xdr_bytes().hex() if made and made.balance_id else None
