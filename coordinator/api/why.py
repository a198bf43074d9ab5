"""Why a job waits: what its kind asks for and who could take it, counted rule by rule; and what became of its attempts."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.counting import Candidates
from coordinator.api.face import face_of
from coordinator.api.failures import failure_of
from coordinator.api.hive import HttpRequest
from coordinator.api.nobody import nobody
from coordinator.api.views import instant, written
from coordinator.match.explain import Facts, Search, reason, search, would_help
from coordinator.match.needs import Need, task_of
from coordinator.queue.lifecycle import State
from coordinator.store import kinds, waiting
from coordinator.store.engine import Connection, alone
from coordinator.store.rows import JobView, Kind
from coordinator.store.waiting import Place, Try
from shared.geo.cells import format_cell

MILLISECOND: Final = timedelta(milliseconds=1)


class Parked(msgspec.Struct, frozen=True):
    """The job waits outside the queue: `under_way` jobs of its key are let in, of `at_once` that may be; `ahead` of its key's
    parked ones go first, up to 1 000."""

    under_way: int
    at_once: int
    ahead: int


class NextCell(msgspec.Struct, frozen=True):
    """What the search takes in next, and when."""

    cell: str
    at: str


class Widening(msgspec.Struct, frozen=True):
    """The cells that are searched now, the named one first; `next` is null where the search goes no further."""

    cells: list[str]
    next: NextCell | None


class Tried(msgspec.Struct, frozen=True):
    """One attempt: `outcome` is `complete`, `lose`, `decline`, `fail`, `expire` or `cancel`, null while it is under way."""

    attempt: int
    assigned_at: str
    ended_at: str | None
    outcome: str | None
    reason: str


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One job. While it is pending, `counts` says how many workers pass each rule, as the `details` of a 503 do, `ahead` how many
    jobs of its kind go first (up to 1 000) and `avoids` how many workers it avoids, for they lost or declined it; `ready_at`
    is the moment before which nobody is offered it. `waited_ms` is until its first worker, or until now."""

    id: UUID
    status: State
    sentence: str
    would_help: str | None
    waited_ms: int
    counts: dict[str, int] | None
    parked: Parked | None
    ahead: int | None
    ready_at: str | None
    widening: Widening | None
    avoids: int
    attempts: list[Tried]


class WhyJob(Explained, frozen=True, kw_only=True):
    """Why a job waits, or what became of it; of a parent, its `children` each."""

    children: list[Explained]


@get("/hive/jobs/{job_id:uuid}/why", name="job_why")
async def job_why(request: HttpRequest, job_id: FromPath[UUID]) -> ASGIApp:
    """Why a job of the caller's account waits, by counts, and what its attempts came to."""
    face = face_of(request)
    key = await face.keys.caller(request)
    while True:
        view, children = await face.family(job_id, key.account_id)
        each = children or [view]
        async with alone(face.hive.engine) as conn:
            standing = await _standing(conn, each)
            tries = await waiting.tries(conn, [one.id for one in each])
        if all(one.status is not State.PENDING or one.id in standing for one in each):
            break  # else one of them was given away meanwhile
    if standing:
        await face.hive.look_elsewhere()
    now = face.hive.clock()
    told = [explained(one, standing.get(one.id), tries.get(one.id, []), face.counting.of, now) for one in each]
    whole = parent(view, told, now) if children else told[0]
    return json_answer(WhyJob(**msgspec.structs.asdict(whole), children=told if children else []))


async def _standing(conn: Connection, jobs: Sequence[JobView]) -> dict[UUID, tuple[Place, Kind]]:
    """Where those of these jobs stand that are pending, each with its kind."""
    pending = [job.id for job in jobs if job.status is State.PENDING]
    places = await waiting.places(conn, pending) if pending else {}
    known = {kind.id: kind for kind in await kinds.read(conn, sorted({place.kind_id for place in places.values()}))}
    return {id_: (place, known[place.kind_id]) for id_, place in places.items()}


