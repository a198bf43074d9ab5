"""A receipt holds by its two signatures, and by nothing less."""

from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey

from shared.crypto import public_key
from shared.receipt import (
    SAMPLER,
    VERSION,
    Receipt,
    Signatures,
    SignedReceipt,
    countersign,
    problems,
    sign_receipt,
    worker_signed,
)

WORKER = SigningKey(b"w" * 32)
COORDINATOR = SigningKey(b"c" * 32)
RECEIPT = Receipt(
    version=VERSION, job_id="0d5c3a52-4f5b-8000-8000-000000000001", attempt=1, model_digest="ab" * 32,
    engine_build="build", sampler=SAMPLER, seed_commitment="01" * 32, prompt_hash="02" * 32, result_hash="03" * 32,
    chain_head="04" * 32, tokens_in=3, tokens_out=5, finish_reason="stop", started_at=1, finished_at=2, cell="85",
    jurisdictions=["CH", "DE"], evidence="claimed", verifiability="seeded", geo_digest="05" * 32,
    worker_pk=public_key(WORKER),
)  # fmt: skip


def signed(receipt: Receipt = RECEIPT, worker: SigningKey = WORKER) -> SignedReceipt:
    by_worker = sign_receipt(worker, receipt)
    by_both = countersign(COORDINATOR, receipt, by_worker)
    return SignedReceipt(receipt, Signatures(by_worker, by_both, public_key(COORDINATOR)))


def test_a_receipt_signed_by_both_holds_after_a_journey_through_json() -> None:
    assert problems(signed()) == []
    assert problems(msgspec.json.decode(msgspec.json.encode(signed()), type=SignedReceipt)) == []


def changed(field: str) -> Any:
    value = getattr(RECEIPT, field)
    if isinstance(value, int):
        return value + 1
    return (
        [*value, "FR"] if isinstance(value, list) else public_key(COORDINATOR) if field == "worker_pk" else value + "0"
    )


@pytest.mark.parametrize("field", Receipt.__struct_fields__)
def test_every_field_is_under_both_signatures(field: str) -> None:
    other = msgspec.structs.replace(RECEIPT, **{field: changed(field)})
    found = problems(msgspec.structs.replace(signed(), receipt=other))
    assert "the worker's signature does not fit the receipt" in found
    assert "the coordinator's signature does not fit the receipt" in found


def test_another_key_than_the_receipt_names_has_not_signed_it() -> None:
    assert problems(signed(worker=COORDINATOR)) == ["the worker's signature does not fit the receipt"]
    assert not worker_signed(RECEIPT, countersign(WORKER, RECEIPT, sign_receipt(WORKER, RECEIPT)))


def test_the_countersignature_is_over_the_workers_signature_too() -> None:
    whole = signed()
    other = msgspec.structs.replace(whole.signatures, coordinator=countersign(COORDINATOR, RECEIPT, "00" * 64))
    assert problems(msgspec.structs.replace(whole, signatures=other)) == [
        "the coordinator's signature does not fit the receipt"
    ]


def test_an_unknown_version_is_told() -> None:
    assert problems(signed(msgspec.structs.replace(RECEIPT, version=2))) == ["version 2 is not known"]


def test_numbers_beyond_the_canonical_range_are_an_error_to_sign_and_do_not_verify() -> None:
    huge = msgspec.structs.replace(RECEIPT, tokens_out=2**60)
    with pytest.raises(ValueError, match="beyond"):
        sign_receipt(WORKER, huge)
    assert not worker_signed(huge, sign_receipt(WORKER, RECEIPT))


def test_an_unknown_field_would_be_unsigned_and_is_refused() -> None:
    body = msgspec.to_builtins(RECEIPT) | {"bonus": 1}
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert(body, Receipt)
