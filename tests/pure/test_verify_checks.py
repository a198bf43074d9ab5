"""The free checks: an honest result passes, and each lie is seen for what it is."""

from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey

from coordinator.verify.checks import Expected, check, read_receipt
from shared.crypto import chain_extend, chain_start, public_key, seed_commitment
from shared.protocol.messages import Done, Message, OfferBody, Sampling
from shared.receipt import SAMPLER, VERSION, FinishReason, Receipt, sign_receipt
from shared.text import prompt_hash, result_hash
from shared.vectors import lines_of, packed

KEY = SigningKey(b"\1" * 32)


class Letters:
    """A vocabulary in which every byte is a token and 256 ends an answer."""

    size, dimensions = 257, 2
    end_ids = frozenset({256})

    def detokenise(self, ids: Any) -> bytes:
        return bytes(token for token in ids if token < 256)

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        return list(text.encode())


class Pairs(Letters):
    """The same with two letters at once where they are the same: 300 and more."""

    size = 600

    def detokenise(self, ids: Any) -> bytes:
        return b"".join(bytes([token]) if token < 256 else bytes([token - 300] * 2) for token in ids)

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        assert set(text) == {"a"}
        return [397] * (len(text) // 2) + [97] * (len(text) % 2)


OFFER = OfferBody(
    job_id="00000000-0000-8000-8000-000000000001", attempt=1, worker_pk=public_key(KEY), model_id="m",
    model_digest="ab" * 32, max_tokens=10, sampling=Sampling(), stop=[], seed="7", salt="cd" * 32, price=1, scope="s",
    cell="841e805ffffffff", jurisdictions=["IT"], evidence="claimed", geo_digest="ef" * 32, expires_at=1,
    messages=[Message("user", "hi")],
)  # fmt: skip
EXPECTED = Expected(tokens_in=2, earlier_text="", context=64)


def result(
    text: str = "hello", offer: OfferBody = OFFER, finish: FinishReason = "stop", decode_ms: int = 10, **lies: Any
) -> Done:
    ids = lies.pop("ids", list(text.encode()))
    head = chain_extend(chain_start(offer.job_id, offer.attempt), len(offer.resume_ids), ids)
    receipt = Receipt(
        version=VERSION, job_id=offer.job_id, attempt=offer.attempt, model_digest=offer.model_digest, engine_build="b",
        sampler=SAMPLER, seed_commitment=seed_commitment(offer.salt, offer.seed), prompt_hash=prompt_hash(offer),
        result_hash=result_hash(offer.salt, text), chain_head=head.hex(), tokens_in=2, tokens_out=len(ids),
        finish_reason=finish, started_at=1, finished_at=2, cell=offer.cell, jurisdictions=offer.jurisdictions,
        evidence=offer.evidence, verifiability="seeded", geo_digest=offer.geo_digest, worker_pk=offer.worker_pk,
    )  # fmt: skip
    receipt = msgspec.structs.replace(receipt, **lies)
    return Done(msgspec.to_builtins(receipt), sign_receipt(KEY, receipt), ids, text, 1, decode_ms)


def faults(done: Done, offer: OfferBody = OFFER, expected: Expected = EXPECTED) -> list[str]:
    receipt = read_receipt(done)
    assert receipt is not None
    return check(done, receipt, offer, Letters(), expected)


def offer(**different: Any) -> OfferBody:
    return msgspec.structs.replace(OFFER, **different)


def test_honest_results_pass() -> None:
    resumed, stopping = offer(resume_ids=list(b"he")), offer(stop=["lo"])
    assert faults(result()) == []
    assert faults(result("helloworld", finish="length")) == []
    assert faults(result("llo", resumed), resumed, Expected(2, "he", 64)) == []
    assert faults(result("hel", stopping, ids=list(b"hello")), stopping) == []
    assert faults(result("", ids=[])) == []
    assert faults(result("hello", finish="length"), expected=Expected(2, "", 7)) == []


@pytest.mark.parametrize(
    ("lie", "word"),
    [
        ({"version": 2}, "version"),
        ({"attempt": 2}, "attempt"),
        ({"job_id": "00000000-0000-8000-8000-000000000002"}, "job_id"),
        ({"model_digest": "00" * 32}, "model_digest"),
        ({"sampler": "dist"}, "sampler"),
        ({"seed_commitment": "00" * 32}, "seed_commitment"),
        ({"prompt_hash": "00" * 32}, "prompt_hash"),
        ({"result_hash": "00" * 32}, "result_hash"),
        ({"chain_head": "00" * 32}, "chain_head"),
        ({"tokens_in": 3}, "tokens_in"),
        ({"tokens_out": 6}, "tokens_out"),
        ({"cell": "871e8052affffff"}, "cell"),
        ({"jurisdictions": ["DE"]}, "jurisdictions"),
        ({"evidence": "hardware"}, "evidence"),
        ({"geo_digest": "00" * 32}, "geo_digest"),
        ({"worker_pk": "00" * 32}, "worker_pk"),
        ({"started_at": 3}, "before it started"),
        ({"verifiability": "weak"}, "verifiability"),
        ({"finish_reason": "length"}, "finish_reason"),
        ({"finish_reason": "tool_calls"}, "finish_reason"),
        ({"ids": [104, 105]}, "text is not that"),
        ({"ids": [104, 256]}, "vocabulary"),
        ({"ids": [104, 900]}, "vocabulary"),
        ({"ids": list(b"hello world")}, "more tokens"),
    ],
)
def test_each_lie_is_named(lie: dict[str, Any], word: str) -> None:
    assert any(word in fault for fault in faults(result(**lie)))


def test_a_weak_worker_signs_that_it_is() -> None:
    weak = Expected(2, "", 64, weak=True)
    assert faults(result(verifiability="weak"), expected=weak) == []
    assert faults(result(verifiability="weak", finish="length"), expected=weak) == []
    assert faults(result(), expected=weak) == ["verifiability does not fit the offer"]


@pytest.mark.parametrize(("letters", "stand"), [(21, True), (22, False)])
def test_a_weak_worker_is_not_paid_for_cutting_its_text_into_more_tokens(letters: int, stand: bool) -> None:
    long, weak = offer(max_tokens=100), Expected(2, "", 640, weak=True)
    done = result("a" * letters, long, verifiability="weak")
    receipt = read_receipt(done)
    assert receipt is not None
    found = check(done, receipt, long, Pairs(), weak)
    assert found == ([] if stand else ["there are more tokens than the text is worth"])


EMBED = offer(task="embed", inputs=["a", "b"], messages=None, max_tokens=0)
RANK = offer(task="rank", inputs=["q", "a", "b"], messages=None, max_tokens=0)
VECTORS = lines_of([packed([1.0, 0.0]), packed([0.6, 0.8])])


def test_vectors_and_scores_pass_without_a_token() -> None:
    assert faults(result(VECTORS, EMBED, ids=[]), EMBED) == []
    assert faults(result(lines_of([packed([-3.5, 7.0])]), RANK, ids=[]), RANK) == []


@pytest.mark.parametrize(
    ("text", "asked", "lies", "word"),
    [
        (lines_of([packed([1.0, 0.0])]), EMBED, {}, "1 vectors for 2 texts"),
        (lines_of([packed([1.0]), packed([1.0])]), EMBED, {}, "model's size"),
        (lines_of([packed([1.0, 0.0]), packed([1.0, 1.0])]), EMBED, {}, "length 1"),
        ("hello", EMBED, {}, "base64"),
        (VECTORS, EMBED, {"finish_reason": "length"}, "finish_reason"),
        (VECTORS, EMBED, {"tokens_out": 1}, "tokens_out"),
        (VECTORS, EMBED, {"tokens_in": 3}, "tokens_in"),
        (VECTORS, EMBED, {"prompt_hash": prompt_hash(RANK)}, "prompt_hash"),
        (VECTORS, EMBED, {"ids": [104]}, "more tokens than were asked for"),
        (VECTORS, RANK, {}, "not 2 scores"),
        (lines_of([packed([1.0])]), RANK, {}, "not 2 scores"),
    ],
)
def test_each_lie_about_texts_is_named(text: str, asked: OfferBody, lies: dict[str, Any], word: str) -> None:
    assert any(word in fault for fault in faults(result(text, asked, **{"ids": [], **lies}), asked))


@pytest.mark.parametrize(
    ("told", "stands"), [(1, False), (2, True), (2 + 700, True), (2 + 4096, True), (2 + 4097, False)]
)
def test_the_tokens_of_an_image_are_believed_within_their_bound(told: int, stands: bool) -> None:
    expected = Expected(2, "", 64, weak=True, image_tokens=4096)
    found = faults(result(tokens_in=told, verifiability="weak"), expected=expected)
    assert found == ([] if stands else ["tokens_in does not fit the offer"])


def test_a_signature_of_another_key_does_not_count() -> None:
    done = result()
    receipt = msgspec.convert(done.receipt, Receipt)
    forged = msgspec.structs.replace(done, signature=sign_receipt(SigningKey(b"\2" * 32), receipt))
    assert faults(forged) == ["the signature does not fit the receipt"]


def test_what_no_model_does_is_seen() -> None:
    assert faults(result("a\0b")) == ["the text holds U+0000"]
    stopping = offer(stop=["l"], max_tokens=10)
    assert "tokens follow a stop string" in faults(result("he", stopping, ids=list(b"hello")), stopping)
    fast = offer(max_tokens=1000)
    assert faults(result("x" * 500, fast, decode_ms=1), fast) == ["no model is that fast"]
    long = list(range(11))
    assert faults(result("", ids=long)) == ["there are more tokens than were asked for"]


@pytest.mark.parametrize("receipt", [{}, {"version": "x"}, {"extra": 1}])
def test_what_is_no_receipt_is_none(receipt: dict[str, Any]) -> None:
    broken = {**result().receipt, **receipt} if receipt else {}
    assert read_receipt(msgspec.structs.replace(result(), receipt=broken)) is None
