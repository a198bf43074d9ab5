"""Does a result stand, as far as the message itself tells? Free checks, made of every result before it counts."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec

from shared.crypto import chain_extend, chain_start, seed_commitment
from shared.protocol.messages import Done, OfferBody
from shared.receipt import SAMPLER, VERSION, Receipt, worker_signed
from shared.text import Deltas, prompt_hash, result_hash
from shared.vectors import UnsoundVectors, check_scores, check_vectors

MAX_TOKENS_PER_S: Final = 20_000
"""More than this of one stream is no model's speed: it says that nothing was computed."""

MAX_BUILD: Final = 200
LAST_MS: Final = 253_402_300_799_000
"""The end of the year 9999 in ms: no calendar here goes further."""

FINISHES: Final = ("stop", "length")
SPARE_TOKENS: Final = 8
"""A weak worker cuts the text of another program into tokens piece by piece, which makes more of them: a quarter more, and
so many, are believed."""
_NUL: Final = "\0"


class Vocabulary(Protocol):
    """The model's tokens, as the coordinator has them."""

    @property
    def size(self) -> int:
        """How many token ids there are."""

    @property
    def dimensions(self) -> int:
        """How many numbers its vectors have; 0 where that is not known."""

    @property
    def end_ids(self) -> frozenset[int]:
        """The ids that end an answer."""

    def detokenise(self, ids: Sequence[int]) -> bytes:
        """The bytes of the ids, one after the other."""

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        """The ids of a text, without control tokens where not `special`."""


class Expected(msgspec.Struct, frozen=True):
    """What the coordinator knows of an attempt beside its offer: the prompt's tokens by its own count, the text that
    went out before, the model's context in tokens, and whether the worker was known to be weak when it got the offer. The
    images of the prompt may be up to `image_tokens` more."""

    tokens_in: int
    earlier_text: str
    context: int
    weak: bool = False
    image_tokens: int = 0


def read_receipt(done: Done) -> Receipt | None:
    """The receipt inside a result, None if it is not one."""
    try:
        return msgspec.convert(done.receipt, Receipt)
    except msgspec.ValidationError:
        return None


def check(done: Done, receipt: Receipt, offer: OfferBody, vocabulary: Vocabulary, expected: Expected) -> list[str]:
    """Everything that is wrong with a result, in words that hold nothing of it; an empty list if it stands."""
    if len(offer.resume_ids) + len(done.ids) > offer.max_tokens:
        return ["there are more tokens than were asked for"]
    faults = [f"{field} does not fit the offer" for field in _unlike(done, receipt, offer, expected)]
    if not worker_signed(receipt, done.signature):
        faults.append("the signature does not fit the receipt")
    faults += _of_words(receipt)
    if offer.task == "generate":
        faults += _of_tokens(done, receipt, offer, vocabulary, expected)
    else:
        faults += _of_texts(done, receipt, offer, vocabulary)
    faults += _of_times(done, receipt)
    return faults


def _unlike(done: Done, receipt: Receipt, offer: OfferBody, expected: Expected) -> Iterator[str]:
    start = chain_start(offer.job_id, offer.attempt)
    wanted = {
        "version": VERSION,
        "job_id": offer.job_id,
        "attempt": offer.attempt,
        "model_digest": offer.model_digest,
        "sampler": SAMPLER,
        "seed_commitment": seed_commitment(offer.salt, offer.seed),
        "prompt_hash": prompt_hash(offer),
        "result_hash": result_hash(offer.salt, done.text),
        "chain_head": chain_extend(start, len(offer.resume_ids), done.ids).hex(),
        "tokens_in": min(max(receipt.tokens_in, expected.tokens_in), expected.tokens_in + expected.image_tokens),
        "tokens_out": len(done.ids),
        "cell": offer.cell,
        "jurisdictions": offer.jurisdictions,
        "evidence": offer.evidence,
        "verifiability": "weak" if expected.weak else "seeded",
        "geo_digest": offer.geo_digest,
        "worker_pk": offer.worker_pk,
    }
    return (name for name, value in wanted.items() if getattr(receipt, name) != value)


def _of_texts(done: Done, receipt: Receipt, offer: OfferBody, vocabulary: Vocabulary) -> Iterator[str]:
    """Faults of a result that is vectors or scores; there is no token in it, for none was asked for."""
    try:
        if offer.task == "rank":
            check_scores(done.text, len(offer.inputs) - 1)
        else:
            check_vectors(done.text, len(offer.inputs), vocabulary.dimensions)
    except UnsoundVectors as error:
        yield str(error)
    if receipt.finish_reason != "stop":
        yield "finish_reason does not fit the task"


def _of_tokens(
    done: Done, receipt: Receipt, offer: OfferBody, vocabulary: Vocabulary, expected: Expected
) -> Iterator[str]:
    ids = [*offer.resume_ids, *done.ids]
    if any(token >= vocabulary.size or token in vocabulary.end_ids for token in done.ids):
        yield "a token is not in the vocabulary, or ends an answer"
        return
    text, early, stopped = _told(ids, vocabulary, offer.stop)
    if text != expected.earlier_text + done.text:
        yield "the text is not that of the tokens"
    if early:
        yield "tokens follow a stop string"
    if _NUL in done.text:
        yield "the text holds U+0000"
    if expected.weak and _too_many(done, vocabulary):
        yield "there are more tokens than the text is worth"
    # The other program of a weak worker counts in its own way until it is full, and could as well say "stop".
    full = expected.weak or len(ids) == offer.max_tokens or expected.tokens_in + len(ids) >= expected.context
    if receipt.finish_reason not in FINISHES or (receipt.finish_reason == "length" and (stopped or not full)):
        yield "finish_reason does not fit the tokens"


def _too_many(done: Done, vocabulary: Vocabulary) -> bool:
    fair = len(vocabulary.tokenise(done.text, special=False))
    return len(done.ids) > fair + fair // 4 + SPARE_TOKENS


def _told(ids: Sequence[int], vocabulary: Vocabulary, stop: Sequence[str]) -> tuple[str, bool, bool]:
    """The text of the tokens, whether a stop string was complete before the last of them, and whether it was at all."""
    if not stop:
        return vocabulary.detokenise(ids).decode("utf-8", "replace"), False, False
    deltas = Deltas(vocabulary, stop)
    early = False
    for token in ids:
        early = deltas.stopped
        deltas.push(token)
    deltas.flush()
    return deltas.text, early, deltas.stopped


def _of_words(receipt: Receipt) -> Iterator[str]:
    """The worker's own words: everybody can read a receipt, so there is no room in it for anything else."""
    if len(receipt.engine_build) > MAX_BUILD or not receipt.engine_build.isprintable():
        yield f"engine_build takes up to {MAX_BUILD} printable characters"


def _of_times(done: Done, receipt: Receipt) -> Iterator[str]:
    if receipt.started_at > receipt.finished_at:
        yield "it finished before it started"
    if receipt.started_at < 0 or receipt.finished_at > LAST_MS:
        yield "it happened at no time that there is"
    if len(done.ids) * 1000 > MAX_TOKENS_PER_S * max(done.decode_ms, 1) and len(done.ids) > 1:
        yield "no model is that fast"