def explained(
    job: JobView, standing: tuple[Place, Kind] | None, tries: Sequence[Try], count: Callable[[Kind], Candidates], now: datetime
) -> Explained:  # fmt: skip
    """One job at this moment; `standing` is there while it is pending."""
    told = [_tried(one) for one in tries]
    if standing is not None:
        return _waiting(job, *standing, told, count(standing[1]), now)
    return Explained(
        id=job.id, status=job.status, sentence=_became(job, tries), would_help=None, waited_ms=_waited(job, now),
        counts=None, parked=None, ahead=None, ready_at=None, widening=None, avoids=0, attempts=told,
    )  # fmt: skip


def _waiting(
    job: JobView, place: Place, kind: Kind, tried: list[Tried], candidates: Candidates, now: datetime
) -> Explained:
    waited = 0 if place.parked else max(0, (now - place.since) // MILLISECOND)
    facts, searched = _facts(place, candidates, waited, now), search(kind, waited)
    counts = candidates.counts
    return Explained(
        id=job.id,
        status=job.status,
        sentence=reason(facts, nobody(counts, kind, task_of(kind.needs), own=bool(kind.needs & Need.OWN))),
        would_help=would_help(kind, facts),
        waited_ms=_waited(job, now),
        counts=msgspec.structs.asdict(counts),
        parked=Parked(place.under_way, place.at_once or 0, place.ahead) if place.parked else None,
        ahead=None if place.parked else place.ahead,
        ready_at=instant(place.ready_at),
        widening=None if searched is None or place.parked else _widening(searched, place.since),
        avoids=len(place.avoid),
        attempts=tried,
    )


def _facts(place: Place, candidates: Candidates, waited: int, now: datetime) -> Facts:
    """A worker that lost the job gets it again only while no other that may do it is there."""
    here = candidates.here
    others = {pk: one for pk, one in here.items() if pk not in place.avoid} or here
    return Facts(
        parked=place.parked,
        under_way=place.under_way,
        at_once=place.at_once,
        eligible=candidates.counts.eligible,
        here=len(here),
        free=sum(free for after, free in others.values() if after <= waited),
        rests_ms=max(0, (place.ready_at - now) // MILLISECOND),
        reach_ms=max(0, min((after for after, _ in here.values()), default=0) - waited),
        avoids=len(place.avoid),
        ahead=place.ahead,
    )


def _widening(found: Search, since: datetime) -> Widening:
    next_ = found.next
    at = None if next_ is None else NextCell(format_cell(next_.cell), written(since + next_.after_ms * MILLISECOND))
    return Widening([format_cell(step.cell) for step in found.now], at)


def _became(job: JobView, tries: Sequence[Try]) -> str:
    """What happened to a job that waits no more, in one sentence."""
    lost = "".join(f" Attempt {one.attempt} ended before that: {one.reason or one.outcome}." for one in tries[:-1])
    failure = failure_of(job)
    if failure is not None:
        return f"{failure.message}{lost}"
    if job.status is State.COMPLETED:
        return f"It was completed by attempt {job.attempts}.{lost}"
    return f"A worker has it: attempt {job.attempts}.{lost}"


def parent(view: JobView, children: Sequence[Explained], now: datetime) -> Explained:
    """The parent of these children: they say why, it says how many of them wait."""
    left = [child for child in children if child.counts is not None]
    sentence = f"{len(left)} of its {len(children)} answers wait{'' if len(left) != 1 else 's'} for a worker."
    if left:
        sentence += f" The first of them: {left[0].sentence}"
    return Explained(
        id=view.id, status=view.status, sentence=sentence, would_help=left[0].would_help if left else None,
        waited_ms=_waited(view, now), counts=None, parked=None, ahead=None, ready_at=None, widening=None,
        avoids=0, attempts=[],
    )  # fmt: skip


def _waited(job: JobView, now: datetime) -> int:
    until = job.assigned_at or job.completed_at or now
    return max(0, (until - job.created_at) // MILLISECOND)


def _tried(one: Try) -> Tried:
    return Tried(one.attempt, written(one.assigned_at), instant(one.ended_at), one.outcome, one.reason or "")


ROUTES: Final[list[Any]] = [job_why]
