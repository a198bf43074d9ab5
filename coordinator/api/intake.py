"""The way of a request into the queue: count, price, look whether anybody can take it, commit, wake the dispatcher."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Final, TypeVar
from uuid import UUID

import msgspec
import structlog

from coordinator.api.bodies import check_size
from coordinator.api.family import read_family
from coordinator.api.hive import Hive
from coordinator.api.nobody import refuse_if_nobody
from coordinator.api.trace import Trace
from coordinator.dispatch.offer import in_ms
from coordinator.dispatch.ordering import placed, withdrawn
from coordinator.dispatch.relay import Reader
from coordinator.match.demand import Demand
from coordinator.observe import jobs as observed
from coordinator.observe.series import SUBMIT, named
from coordinator.observe.tracing import TRACING
from coordinator.outside.http import Outside
from coordinator.queue.lifecycle import TERMINAL, State
from coordinator.store import receipts, views
from coordinator.store.callers import KeyRow
from coordinator.store.engine import alone
from coordinator.store.rows import JobView, Kind, KindSpec, NewJob
from coordinator.submit.admission import within
from coordinator.submit.images import with_images
from coordinator.submit.limits import spent
from coordinator.submit.prepare import (
    ENTROPY,
    Planned,
    by_id,
    instead,
    kind_of,
    known_model,
    new_jobs,
    prompt_tokens,
)
from coordinator.submit.request import JobRequest, Submission
from coordinator.submit.shares import share_of
from coordinator.submit.size import size_of
from shared.catalogue import Entry
from shared.errors import Conflict, HiveError, Unavailable
from shared.tokens import Vocabulary, is_long

REPEATED: Final = timedelta(minutes=15)
"""How long after a request an SDK may send it again by itself: its own timeout is ten minutes."""

_ELSEWHERE: Final = frozenset({"invalid_model", "model_not_allowed", "no_workers", "context_length_exceeded"})
"""What is wrong with one model need not be wrong with the next."""

Read = TypeVar("Read")
ServedIn = Mapping[UUID, Sequence[str]]
log = structlog.get_logger()


class Sent(msgspec.Struct, frozen=True):
    """What of the HTTP request matters for a submit: when it came (perf_counter), what makes it the same again, and whether
    an SDK says that it sends it again by itself, and how many bytes its body has."""

    received: float
    body_hash: str
    idempotency_key: str | None = None
    again: bool = False
    size: int = 0


class Accepted(msgspec.Struct, frozen=True):
    """Committed jobs, known by `id`: the job's own, or their parent's. They are earlier ones where it was the same request
    again (`joined`; `jobs` are then what would have been made). `readers` are open for attached jobs, one for each choice,
    and the caller's to close, `created_at` is when the jobs that they read were made."""

    id: UUID
    jobs: tuple[NewJob, ...]
    planned: list[Planned]
    entry: Entry
    trace: Trace
    readers: list[Reader]
    created_at: datetime
    joined: bool


