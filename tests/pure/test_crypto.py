"""Signatures, key derivation, the token chain and salted hashes."""

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given, strategies as st
from nacl.signing import SigningKey

from shared.canonical import MAX_INT, canonical
from shared.crypto import (
    Context,
    chain_extend,
    chain_start,
    fingerprint,
    hkdf,
    public_key,
    salted_hash,
    sampler_seed,
    seed_commitment,
    sign,
    verifies,
)

KEY = SigningKey(b"k" * 32)
PK = public_key(KEY)
BODY = {"b": [1, None, True], "a": "é"}
JOB = "0d5c3a52-4f5b-8000-8000-000000000001"


def test_a_signature_is_for_one_key_one_context_and_one_body() -> None:
    signature = sign(KEY, Context.OFFER, BODY)
    assert verifies(PK, Context.OFFER, dict(reversed(BODY.items())), signature)
    assert not verifies(public_key(SigningKey(b"x" * 32)), Context.OFFER, BODY, signature)
    assert not verifies(PK, Context.OFFER, BODY | {"a": "e"}, signature)
    assert [context for context in Context if verifies(PK, context, BODY, signature)] == [Context.OFFER]


def test_what_is_signed_is_tagged_so_that_it_can_be_no_transaction_hash() -> None:
    signature = bytes.fromhex(sign(KEY, Context.RECEIPT, BODY))
    KEY.verify_key.verify(b'hive/v1/receipt\0{"a":"\xc3\xa9","b":[1,null,true]}', signature)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("pk", "body", "signature"),
    [
        (PK.upper(), BODY, None),
        (PK[:32] + " " + PK[32:], BODY, None),
        (PK + "\n", BODY, None),
        (PK[:-2], BODY, None),
        ("zz" * 32, BODY, None),
        ("", BODY, None),
        ("00" * 32, BODY, "00" * 64),
        ("01" + "00" * 31, BODY, "01" + "00" * 63),
        (PK, BODY, ""),
        (PK, BODY, "00" * 64),
        (PK, BODY, sign(KEY, Context.OFFER, BODY).upper()),
        (PK, BODY, sign(KEY, Context.OFFER, BODY) + "00"),
        (PK, {"x": 1.5}, None),
        (PK, {"x": "\ud800"}, None),
        (PK, deep(5000), None),
    ],
)
def test_malformed_input_is_simply_not_verified(pk: str, body: Any, signature: str | None) -> None:
    assert not verifies(pk, Context.OFFER, body, sign(KEY, Context.OFFER, BODY) if signature is None else signature)


def test_a_signature_cannot_be_shifted_by_the_order_of_the_group() -> None:
    raw = bytes.fromhex(sign(KEY, Context.OFFER, BODY))
    order = 2**252 + 27742317777372353535851937790883648493
    shifted = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    assert not verifies(PK, Context.OFFER, BODY, shifted.hex())


def test_hkdf_is_rfc_5869() -> None:
    okm = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    assert hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 10) == okm[:10]


@given(st.lists(st.integers(0, 2**31 - 1), max_size=20), st.integers(0, 20))
def test_the_chain_does_not_care_in_how_many_frames_tokens_came(ids: list[int], cut: int) -> None:
    start = chain_start(JOB, 1)
    assert chain_extend(chain_extend(start, 0, ids[:cut]), len(ids[:cut]), ids[cut:]) == chain_extend(start, 0, ids)


def test_the_chain_tells_jobs_attempts_positions_and_tokens_apart() -> None:
    heads = [
        chain_extend(chain_start(JOB, 1), 0, [1, 2]),
        chain_extend(chain_start(JOB, 2), 0, [1, 2]),
        chain_extend(chain_start(JOB[:-1] + "2", 1), 0, [1, 2]),
        chain_extend(chain_start(JOB, 1), 1, [1, 2]),
        chain_extend(chain_start(JOB, 1), 0, [2, 1]),
        chain_extend(chain_start(JOB, 1), 0, [1]),
        chain_start(JOB, 1),
    ]
    assert len(set(heads)) == len(heads)


def test_salted_hashes_need_the_salt_and_name_their_field() -> None:
    expected = hmac.new(b"\xab" * 32, b"hive/v1/prompt\0text", hashlib.sha256).hexdigest()
    assert salted_hash("ab" * 32, "prompt", b"text") == expected
    assert salted_hash("cd" * 32, "prompt", b"text") != expected != salted_hash("ab" * 32, "result", b"text")
    assert seed_commitment("ab" * 32, "7") == salted_hash("ab" * 32, "seed", b"7")


def test_a_seed_text_gives_64_bits() -> None:
    assert sampler_seed("7") == int.from_bytes(hashlib.sha256(b"hive-seed7").digest()[:8], "big")
    assert sampler_seed("7") != sampler_seed("07")


def test_a_fingerprint_is_for_people() -> None:
    digest = hashlib.sha256(bytes.fromhex(PK)).hexdigest()
    shown = fingerprint(PK)
    assert shown.removeprefix("SHA256:").replace("-", "") == digest[:32]
    assert [len(group) for group in shown.removeprefix("SHA256:").split("-")] == [4] * 8


def test_canonical_json_is_rfc_8785_without_floats() -> None:
    value = {"b": '\u20ac$\x0f\nA\'B"\\\\"/\x7f\u2028', "a": [MAX_INT, -MAX_INT, True, None], "A": {}}
    expected = (
        '{"A":{},"a":[9007199254740991,-9007199254740991,true,null],"b":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f\u2028"}'
    )
    assert canonical(value) == expected.encode()


@pytest.mark.parametrize("value", [1.0, {"a": [0.5]}, MAX_INT + 1, [-MAX_INT - 1], {"é": 1}, {1: 1}, b"x", "\ud800"])
def test_what_cannot_be_canonical_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several sentences, one kind
        canonical(value)
