"""Callbacks as their owner sees them: what waits, what was delivered, what is dead and may be sent again; the secret."""

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.jobs import cursor_of, page_limit, read_cursor
from coordinator.api.views import instant, written
from coordinator.outside.signing import OVERLAP, secrets_of, shown
from coordinator.store import callbacks
from coordinator.store.callbacks import STATES, CallbackRow, SecretRow, State
from coordinator.store.engine import alone
from shared.errors import Conflict, NotFound, RequestError

PRIVATE: Final = {"cache-control": "no-store"}


class CallbackJson(msgspec.Struct, frozen=True):
    """A callback under its job's id. `waiting`: for the job's end, or for the next try; `dead`: given up. `last_error` says
    why the last try failed."""

    id: UUID
    account_id: UUID
    url: str
    state: State
    attempts: int
    next_attempt_at: str | None
    last_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str


class CallbackList(msgspec.Struct, frozen=True):
    """A page of callbacks, the newest first; `next_cursor` is null on the last one."""

    data: list[CallbackJson]
    next_cursor: str | None


class WebhookSecret(msgspec.Struct, frozen=True):
    """What the account's callbacks are signed with; until `previous_until` also with the secret before."""

    secret: str
    generation: int
    previous_until: str | None


def callback_json(row: CallbackRow) -> CallbackJson:
    """The public shape of a callback's row."""
    return CallbackJson(
        id=row.id,
        account_id=row.account_id,
        url=row.url,
        state=row.state,
        attempts=row.calls,
        next_attempt_at=written(row.due_at) if row.state == "waiting" and row.ended else None,
        last_attempt_at=instant(row.last_at),
        last_status=row.last_status,
        last_error=row.last_reason,
        created_at=written(row.created_at),
    )


@get("/hive/callbacks", name="list_callbacks")
async def list_callbacks(request: HttpRequest) -> ASGIApp:
    """The account's callbacks, the newest first; `state`, `limit` (1 to 100) and `cursor` select."""
    key = await face_of(request).keys.caller(request)
    return await _page(request, key.account_id)


@post("/hive/callbacks/{job_id:uuid}/replay", name="replay_callback", status_code=200)
async def replay_callback(request: HttpRequest, job_id: FromPath[UUID]) -> ASGIApp:
    """Send a callback again, now, with all its tries before it; answers with the callback."""
    key = await face_of(request).keys.caller(request)
    return await _replay(request, job_id, key.account_id)


@get("/hive/webhook-secret", name="webhook_secret")
async def webhook_secret(request: HttpRequest) -> ASGIApp:
    """The secret that the account's callbacks are signed with."""
    face = face_of(request)
    key = await face.keys.caller(request)
    async with alone(face.hive.engine) as conn:
        row = await callbacks.secret(conn, key.account_id)
    return _secret(request, key.account_id, row)


@post("/hive/webhook-secret/rotate", name="rotate_webhook_secret", status_code=200)
async def rotate_webhook_secret(request: HttpRequest) -> ASGIApp:
    """Make a new secret; for 24 hours callbacks are signed with the one before as well."""
    face = face_of(request)
    key = await face.keys.caller(request)
    async with alone(face.hive.engine) as conn:
        row = await callbacks.rotate(conn, key.account_id, face.hive.clock())
    return _secret(request, key.account_id, row)


@get("/admin/callbacks", name="list_all_callbacks")
async def list_all_callbacks(request: HttpRequest) -> ASGIApp:
    """Everybody's callbacks, the newest first; `account`, `state`, `limit` (1 to 100) and `cursor` select."""
    account = request.query_params.get("account")
    try:
        return await _page(request, None if account is None else UUID(account))
    except ValueError as e:
        raise RequestError("account is not the id of one.", param="account") from e


@post("/admin/callbacks/{job_id:uuid}/replay", name="replay_any_callback", status_code=200)
async def replay_any_callback(request: HttpRequest, job_id: FromPath[UUID]) -> ASGIApp:
    """Send anybody's callback again."""
    return await _replay(request, job_id, None)


async def _page(request: HttpRequest, account_id: UUID | None) -> ASGIApp:
    query = request.query_params
    limit, states, cursor = page_limit(query.get("limit")), _states(query.get("state")), query.get("cursor")
    after = None if cursor is None else read_cursor(cursor)
    async with alone(face_of(request).hive.engine) as conn:
        rows = await callbacks.page(conn, account_id, states, after, limit + 1)
    more = cursor_of(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
    return json_answer(CallbackList([callback_json(row) for row in rows[:limit]], more))


async def _replay(request: HttpRequest, job_id: UUID, account_id: UUID | None) -> ASGIApp:
    hive = face_of(request).hive
    async with hive.engine.begin() as conn:
        row = await callbacks.get(conn, job_id)
        if row is None or account_id not in (None, row.account_id):
            raise NotFound(f"There is no callback for job {job_id}.")
        if not await callbacks.replay(conn, job_id, hive.clock()):
            raise Conflict("The job has not ended: there is nothing to tell yet.", code="not_ended")
        row = await callbacks.get(conn, job_id)
    assert row is not None, "it is locked by this transaction"
    return json_answer(callback_json(row))


def _states(text: str | None) -> list[State]:
    known = [state for state in STATES if text in (None, state)]
    if not known:
        raise RequestError(f"state must be one of {', '.join(STATES)}.", param="state")
    return known


def _secret(request: HttpRequest, account_id: UUID, row: SecretRow) -> ASGIApp:
    hive = face_of(request).hive
    newest, *before = secrets_of(hive.secrets.pepper, account_id, row.generation, row.rotated_at, hive.clock())
    until = row.rotated_at + OVERLAP if before and row.rotated_at else None
    return json_answer(WebhookSecret(shown(newest), row.generation, instant(until)), headers=PRIVATE)


ROUTES: Final[list[Any]] = [list_callbacks, replay_callback, webhook_secret, rotate_webhook_secret]
ADMIN_ROUTES: Final[list[Any]] = [list_all_callbacks, replay_any_callback]
