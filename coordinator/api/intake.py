"""The way of a request into the queue: count, price, look whether anybody can take it, commit, wake the dispatcher."""

import asyncio
import os
from time import perf_counter
from uuid import UUID

import msgspec

from coordinator.api.hive import Hive
from coordinator.api.trace import Trace
from coordinator.dispatch.hub import Counts
from coordinator.dispatch.offer import in_ms
from coordinator.dispatch.relay import Reader
from coordinator.store.rows import KeyRow, Kind, KindSpec, NewJob
from coordinator.submit.placement import Asking, in_words
from coordinator.submit.prepare import ENTROPY, by_id, kind_of, known_model, new_job, prompt_tokens, room
from coordinator.submit.request import JobRequest, Submission
from shared.catalogue import Entry
from shared.errors import Unavailable
from shared.tokens import is_long

RETRY_AFTER_S = 5


class Sent(msgspec.Struct, frozen=True):
    """What of the HTTP request matters for a submit: when it came (perf_counter), and what makes it the same again."""

    received: float
    body_hash: str
    idempotency_key: str | None = None


class Accepted(msgspec.Struct, frozen=True):
    """A committed job. `id` differs from the job's own where an earlier one had the same idempotency key; `reader` is
    open for an attached job, and the caller's to close."""

    id: UUID
    job: NewJob
    kind: Kind
    entry: Entry
    trace: Trace
    reader: Reader | None


class Intake:
    """Takes submissions for one coordinator."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive

    async def take(self, submission: Submission, key: KeyRow, sent: Sent) -> Accepted:
        """Commit the job that a caller asks for; raises RequestError for what is wrong with it, Unavailable
        `no_workers` with the counts if nobody may take it, and what the money says."""
        hive = self._hive
        entry = known_model(submission, hive.catalogue, key)
        submission = by_id(submission, entry)
        tokens_in = await self._count(submission.request)
        max_tokens = room(tokens_in, submission.max_tokens, entry)
        owns = hive.hub.owns(key.account_id)
        spec = kind_of(submission, entry, tokens_in, max_tokens, account_id=key.account_id, owns=owns)
        kind = hive.kinds.known(spec)
        if kind is None or not hive.hub.anyone(kind):
            self._refuse_if_nobody(spec, submission)
        kind = kind or await self._kind(spec)
        job = new_job(
            submission,
            key=key,
            kind=kind,
            entry=entry,
            tokens_in=tokens_in,
            max_tokens=max_tokens,
            now=hive.clock(),
            entropy=os.urandom(ENTROPY),
            idempotency_key=sent.idempotency_key,
            body_hash=sent.body_hash,
        )
        return await self._commit(job, kind, entry, sent)

    def _refuse_if_nobody(self, spec: KindSpec, submission: Submission) -> None:
        try:
            refuse_if_nobody(self._hive.hub.counts(spec), submission)
        except Unavailable:
            self._hive.hub.miss(spec, in_ms(self._hive.clock()))
            raise

    async def _commit(self, job: NewJob, kind: Kind, entry: Entry, sent: Sent) -> Accepted:
        reader = self._hive.relay.open(job.id, attached=True) if job.attached else None
        try:
            job_id = await self._hive.writer.submit(job)
            if job_id == job.id:
                self._hive.hub.submitted(kind, job)
                await asyncio.sleep(0)  # the worker first: the round asks the database before the caller is answered
        except BaseException:
            if reader is not None:
                reader.close()
            raise
        if reader is not None and job_id != job.id:
            reader.close()
            reader = self._hive.relay.open(job_id, attached=True)
        trace = Trace(job_id, received=sent.received, accepted=perf_counter(), now=perf_counter)
        return Accepted(job_id, job, kind, entry, trace, reader)

    async def _count(self, request: JobRequest) -> int:
        vocabulary = self._hive.vocabularies[request.model]
        if is_long(request) or request.response_format is not None:
            return await asyncio.to_thread(prompt_tokens, request, vocabulary)
        return prompt_tokens(request, vocabulary)

    async def _kind(self, spec: KindSpec) -> Kind:
        async with self._hive.engine.begin() as conn:
            return await self._hive.kinds.get(conn, spec)


def refuse_if_nobody(counts: Counts, submission: Submission) -> None:
    """Raise Unavailable `no_workers` if no eligible worker is online (for a job that is read as it runs), or none is
    registered that could ever take it (for one that may wait)."""
    if counts.eligible or (counts.possible and not submission.attached):
        return
    raise Unavailable(
        nobody(counts, submission.placement),
        details={"counts": msgspec.structs.asdict(counts)},
        retry_after_s=RETRY_AFTER_S if counts.possible else None,
    )


def nobody(counts: Counts, where: Asking) -> str:
    """Why nobody takes the job, by the rule at which the last candidates fall away."""
    steps = (
        (counts.online, "no worker is online"),
        (counts.owner, "no worker that is linked to your account is online and takes jobs"),
        (counts.has_model, "no worker online has the model"),
        (counts.in_place, "no worker that has the model is in that place"),
        (counts.tier, "no worker there has a high enough tier"),
        (counts.evidence, "no worker there has good enough evidence for its place"),
        (counts.context, "no worker there has a large enough context"),
        (counts.verifiability, "no worker there can make tokens that anybody can replay, which this request needs"),
        (counts.price, "every worker there asks for a higher price"),
    )
    why = next((reason for left, reason in steps if left == 0), "none is left")
    return f"No eligible worker{in_words(where)}: {why}."
