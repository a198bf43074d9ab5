"""Why a worker gets no jobs: of those that wait now, how many each rule keeps from it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from litestar import get
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.swarm import REGISTERED
from coordinator.api.worker_auth import require_worker
from coordinator.dispatch.admission import registered
from coordinator.dispatch.offer import in_ms
from coordinator.match.demand import Hour
from coordinator.match.rules import Reason, WorkerFacts, why_not
from coordinator.store import earnings, workers
from coordinator.store.engine import alone
from coordinator.store.rows import Kind, WorkerRow
from shared.tiers import tier_name

SEEN: Final = timedelta(seconds=30)
"""A worker that its coordinator saw within so long is online, here or elsewhere."""

SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.TAKES_NONE: "This worker takes no jobs now: it is paused, drains, or is not in good standing.",
    Reason.OWNER: "They are for workers of their own account alone.",
    Reason.MODEL: "They ask for a model that this worker does not serve; `hive worker models fetch` gets one.",
    Reason.TASK: "They ask for what its engine does not do with this model: to write, to embed or to rank.",
    Reason.VISION: "They show images, which only a vision model at another server of the owner's sees.",
    Reason.PLACE: "They may not run in this worker's cell or in one of its countries.",
    Reason.TIER: "They ask for a higher tier, which comes with verified jobs and time.",
    Reason.EVIDENCE: "They ask for better evidence of where this worker is.",
    Reason.CONTEXT: "They need a larger context than this worker offers for the model.",
    Reason.VERIFIABILITY: "They need tokens that anybody can replay, which only Hive's own engine makes.",
    Reason.PRICE: "They pay less than this worker's price floor.",
}


class Rule(msgspec.Struct, frozen=True):
    """How many of the waiting jobs a rule keeps from the worker, and what it is about."""

    reason: str
    count: int
    sentence: str


class Kept(msgspec.Struct, frozen=True):
    """How many jobs, and how many refused requests, a rule kept from the worker within the hour."""

    reason: str
    jobs: int
    refused: int
    sentence: str


class LastHour(msgspec.Struct, frozen=True):
    """What was asked of this coordinator, and of no other, since `since` (ms, an hour ago or its start): jobs, and requests that
    it refused as nobody could take them. `could_take` of both this worker might have had, as it is now; `skipped` says what
    kept the rest from it. `others` were of too many kinds to be told apart."""

    since: int
    jobs: int
    refused: int
    could_take: int
    skipped: list[Kept]
    others: int


class Why(msgspec.Struct, frozen=True):
    """`registered`: seen within a day; `waiting` counts the pending jobs of all, up to 1 000 of a kind; `could_take` those
    that this worker may do; `last_job_at` in ms."""

    registered: bool
    online: bool
    tier: str
    waiting: dict[str, int]
    could_take: int
    reasons: list[Rule]
    free_slots: int
    last_job_at: int | None
    last_hour: LastHour


@get("/hive/workers/{pk:str}/why", name="worker_why")
async def worker_why(request: HttpRequest, pk: FromPath[str]) -> ASGIApp:
    """Why a worker gets no jobs, for itself alone."""
    face = face_of(request)
    hive, now = face.hive, face.hive.clock()
    require_worker(hive, request, pk)
    waiting = await face.waiting.counts()
    async with alone(hive.engine) as conn:
        row = await workers.get_worker(conn, pk)
        days = await earnings.days(conn, pk, (now - REGISTERED).date())
    session = hive.hub.session_of(pk)
    facts = session.facts if session is not None else None if row is None else registered(row, hive.catalogue)
    last = max([session.last_job_at if session else 0, *(in_ms(day.last_at) for day in days)])
    return json_answer(
        Why(
            registered=row is not None and row.last_seen >= now - REGISTERED,
            online=session is not None or is_online(row, now),
            tier=tier_name(facts.tier if facts else 0),
            waiting={"jobs": sum(count for _, count in waiting)},
            could_take=could_take(facts, waiting),
            reasons=rules(facts, waiting),
            free_slots=hive.hub.free_slots(pk, in_ms(now)),
            last_job_at=last or None,
            last_hour=last_hour(face.intake.demand.of(facts, in_ms(now))),
        )
    )


def is_online(row: WorkerRow | None, now: datetime) -> bool:
    """Whether some coordinator saw the worker a moment ago."""
    return row is not None and row.last_seen >= now - SEEN


def could_take(facts: WorkerFacts | None, waiting: Iterable[tuple[Kind, int]]) -> int:
    """How many of the waiting jobs the worker may do; none while nothing is known of it."""
    return sum(count for kind, count in waiting if facts and not isinstance(why_not(facts, kind), Reason))


def rules(facts: WorkerFacts | None, waiting: Iterable[tuple[Kind, int]]) -> list[Rule]:
    """The rules that keep waiting jobs from the worker, in their order; each job counts for the first that it breaks."""
    found: Counter[Reason] = Counter()
    for kind, count in waiting if facts else ():
        assert facts is not None, "nothing is counted without it"
        verdict = why_not(facts, kind)
        if isinstance(verdict, Reason):
            found[verdict] += count
    return [Rule(reason.value, found[reason], SENTENCES[reason]) for reason in Reason if found[reason]]


def last_hour(hour: Hour) -> LastHour:
    """The hour in words."""
    skipped = [Kept(one.reason.value, one.jobs, one.refused, SENTENCES[one.reason]) for one in hour.skipped]
    return LastHour(hour.since, hour.jobs, hour.refused, hour.could_take, skipped, hour.others)


ROUTES: Final[list[Any]] = [worker_why]
