"""A transaction envelope, decoded once into what the ledger asks about it."""

import hashlib
from dataclasses import dataclass
from typing import Any

from stellar_sdk import xdr

from deploy.devledger.network import address, muxed_address
from deploy.devledger.signatures import Signatures


@dataclass(frozen=True)
class Operation:
    """One operation, its source filled in from the transaction where it names none."""

    kind: xdr.OperationType
    body: xdr.OperationBody
    source: str
    names_source: bool


@dataclass(frozen=True)
class Preconditions:
    """When and on what terms a transaction may be applied; times in Unix seconds, 0 for no bound."""

    min_time: int = 0
    max_time: int = 0
    min_ledger: int = 0
    max_ledger: int = 0
    min_sequence: int | None = None
    min_sequence_age: int = 0
    min_sequence_gap: int = 0
    extra_signers: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeeBump:
    """The outer half of a fee bump."""

    hash: bytes
    fee_source: str
    fee: int
    signatures: Signatures


@dataclass(frozen=True)
class Transaction:
    """A decoded transaction; `bump` is set where a fee bump wraps it. Fees in stroops."""

    envelope_xdr: str
    inner_hash: bytes
    source: str
    sequence: int
    inner_fee: int
    operations: tuple[Operation, ...]
    preconditions: Preconditions
    memo: xdr.Memo
    signatures: Signatures
    bump: FeeBump | None

    @property
    def hash(self) -> bytes:
        """Return the hash of the whole envelope."""
        return self.bump.hash if self.bump else self.inner_hash

    @property
    def fee(self) -> int:
        """Return the most that its fee source is ready to pay."""
        return self.bump.fee if self.bump else self.inner_fee

    @property
    def fee_source(self) -> str:
        """Return who pays the fee."""
        return self.bump.fee_source if self.bump else self.source

    @property
    def charged_operations(self) -> int:
        """Return how many operations the fee is for; a fee bump counts as one more."""
        return max(1, len(self.operations)) + (1 if self.bump else 0)


def decode(envelope_xdr: str, network_id: bytes) -> Transaction | None:
    """Decode base64 XDR of a V1 or fee-bump envelope; None where it is malformed."""
    try:
        envelope = xdr.TransactionEnvelope.from_xdr(envelope_xdr)
        inner, bump = envelope.v1, None
        if envelope.fee_bump is not None:
            inner = envelope.fee_bump.tx.inner_tx.v1
            bump = _fee_bump(envelope.fee_bump, network_id)
        return None if inner is None else _transaction(envelope_xdr, inner, bump, network_id)
    except (ValueError, EOFError):
        return None


def _fee_bump(envelope: xdr.FeeBumpTransactionEnvelope, network_id: bytes) -> FeeBump:
    outer = envelope.tx
    digest = _digest(network_id, xdr.EnvelopeType.ENVELOPE_TYPE_TX_FEE_BUMP, outer.to_xdr_bytes())
    return FeeBump(digest, muxed_address(outer.fee_source), outer.fee.int64, Signatures(digest, envelope.signatures))


def _transaction(
    envelope_xdr: str, envelope: xdr.TransactionV1Envelope, bump: FeeBump | None, network_id: bytes
) -> Transaction:
    tx = envelope.tx
    digest = _digest(network_id, xdr.EnvelopeType.ENVELOPE_TYPE_TX, tx.to_xdr_bytes())
    source = muxed_address(tx.source_account)
    return Transaction(
        envelope_xdr=envelope_xdr,
        inner_hash=digest,
        source=source,
        sequence=tx.seq_num.sequence_number.int64,
        inner_fee=tx.fee.uint32,
        operations=tuple(_operation(op, source) for op in tx.operations),
        preconditions=_preconditions(tx.cond),
        memo=tx.memo,
        signatures=Signatures(digest, envelope.signatures),
        bump=bump,
    )


def _digest(network_id: bytes, kind: xdr.EnvelopeType, body: bytes) -> bytes:
    return hashlib.sha256(network_id + kind.value.to_bytes(4, "big") + body).digest()


def _operation(op: xdr.Operation, source: str) -> Operation:
    own = op.source_account
    return Operation(op.body.type, op.body, source if own is None else muxed_address(own), own is not None)


def _preconditions(cond: xdr.Preconditions) -> Preconditions:
    v2 = cond.v2
    times = v2.time_bounds if v2 is not None else cond.time_bounds
    fields: dict[str, Any] = {}
    if times is not None:
        fields |= {"min_time": times.min_time.time_point.uint64, "max_time": times.max_time.time_point.uint64}
    if v2 is not None:
        fields |= {
            "min_sequence_age": v2.min_seq_age.duration.uint64,
            "min_sequence_gap": v2.min_seq_ledger_gap.uint32,
            "extra_signers": tuple(_extra_signer(key) for key in v2.extra_signers),
        }
        if v2.ledger_bounds is not None:
            fields |= {"min_ledger": v2.ledger_bounds.min_ledger.uint32}
            fields |= {"max_ledger": v2.ledger_bounds.max_ledger.uint32}
        if v2.min_seq_num is not None:
            fields["min_sequence"] = v2.min_seq_num.sequence_number.int64
    return Preconditions(**fields)


def _extra_signer(key: xdr.SignerKey) -> str:
    if key.ed25519 is None:
        raise ValueError("only Ed25519 keys can sign on this ledger")
    return address(key.ed25519.uint256)
