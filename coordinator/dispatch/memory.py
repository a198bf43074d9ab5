"""What is remembered of the workers here from job to job: which beginnings of prompts they have read, and how reliable they were.
It makes one worker better than another, never more or less eligible."""

import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from coordinator.dispatch.offer import request_of
from coordinator.dispatch.reports import Finished, Lost
from coordinator.dispatch.session import Session
from coordinator.match.affinity import Affinity
from coordinator.match.record import Records
from coordinator.store.rows import Claimed

if TYPE_CHECKING:
    from coordinator.dispatch.state import Dispatch

OURS: Final = "its earlier tokens are gone"
"""Why an attempt was lost that its worker has no part in."""


class Memory:
    """Of one process: the hashes in it are keyed with a secret that nobody else has, and go with it."""

    def __init__(self) -> None:
        self.affinity = Affinity(secrets.token_bytes(32))
        self.records = Records()


def readers(d: "Dispatch", jobs: Iterable[Claimed]) -> Mapping[UUID, Mapping[str, int]]:
    """Of those of these jobs whose prompts begin as others did: who has read that, and how many tokens of it. A caller's own
    seed forbids to read a cache, so nobody is better for it."""
    found, now, affinity = {}, d.now_ms(), d.memory.affinity
    for job in jobs:
        if affinity.knows(job.account_id, now) and not (request := request_of(job)).fresh:
            found[job.id] = affinity.readers(affinity.marks(job.account_id, request), job.tokens_in, now)
    return found


def ended(d: "Dispatch", report: Finished) -> None:
    """A worker has brought a result: what it read for it is in its cache now."""
    job, result, now = report.attempt.job, report.result, d.now_ms()
    request, affinity = request_of(job), d.memory.affinity
    if d.hub.session_of(result.worker_pk) is not None:
        affinity.note(
            job.account_id, request.model, result.worker_pk, affinity.marks(job.account_id, request),
            tokens=result.tokens_in, fed=result.tokens_in - result.cached_tokens + result.share[0], now=now,
        )  # fmt: skip
    _ranked(d, result.worker_pk, d.memory.records.ended(result.worker_pk, now))


def lost(d: "Dispatch", report: Lost) -> None:
    """A worker has lost an attempt."""
    pk = report.attempt.body.worker_pk
    if report.reason != OURS:
        _ranked(d, pk, d.memory.records.lost(pk, d.now_ms()))


def joins(d: "Dispatch", session: Session) -> None:
    """A worker is about to join: nobody knows what its cache holds, but how reliable it was."""
    d.memory.affinity.left(session.pk)
    session.record = d.memory.records.rank(session.pk, d.now_ms())


def left(d: "Dispatch", session: Session) -> None:
    """A worker's session is over, and with it what is known of its cache."""
    d.memory.affinity.left(session.pk)


def mended(d: "Dispatch") -> None:
    """What is long ago counts less for those who have lost something: who gets no jobs could not mend its record else."""
    now = d.now_ms()
    for session in [session for session in d.hub.sessions.values() if session.record]:
        _ranked(d, session.pk, d.memory.records.rank(session.pk, now))


def _ranked(d: "Dispatch", pk: str, rank: int) -> None:
    session = d.hub.session_of(pk)
    if session is not None and session.record != rank:
        session.record = rank
        d.hub.changed(session, session.facts)
