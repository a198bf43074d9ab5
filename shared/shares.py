"""How both sides begin to write down what an attempt makes, so that it can be signed for should the attempt be lost."""

from shared.crypto import chain_start, seed_commitment
from shared.protocol.messages import OfferBody
from shared.receipt import SAMPLER, VERSION, ShareReceipt
from shared.text import prompt_hash


def nothing_of(offer: OfferBody, *, engine_build: str = "", weak: bool = False) -> ShareReceipt:
    """The share of an attempt that has made no token yet; its engine's build is only known to its worker."""
    return ShareReceipt(
        version=VERSION,
        job_id=offer.job_id,
        attempt=offer.attempt,
        model_digest=offer.model_digest,
        engine_build=engine_build,
        sampler=SAMPLER,
        seed_commitment=seed_commitment(offer.salt, offer.seed),
        prompt_hash=prompt_hash(offer),
        chain_head=chain_start(offer.job_id, offer.attempt).hex(),
        offset=len(offer.resume_ids),
        tokens_out=0,
        verifiability="weak" if weak else "seeded",
        worker_pk=offer.worker_pk,
    )
