"""The committer: takes what was reported in batches, moves the jobs in one transaction, and only then tells anybody."""

import asyncio
from collections.abc import Mapping
from typing import Final, assert_never
from uuid import UUID

import msgspec
import structlog

from coordinator.dispatch import memory, ordering, telling
from coordinator.dispatch.attempts import Attempt
from coordinator.dispatch.carried import packed
from coordinator.dispatch.ending import delivered, ended_views
from coordinator.dispatch.reports import Declined, Finished, GaveUp, Lost, Report, Started
from coordinator.dispatch.state import Dispatch
from coordinator.observe import jobs as observed, series
from coordinator.observe.tracing import TRACING
from coordinator.queue import moves
from coordinator.queue.lifecycle import State
from coordinator.queue.over import Over
from coordinator.store.engine import Away, Connection
from coordinator.store.quick import quick, quick_begin
from coordinator.store.rows import JobView, Outcome
from shared.logs import bug
from shared.protocol.messages import Ack

RETRY_S: Final = 0.25

_OUTCOMES: Final[Mapping[type, str]] = {Finished: "complete", Lost: "lose", Declined: "decline", GaveUp: "fail"}

Key = tuple[UUID, int, str]

log = structlog.get_logger()


class Moved(msgspec.Struct, frozen=True):
    """What one transaction did, to be told once it holds: outcomes by attempt, jobs that wait again, jobs that ended, the
    ended ones as their readers see them and as the log does, and the kinds of parked jobs that were let in."""

    outcomes: dict[Key, Outcome]
    back: set[UUID]
    over: set[UUID]
    views: dict[UUID, JobView]
    let_in: set[int]
    ends: list[Over]


async def run(d: Dispatch) -> None:
    """Commits whatever is reported, for ever; while the database is away the reports wait."""
    while True:
        await d.reports.news.wait()
        if not await one_round(d):
            await asyncio.sleep(RETRY_S)


async def one_round(d: Dispatch) -> bool:
    """Writes the next batch and tells its effects; False if the database is away, and then all of it waits again."""
    batch = d.reports.take()
    try:
        await _write(d, batch)
    except Away:
        d.reports.put_back(batch)
        return False
    except Exception as e:  # noqa: BLE001  # none of its reports may stop the committer
        log.error("a batch of reports could not be written", size=len(batch), **bug(e))
        await _one_by_one(d, batch)
    return True


async def _one_by_one(d: Dispatch, batch: list[Report]) -> None:
    """One report that the database refuses must not hold up the others: it is dropped, and its lease tells of it."""
    for report in batch:
        try:
            await _write(d, [report])
        except Away:
            d.reports.put_back([report])
        except Exception as e:  # noqa: BLE001  # it must not hold up the others
            log.error("a report is dropped", job=str(report.attempt.job_id), what=type(report).__name__, **bug(e))
            d.hub.attempts.remove(report.attempt)


async def _write(d: Dispatch, batch: list[Report]) -> None:
    if not batch:
        return
    with series.COMMIT.time():
        async with quick_begin(d.engine) as conn:
            moved = await _move(d, conn, batch)
    moved = msgspec.structs.replace(moved, views=await _views(d, moved.over))
    for report in batch:
        _tell(d, report, moved)
    d.hub.wake_ids(moved.let_in)
    telling.over(d, moved.over)
    d.relay.forget(moved.over - moved.views.keys())
    ordering.over(d, moved.ends)
    observed.tell(moved.ends)


async def _move(d: Dispatch, conn: Connection, batch: list[Report]) -> Moved:
    """All moves of a batch in one go: every job of it is locked first, every account touched once."""
    finished = [r for r in batch if isinstance(r, Finished)]
    told = moves.Reports(
        by=d.name,
        started=[r.attempt.key for r in batch if isinstance(r, Started)],
        finished=[r.result for r in finished],
        lost=[(*r.attempt.key, r.reason) for r in batch if isinstance(r, Lost)],
        declined=[(*r.attempt.key, r.reason) for r in batch if isinstance(r, Declined)],
        failed=[(*r.attempt.key, r.code, r.message) for r in batch if isinstance(r, GaveUp)],
        made={r.attempt.job_id: made for r in batch if isinstance(r, Lost) if (made := _made(d, r))},
        delivered=delivered(d, [r.attempt.job_id for r in batch if isinstance(r, Lost | GaveUp)]),
    )
    reported = await moves.apply(conn, told, d.clock())
    outcomes = {r.attempt.key: outcome for r, outcome in zip(finished, reported.outcomes, strict=True)}
    over = {job_id for job_id, state in reported.states.items() if state is State.FAILED}
    over |= {outcome.id for outcome in reported.outcomes if outcome.verdict != "late"}
    back = {job_id for job_id, state in reported.states.items() if state is State.PENDING}
    return Moved(outcomes, back, over, {}, reported.let_in, reported.over)


async def _views(d: Dispatch, over: set[UUID]) -> dict[UUID, JobView]:
    """What readers of jobs that are over are told, read once the rows that others wait for are free; if the database goes away
    just then, the watch tells them."""
    read = [job_id for job_id in over if d.relay.is_read(job_id)]
    if not read:
        return {}
    try:
        async with quick(d.engine) as conn:
            return await ended_views(conn, read)
    except Away:
        log.warning("readers are told later that their jobs are over", jobs=len(read))
        return {}


def _made(d: Dispatch, lost: Lost) -> bytes | None:
    return packed(d.relay.ids_of(lost.attempt.job_id))


def _tell(d: Dispatch, report: Report, moved: Moved) -> None:
    match report:
        case Started():
            return
        case Finished():
            memory.ended(d, report)
            _acknowledge(d, report, moved.outcomes[report.attempt.key])
        case Lost():
            if report.attempt.job_id in moved.back | moved.over:
                memory.lost(d, report)
                observed.lost(report.reason, again=report.attempt.job_id in moved.back)
        case Declined():
            series.DECLINED.inc()
        case GaveUp():
            pass
        case _:
            assert_never(report)
    d.hub.attempts.remove(report.attempt)
    reason = observed.loss_of(report.reason) if isinstance(report, Lost) else ""
    TRACING.attempt(report.attempt, _OUTCOMES[type(report)], reason, d.now_ms())
    _tell_readers(d, report.attempt, moved)


def _tell_readers(d: Dispatch, attempt: Attempt, moved: Moved) -> None:
    job_id = attempt.job_id
    if job_id in moved.back:
        d.relay.status(job_id, State.PENDING)
        d.hub.wake_ids([attempt.job.kind_id])
    elif job_id in moved.views:
        d.relay.end(moved.views[job_id])


def _acknowledge(d: Dispatch, report: Finished, outcome: Outcome) -> None:
    session = d.hub.session_of(report.result.worker_pk)
    if session is not None:
        signature = report.result.coordinator_signature if outcome.verdict == "accepted" else ""
        body = report.attempt.body
        session.send(Ack(body.job_id, body.attempt, outcome.verdict, coordinator_signature=signature))