class Intake:
    """Takes submissions for one coordinator; images come through `outside`. `demand` counts what was asked for."""

    def __init__(self, hive: Hive, outside: Outside) -> None:
        self._hive, self._outside = hive, outside
        self.demand = Demand(in_ms(hive.clock()))

    async def take(self, submission: Submission, key: KeyRow, sent: Sent) -> Accepted:
        """Commit the jobs that a caller asks for; raises RequestError for what is wrong with them, Unavailable
        `no_workers` with the counts if nobody may take them, and what the money says. Where the model cannot be had its
        fallbacks are tried, and the first error is told if none can."""
        self._refuse_if_spent(key, sent)
        with TRACING.submit() as trace:
            return await self._tried(submission if trace is None else submission.traced(trace), key, sent)

    async def _tried(self, submission: Submission, key: KeyRow, sent: Sent) -> Accepted:
        try:
            return await self._take(submission, key, sent)
        except HiveError as e:
            if e.code not in _ELSEWHERE or not submission.fallbacks:
                raise
            for model in submission.fallbacks:
                try:
                    return await self._take(instead(submission, model), key, sent)
                except HiveError as other:
                    if other.code not in _ELSEWHERE:
                        raise
            raise

    async def count(self, submission: Submission, key: KeyRow) -> int:
        """How many tokens the model reads of what is asked; raises RequestError for what is wrong with it."""
        entry = known_model(submission, self._hive.catalogue, key)
        requests = by_id(submission, entry).requests
        return sum([await self._read(request, partial(prompt_tokens, request)) for request in requests])

    async def _take(self, submission: Submission, key: KeyRow, sent: Sent) -> Accepted:
        entry = known_model(submission, self._hive.catalogue, key)
        submission = by_id(submission, entry)
        check_size(sent.size, media=any(request.images for request in submission.requests))
        planned = [await self._planned(request, submission, entry, key) for request in submission.requests]
        planned = await self._with_images(planned)
        jobs = new_jobs(
            submission,
            planned,
            key=key,
            entry=entry,
            now=self._hive.clock(),
            entropy=os.urandom(ENTROPY * (1 + len(planned) * submission.n)),
            idempotency_key=sent.idempotency_key,
            body_hash=sent.body_hash,
        )
        return await self._commit(jobs, planned, entry, sent, share=share_of(key.plan))

    async def _planned(self, request: JobRequest, submission: Submission, entry: Entry, key: KeyRow) -> Planned:
        """The request counted, its room and its kind; raises Unavailable if nobody may take it."""
        hive = self._hive
        size = await self._read(request, partial(size_of, request, submission.max_tokens, entry))
        size = within(size, submission, key.limits)
        owns = hive.hub.owns(key.account_id)
        spec = kind_of(submission, entry, size, account_id=key.account_id, owns=owns)
        kind = hive.kinds.known(spec)
        if kind is None or not hive.hub.anyone(kind):
            await self._refuse_if_nobody(spec, submission)
        return Planned(request, size.tokens_in, size.max_tokens, kind or await self._kind(spec))

    def _refuse_if_spent(self, key: KeyRow, sent: Sent) -> None:
        """A caller without a request left is told so before anything is counted; the same request again costs none."""
        repeated = sent.idempotency_key is not None or sent.again
        refused = None if repeated else spent(key.limits, self._hive.writer.seen.marks(key.id), self._hive.clock())
        if refused is not None:
            raise refused

    async def _with_images(self, planned: list[Planned]) -> list[Planned]:
        """The same with all images in the requests, now that somebody may see them."""
        requests = await with_images([plan.request for plan in planned], self._outside)
        return [msgspec.structs.replace(plan, request=request) for plan, request in zip(planned, requests, strict=True)]

    async def _refuse_if_nobody(self, spec: KindSpec, submission: Submission) -> None:
        """Nobody is refused before it was looked who is at other coordinators now."""
        try:
            refuse_if_nobody(self._hive.hub.counts(spec), submission)
            return
        except HiveError:
            await self._hive.look_elsewhere()
        try:
            refuse_if_nobody(self._hive.hub.counts(spec), submission)
        except Unavailable:
            self._hive.hub.miss(spec, now := in_ms(self._hive.clock()))
            self.demand.refused(spec, now)
            raise

    async def _commit(
        self, jobs: tuple[NewJob, ...], planned: list[Planned], entry: Entry, sent: Sent, *, share: int
    ) -> Accepted:
        attached = jobs[0].attached
        earlier = await self._earlier(jobs[0], sent) if sent.again else None
        kinds = {plan.kind.id: plan.kind for plan in planned}
        if earlier is None:
            jobs = placed(self._hive.hub.order, ((job, kinds[job.kind_id]) for job in jobs), share)
        readers = [self._hive.relay.open(job.id, attached=True) for job in jobs] if attached and not earlier else []
        own, created_at = jobs[0].parent or jobs[0].id, jobs[0].created_at
        served_in: ServedIn = {}
        try:
            id_ = earlier or await self._written(jobs, kinds)
            if id_ == own:
                self._submitted(jobs, kinds)
                await asyncio.sleep(0)  # the worker first: the round asks the database before the caller is answered
            elif attached:
                readers, created_at, served_in = await self._joined(id_, readers)
        except BaseException:
            close(readers)
            raise
        accepted = perf_counter()
        SUBMIT.observe(accepted - sent.received, named(id_))
        log.debug("jobs are accepted", job=str(id_), jobs=len(jobs), joined=id_ != own)
        trace = Trace(id_, received=sent.received, accepted=accepted, now=perf_counter)
        trace.served_in = served_in
        return Accepted(id_, jobs, planned, entry, trace, readers, created_at, joined=id_ != own)

    async def _written(self, jobs: tuple[NewJob, ...], kinds: Mapping[int, Kind]) -> UUID:
        """The id that the writer says; jobs that it did not make give their places in the queue back."""
        id_ = None
        try:
            id_ = await self._hive.writer.submit(*jobs)
        finally:
            if id_ != (jobs[0].parent or jobs[0].id):
                withdrawn(self._hive.hub.order, ((job, kinds[job.kind_id]) for job in jobs))
        return id_

    def _submitted(self, jobs: Sequence[NewJob], kinds: Mapping[int, Kind]) -> None:
        observed.asked(job.id for job in jobs)
        for job in jobs:
            self._hive.hub.submitted(kinds[job.kind_id], job)
            self.demand.asked(kinds[job.kind_id], 1, in_ms(job.created_at))

    async def _earlier(self, job: NewJob, sent: Sent) -> UUID | None:
        """The first job of a request that an SDK sends again by itself, if that has not failed and its answer is kept."""
        if sent.idempotency_key is not None:
            return None
        since = job.created_at - REPEATED
        async with alone(self._hive.engine) as conn:
            id_ = await views.same_request(conn, job.key_id, job.account_id, sent.body_hash, since)
        return None if id_ is None or any(map(_is_gone, await self._family(id_))) else id_

    async def _joined(self, id_: UUID, own: list[Reader]) -> tuple[list[Reader], datetime, ServedIn]:
        """Readers of an earlier job, or of all children of an earlier parent, in place of those of the jobs that were not
        made, when that was made, and where; what has ended tells so again. Raises Conflict where an answer was deleted."""
        close(own)
        family = await self._family(id_)
        if not family or any(map(_is_gone, family)):
            message = "The answer that this idempotency key stands for was deleted; ask again with another key."
            raise Conflict(message, code="idempotency_conflict")
        relay = self._hive.relay
        readers = [relay.open(view.id, attached=True) for view in family]
        try:
            ended = [view for view in await self._family(id_) if view.status in TERMINAL]
            async with alone(self._hive.engine) as conn:
                served_in = await receipts.served_in(conn, [view.id for view in ended])
            for view in ended:
                relay.end(view)
        except BaseException:
            close(readers)
            raise
        return readers, family[0].created_at, served_in

    async def _family(self, id_: UUID) -> list[JobView]:
        view, children = await read_family(self._hive.engine, id_)
        return children or ([view] if view is not None else [])

    async def _read(self, request: JobRequest, reading: Callable[[Vocabulary], Read]) -> Read:
        """What is read with the model's vocabulary, in a thread where that takes long."""
        vocabulary = self._hive.vocabularies[request.model]
        if is_long(request) or request.response_format is not None:
            return await asyncio.to_thread(reading, vocabulary)
        return reading(vocabulary)

    async def _kind(self, spec: KindSpec) -> Kind:
        async with self._hive.engine.begin() as conn:
            return await self._hive.kinds.get(conn, spec)


def _is_gone(view: JobView) -> bool:
    """Whether a job has completed and what it said is no longer kept."""
    return view.status is State.COMPLETED and view.result_text is None


def close(readers: Sequence[Reader]) -> None:
    """Close readers, whatever became of their jobs."""
    for reader in readers:
        reader.close()
