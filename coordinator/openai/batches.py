"""OpenAI's batches: many requests in one file, answered within a day at the queue's batch priority."""

import re
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.answer.serve import RETRIES
from coordinator.api.answers import json_answer
from coordinator.api.bodies import body_of, decoded
from coordinator.api.face import Face, face_of
from coordinator.api.hive import HttpRequest
from coordinator.batch.endpoints import ENDPOINTS
from coordinator.guard.gate import HEADER as GUARD
from coordinator.openai import files as of_files
from coordinator.openai.batch_object import shown
from coordinator.openai.lists import limit_of, listed
from coordinator.openai.responses_body import check_metadata
from coordinator.openai.uploading import kept_for
from coordinator.store import batches, files
from coordinator.store.batches import BatchRow
from coordinator.store.callers import KeyRow
from coordinator.store.engine import Connection, alone
from coordinator.submit.placement import HEADERS, asked_by_headers, placement
from shared.errors import Conflict, NotFound, RateLimited, RequestError

WINDOW: Final = timedelta(hours=24)
REPEATED: Final = timedelta(minutes=15)
"""How long after a request an SDK may send it again by itself."""

MOST_LIVE: Final = 50
"""So many batches of an account are worked on at once."""

RETRY_AFTER_S: Final = 60
PAGE: Final = 20
MAX_PAGE: Final = 100
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_ONE: Final = ["/v1/batches/{batch_id:str}", "/batches/{batch_id:str}"]


class Expiry(msgspec.Struct, frozen=True):
    """How long a batch's own files are kept: so many seconds from when they are made (`created_at`)."""

    anchor: str | None = None
    seconds: int | None = None


class BatchBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/batches`. The placement headers of the request, and `x-hive-guard`, hold for each of its lines."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: Expiry | None = None


_DECODER: Final = msgspec.json.Decoder(BatchBody)


@post(["/v1/batches", "/batches"], name="create_batch", status_code=200)
async def create_batch(request: HttpRequest) -> ASGIApp:
    """Makes a batch of an uploaded file's requests; each of its lines is a durable job of its own."""
    face = face_of(request)
    key = await face.keys.caller(request)
    body = decoded(_DECODER, await body_of(request))
    new = _new(face, key, body, _headers(face, request))
    async with face.hive.engine.begin() as conn:
        await files.lock_account(conn, key.account_id)
        if request.headers.get(RETRIES, "0").strip() not in ("", "0"):
            earlier = await batches.same(conn, new, new.created_at - REPEATED)
            if earlier is not None:
                return json_answer(shown(earlier))
        await _check_file(conn, new)
        if await batches.live(conn, key.account_id) >= MOST_LIVE:
            message = f"An account has at most {MOST_LIVE} batches at once: wait for the end of one, or cancel it."
            raise RateLimited(message, code="queue_full", retry_after_s=RETRY_AFTER_S)
        await batches.insert(conn, new)
    return json_answer(shown(new))


@get(["/v1/batches", "/batches"], name="list_batches")
async def list_batches(request: HttpRequest) -> ASGIApp:
    """The account's batches, the newest first: `limit` (1 to 100) and `after` select."""
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    limit, after = limit_of(request, MAX_PAGE, PAGE), request.query_params.get("after")
    async with alone(face.hive.engine) as conn:
        last = None if after is None else await batches.get(conn, account, named(after))
        if after is not None and last is None:
            raise missing(after)
        rows = await batches.page(conn, account, None if last is None else (last.created_at, last.id), limit + 1)
    return json_answer(listed([shown(row) for row in rows], limit))


@get(_ONE, name="get_batch")
async def get_batch(request: HttpRequest, batch_id: FromPath[str]) -> ASGIApp:
    """A batch as it stands."""
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    async with alone(face.hive.engine) as conn:
        row = await batches.get(conn, account, named(batch_id))
    if row is None:
        raise missing(batch_id)
    return json_answer(shown(row))


@post([f"{path}/cancel" for path in _ONE], name="cancel_batch", status_code=200)
async def cancel_batch(request: HttpRequest, batch_id: FromPath[str]) -> ASGIApp:
    """Ends a batch: what runs of it is cancelled, what is done stays in its files."""
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    id_ = named(batch_id)
    async with face.hive.engine.begin() as conn:
        cancelled = await batches.cancel(conn, account, id_, face.hive.clock())
        row = await batches.get(conn, account, id_)
    if row is None:
        raise missing(batch_id)
    if not cancelled and row.status not in ("cancelling", "cancelled"):
        raise Conflict(f"The batch is {row.status}: there is nothing to cancel.", code="not_cancellable")
    return json_answer(shown(row))


def named(text: str) -> UUID:
    """The batch of this id; raises NotFound if it is no batch's."""
    prefix, _, digits = text.partition("_")
    if prefix != "batch" or not _HEX.fullmatch(digits):
        raise missing(text)
    return UUID(digits)


def missing(text: str) -> NotFound:
    """What is told of a batch that is not there, or another's."""
    return NotFound(f"No batch found with id {text[:100]!r}.")


def _headers(face: Face, request: HttpRequest) -> dict[str, str]:
    """The headers that hold for each line; raises RequestError for what is wrong with them."""
    placement([asked_by_headers(request.headers.get)], face.groups)
    face.gate.chosen(request.headers.get(GUARD))
    return {name: value for name in (*HEADERS.values(), GUARD) if (value := request.headers.get(name)) is not None}


def _new(face: Face, key: KeyRow, body: BatchBody, headers: dict[str, str]) -> BatchRow:
    """The batch that is asked for; raises RequestError for what is wrong with it."""
    if body.endpoint not in ENDPOINTS:
        raise RequestError(f"endpoint must be one of {', '.join(ENDPOINTS)}.", param="endpoint")
    if body.completion_window != "24h":
        raise RequestError("completion_window must be 24h.", param="completion_window")
    check_metadata(body.metadata or {})
    expiry, now = body.output_expires_after or Expiry(), face.hive.clock()
    seconds = None if expiry.seconds is None else str(expiry.seconds)
    return BatchRow(
        id=uuid4(), account_id=key.account_id, key_id=key.id, endpoint=body.endpoint,
        input_file=_file(body.input_file_id), headers=msgspec.json.encode(headers),
        metadata=msgspec.json.encode(body.metadata or {}), status="validating", created_at=now,
        output_seconds=kept_for(expiry.anchor, seconds, "output_expires_after"), expires_at=now + WINDOW, feed_at=now,
        due_at=now,
    )  # fmt: skip


def _file(text: str) -> UUID:
    try:
        return of_files.named(text)
    except NotFound as e:
        raise RequestError(e.message, param="input_file_id") from e


async def _check_file(conn: Connection, new: BatchRow) -> None:
    """Raises RequestError unless the account has the file, for batches; it stays until the batch has ended."""
    file = await files.keep(conn, new.account_id, new.input_file)
    if file is None or file.expires_at <= new.created_at:
        raise RequestError(of_files.missing(of_files.file_id(new.input_file)).message, param="input_file_id")
    if file.purpose != "batch":
        raise RequestError(f"A file of purpose {file.purpose} is not the input of a batch.", param="input_file_id")


ROUTES: Final[list[Any]] = [create_batch, list_batches, get_batch, cancel_batch]
