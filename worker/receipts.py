"""What a worker signs about one attempt."""

from typing import Literal

import msgspec

from shared.crypto import chain_extend, chain_start, seed_commitment
from shared.protocol.messages import OfferBody
from shared.receipt import SAMPLER, VERSION, FinishReason, Receipt
from shared.text import prompt_hash, result_hash


class Work(msgspec.Struct, frozen=True):
    """What one attempt did: its own token ids and the text they add, times in ms since 1970 UTC; `verifiability` is the
    model's, as it was offered."""

    ids: list[int]
    text: str
    tokens_in: int
    finish_reason: FinishReason
    started_at: int
    finished_at: int
    engine_build: str
    verifiability: Literal["seeded", "weak"] = "seeded"


def receipt_of(offer: OfferBody, work: Work) -> Receipt:
    """The receipt: what was asked as the offer says it, what was done as the work says it. The token chain starts
    empty at the first position that is this attempt's own."""
    head = chain_extend(chain_start(offer.job_id, offer.attempt), len(offer.resume_ids), work.ids)
    return Receipt(
        version=VERSION,
        job_id=offer.job_id,
        attempt=offer.attempt,
        model_digest=offer.model_digest,
        engine_build=work.engine_build,
        sampler=SAMPLER,
        seed_commitment=seed_commitment(offer.salt, offer.seed),
        prompt_hash=prompt_hash(offer),
        result_hash=result_hash(offer.salt, work.text),
        chain_head=head.hex(),
        tokens_in=work.tokens_in,
        tokens_out=len(work.ids),
        finish_reason=work.finish_reason,
        started_at=work.started_at,
        finished_at=work.finished_at,
        cell=offer.cell,
        jurisdictions=list(offer.jurisdictions),
        evidence=offer.evidence,
        verifiability=work.verifiability,
        geo_digest=offer.geo_digest,
        worker_pk=offer.worker_pk,
    )
