"""The signed offer of one attempt: the job's own terms, this worker's place, and what was made of it already."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from nacl.signing import SigningKey

from coordinator.match.rules import WorkerFacts
from coordinator.settle.split import split
from coordinator.store.rows import Claimed
from coordinator.submit.request import JobRequest
from shared.catalogue import Entry
from shared.crypto import Context, sign
from shared.geo.cells import format_cell, public_cell
from shared.protocol.messages import Offer, OfferBody
from shared.tiers import EVIDENCE

_REQUEST: Final = msgspec.json.Decoder(JobRequest)
_ASKED: Final = tuple(name for name in JobRequest.__struct_fields__ if name in OfferBody.__struct_fields__)
"""What an offer says as the caller's request has it: messages, sampling, form, task."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def price_of(job: Claimed) -> int:
    """What an attempt at this job may earn at most, in stroops: the worker's part of what is held for it."""
    return split(job.hold).worker


def request_of(job: Claimed) -> JobRequest:
    """What the caller asked for."""
    return _REQUEST.decode(job.request)


def body_of(
    job: Claimed, attempt: int, worker: WorkerFacts, catalogue: Mapping[str, Entry], *, resume_ids: list[int],
    geo_digest: str, expires_at: int,
) -> OfferBody:  # fmt: skip
    """What this worker is asked to do, with the file that the catalogue pins, whatever the worker says of its files by
    now; `expires_at` in ms. Raises KeyError for a model that is not in the catalogue."""
    request = request_of(job)
    return OfferBody(
        job_id=str(job.id),
        attempt=attempt,
        worker_pk=worker.pk,
        model_id=request.model,
        model_digest=catalogue[request.model].digest,
        max_tokens=job.max_tokens,
        seed=job.seed,
        salt=job.salt,
        price=price_of(job),
        scope=hashlib.sha256(b"hive/v1/scope\0" + job.account_id.bytes).hexdigest()[:32],
        cell=format_cell(public_cell(worker.cell)),
        jurisdictions=sorted(worker.countries),
        evidence=EVIDENCE[worker.evidence],
        geo_digest=geo_digest,
        expires_at=expires_at,
        resume_ids=resume_ids,
        **{name: getattr(request, name) for name in _ASKED},
    )


def is_weak(worker: WorkerFacts, model_id: str) -> bool:
    """Whether the worker says that another program makes this model's tokens."""
    model = worker.models.get(model_id)
    return model is not None and model.weak


def signed(key: SigningKey, body: OfferBody) -> Offer:
    """The offer with the coordinator's signature, by which the worker can prove it."""
    return Offer(body, sign(key, Context.OFFER, msgspec.to_builtins(body)))


def in_ms(moment: datetime) -> int:
    """A moment in ms since 1970 UTC."""
    return (moment - _EPOCH) // _MILLISECOND
