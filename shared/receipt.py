"""The signed receipt of one attempt: what a worker says it did, countersigned by the coordinator."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from nacl.signing import SigningKey

from shared.crypto import Context, chain_extend, sign, verifies

VERSION: Final = 1
SAMPLER: Final = "hive-sampler-1"
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Integers, strings and lowercase hex only; times in ms since 1970 UTC; hashes of prompt and result are salted."""

    version: int
    job_id: str
    attempt: int
    model_digest: str
    engine_build: str
    sampler: str
    seed_commitment: str
    prompt_hash: str
    result_hash: str
    chain_head: str
    tokens_in: int
    tokens_out: int
    finish_reason: str
    started_at: int
    finished_at: int
    cell: str
    jurisdictions: list[str]
    evidence: str
    verifiability: str
    geo_digest: str
    worker_pk: str


class ShareReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker says of an attempt that it lost: `tokens_out` tokens of it went out, from output position `offset` of the
    job on, and it made them. The other fields are those of a receipt."""

    version: int
    job_id: str
    attempt: int
    model_digest: str
    engine_build: str
    sampler: str
    seed_commitment: str
    prompt_hash: str
    chain_head: str
    offset: int
    tokens_out: int
    verifiability: str
    worker_pk: str


class Signatures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`worker` is over the receipt, `coordinator` over the receipt and the worker's signature; both hex."""

    worker: str
    coordinator: str
    coordinator_pk: str


class SignedReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `GET /hive/receipts/{job_id}` answers; `inclusion` is null until its epoch is sealed."""

    receipt: Receipt
    signatures: Signatures
    inclusion: dict[str, Any] | None = None


def sign_receipt(key: SigningKey, receipt: Receipt) -> str:
    """The worker's signature over its receipt, hex."""
    return sign(key, Context.RECEIPT, msgspec.to_builtins(receipt))


def worker_signed(receipt: Receipt, signature: str) -> bool:
    """Whether the worker that the receipt names signed it."""
    return verifies(receipt.worker_pk, Context.RECEIPT, msgspec.to_builtins(receipt), signature)


def share_of(nothing: ShareReceipt, ids: Sequence[int]) -> ShareReceipt:
    """The share of an attempt of which so far `nothing` was made, with these tokens."""
    head = chain_extend(bytes.fromhex(nothing.chain_head), nothing.offset, ids)
    return msgspec.structs.replace(nothing, chain_head=head.hex(), tokens_out=len(ids))


def sign_share(key: SigningKey, share: ShareReceipt) -> str:
    """The worker's signature over its share, hex."""
    return sign(key, Context.SHARE, msgspec.to_builtins(share))


def share_signed(share: ShareReceipt, signature: str) -> bool:
    """Whether the worker that the share names signed it."""
    return verifies(share.worker_pk, Context.SHARE, msgspec.to_builtins(share), signature)


def countersign(key: SigningKey, receipt: Receipt | ShareReceipt, worker_signature: str) -> str:
    """The coordinator's signature over the receipt and the worker's signature, hex."""
    return sign(key, Context.COUNTERSIGN, _countersigned(receipt, worker_signature))


def problems(signed: SignedReceipt) -> list[str]:
    """Everything that is wrong with a signed receipt, in words; an empty list if it holds."""
    receipt, signatures = signed.receipt, signed.signatures
    found = [] if receipt.version == VERSION else [f"version {receipt.version} is not known"]
    if not worker_signed(receipt, signatures.worker):
        found.append("the worker's signature does not fit the receipt")
    body = _countersigned(receipt, signatures.worker)
    if not verifies(signatures.coordinator_pk, Context.COUNTERSIGN, body, signatures.coordinator):
        found.append("the coordinator's signature does not fit the receipt")
    return found


def _countersigned(receipt: Receipt | ShareReceipt, worker_signature: str) -> dict[str, Any]:
    return {"receipt": msgspec.to_builtins(receipt), "worker": worker_signature}
