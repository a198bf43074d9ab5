"""`/hive/jobs`: submit, look, list, cancel, follow. Jobs belong to the account; others get 404."""

from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answered import answered
from coordinator.api.answers import json_answer
from coordinator.api.bodies import MEDIA_BODY, body_of, decoded
from coordinator.api.events import JobEvents
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.intake import Sent
from coordinator.api.job_body import JobBody, submission
from coordinator.api.repeats import body_hash, idempotency_key
from coordinator.api.views import JobCreated, JobList, job_json, written
from coordinator.queue.lifecycle import State
from coordinator.store import views
from coordinator.store.engine import alone
from shared.errors import Conflict, RequestError
from shared.geo.cells import format_cell

MAX_PAGE: Final = 100
PAGE: Final = 20
_DECODER: Final = msgspec.json.Decoder(JobBody)


@post("/hive/jobs", name="submit_job", request_max_body_size=MEDIA_BODY)
async def submit_job(request: HttpRequest) -> ASGIApp:
    """Submit a job: 201 when it is accepted, which means that it will end."""
    face = face_of(request)
    received = perf_counter()
    key = await face.keys.caller(request)
    reads_at = perf_counter()
    raw = await body_of(request)
    received += perf_counter() - reads_at  # the time that a client takes to send is its own
    body = decoded(_DECODER, raw)
    sent = Sent(received, body_hash(request, raw), idempotency_key(request, body.idempotency_key), size=len(raw))
    asked = submission(body, request.headers.get, face.groups, face.outside.allow)
    await face.admit(request, asked)
    accepted = await face.intake.take(asked, key, sent)
    status, created_at = State.PENDING, accepted.jobs[0].created_at
    if accepted.joined:
        earlier = await face.job(accepted.id, key.account_id)
        status, created_at = earlier.status, earlier.created_at
    wanted = accepted.planned[0].kind.cell
    cell = None if wanted is None else format_cell(wanted)
    created = JobCreated(accepted.id, status, cell, written(created_at))
    return json_answer(created, 201, accepted.trace.headers())


@get("/hive/jobs/{job_id:uuid}", name="get_job")
async def get_job(request: HttpRequest, job_id: FromPath[UUID]) -> ASGIApp:
    """A job of the caller's account, or a parent with the ids of its children; of one that may have called tools, its answer
    as a message too."""
    face = face_of(request)
    key = await face.keys.caller(request)
    view, children = await face.family(job_id, key.account_id)
    return json_answer(job_json(view, children, await answered(face.hive, view)))


@get("/hive/jobs", name="list_jobs")
async def list_jobs(request: HttpRequest) -> ASGIApp:
    """The account's jobs, the newest first; `status`, `limit` (1 to 100) and `cursor` select."""
    face = face_of(request)
    key = await face.keys.caller(request)
    query = request.query_params
    limit, status, cursor = page_limit(query.get("limit")), _status(query.get("status")), query.get("cursor")
    after = None if cursor is None else read_cursor(cursor)
    async with alone(face.hive.engine) as conn:
        rows = await views.list_jobs(conn, key.account_id, after, limit + 1, status)
    page = rows[:limit]
    return json_answer(
        JobList(
            [job_json(row) for row in page], cursor_of(page[-1].created_at, page[-1].id) if len(rows) > limit else None
        )
    )


@delete("/hive/jobs/{job_id:uuid}", name="cancel_job", status_code=200)
async def cancel_job(request: HttpRequest, job_id: FromPath[UUID]) -> ASGIApp:
    """Cancel a job that has not ended; answers with the job."""
    face = face_of(request)
    key = await face.keys.caller(request)
    view, children = await face.family(job_id, key.account_id)
    reason = "cancelled by its owner"
    cancelled = [await face.hive.relay.cancel(one.id, reason) for one in children or [view]]
    view, children = await face.family(job_id, key.account_id)
    if not any(cancelled):
        raise Conflict(f"The job has ended: it is {view.status.value}.", code="not_cancellable")
    return json_answer(job_json(view, children))


@get("/hive/jobs/{job_id:uuid}/events", name="job_events")
async def job_events(request: HttpRequest, job_id: FromPath[UUID]) -> ASGIApp:
    """Follow a job as server-sent events; leaving changes nothing, `Last-Event-ID` continues."""
    face = face_of(request)
    key = await face.keys.caller(request)
    reader = face.hive.relay.open(job_id, attached=False)
    try:
        view, children = await face.family(job_id, key.account_id)
        if children:
            raise RequestError(
                f"Job {job_id} is a parent: follow its children, whose ids GET /hive/jobs/{job_id} tells."
            )
    except BaseException:
        reader.close()
        raise
    face.tell_if_ended(view)
    return JobEvents(reader, view, last_event_id(request))


def last_event_id(request: HttpRequest) -> int | None:
    """The event after which a reader wants to go on; None for the start, also where the id is not one of ours."""
    text = request.headers.get("last-event-id") or request.query_params.get("last_event_id") or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def cursor_of(created_at: datetime, job_id: UUID) -> str:
    """Where a page ends, as text that `read_cursor` takes."""
    return f"{created_at.astimezone(UTC).replace(tzinfo=None).isoformat()}_{job_id.hex}"


def read_cursor(text: str) -> tuple[datetime, UUID]:
    """The time and id at which the last page ended; raises RequestError for a text that is no cursor of ours."""
    at, _, job_id = text.partition("_")
    try:
        return datetime.fromisoformat(at).replace(tzinfo=UTC), UUID(job_id)
    except ValueError as e:
        raise RequestError("cursor is not one that a list of jobs gave.", param="cursor") from e


def page_limit(text: str | None) -> int:
    """How many a page holds: 20, or as asked; raises RequestError if that is not from 1 to 100."""
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_PAGE)) and 1 <= int(text) <= MAX_PAGE):
        raise RequestError(f"limit must be between 1 and {MAX_PAGE}.", param="limit")
    return int(text)


def _status(text: str | None) -> State | None:
    if text is None:
        return None
    if text not in set(State):
        raise RequestError(f"status must be one of {', '.join(State)}.", param="status")
    return State(text)


ROUTES: Final[list[Any]] = [submit_job, get_job, list_jobs, cancel_job, job_events]
