"""OpenAI's files: uploaded as they come, kept in pieces beside the jobs, read again whole or in part."""

import re
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai.content import Content, range_of
from coordinator.openai.lists import limit_of, listed, order_of
from coordinator.openai.uploading import FORM, MAX_FILE, uploaded
from coordinator.store import files
from coordinator.store.engine import alone
from coordinator.store.files import FileRow, Purpose
from shared.errors import Conflict, NotFound

MAX_PAGE: Final = 10_000
_PURPOSES: Final[tuple[Purpose, ...]] = ("batch", "batch_output")
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_ONE: Final = ["/v1/files/{file_id:str}", "/files/{file_id:str}"]


class FileObject(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's file object; its size in bytes, times in seconds since 1970 UTC."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: Purpose
    status: Literal["processed"] = "processed"
    status_details: None = None


class FileDeleted(msgspec.Struct, frozen=True):
    """The id of a file that is no longer there."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


def file_id(id_: UUID) -> str:
    """A file's id as its owner knows it."""
    return f"file-{id_.hex}"


def named(text: str) -> UUID:
    """The file of this id; raises NotFound if it is no file's."""
    prefix, _, digits = text.partition("-")
    if prefix != "file" or not _HEX.fullmatch(digits):
        raise missing(text)
    return UUID(digits)


def missing(text: str) -> NotFound:
    """What is told of a file that is not there, or another's."""
    return NotFound(f"No such File object: {text[:100]}.")


def shown(row: FileRow) -> FileObject:
    """A file as its owner sees it."""
    return FileObject(
        id=file_id(row.id),
        bytes=row.bytes,
        created_at=int(row.created_at.timestamp()),
        expires_at=int(row.expires_at.timestamp()),
        filename=row.filename,
        purpose=row.purpose,
    )


@post(["/v1/files", "/files"], name="upload_file", status_code=200, request_max_body_size=MAX_FILE + FORM)
async def upload_file(request: HttpRequest) -> ASGIApp:
    """Uploads a file for batches, of up to 200 MiB; no more than a piece of it is ever in memory."""
    face = face_of(request)
    key = await face.keys.caller(request)
    return json_answer(shown(await uploaded(face, request, key)))


@get(["/v1/files", "/files"], name="list_files")
async def list_files(request: HttpRequest) -> ASGIApp:
    """The account's files: `purpose`, `order`, `limit` (1 to 10 000) and `after` select."""
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    limit, order = limit_of(request, MAX_PAGE, MAX_PAGE), order_of(request)
    purpose, after = request.query_params.get("purpose"), request.query_params.get("after")
    purposes = [one for one in _PURPOSES if purpose in (None, one)]
    async with alone(face.hive.engine) as conn:
        last = None if after is None else await files.get(conn, account, named(after))
        if after is not None and last is None:
            raise missing(after)
        beyond = None if last is None else (last.created_at, last.id)
        rows = await files.page(conn, account, purposes, order, beyond, limit + 1)
    return json_answer(listed([shown(row) for row in rows], limit))


@get(_ONE, name="get_file")
async def get_file(request: HttpRequest, file_id: FromPath[str]) -> ASGIApp:
    """What is known of a file."""
    return json_answer(shown(await _found(request, file_id)))


@get([f"{path}/content" for path in _ONE], name="file_content")
async def file_content(request: HttpRequest, file_id: FromPath[str]) -> ASGIApp:
    """A file's bytes, or the range of them that the header `Range` asks for."""
    row = await _found(request, file_id)
    return Content(face_of(request).hive.engine, row, range_of(request.headers.get("range"), row.bytes))


@delete(_ONE, name="delete_file", status_code=200)
async def delete_file(request: HttpRequest, file_id: FromPath[str]) -> ASGIApp:
    """Deletes a file; one that a batch reads yet stays until that has ended."""
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    id_ = named(file_id)
    async with face.hive.engine.begin() as conn:
        if not await files.lock(conn, account, id_):
            raise missing(file_id)
        if not await files.delete(conn, id_, face.hive.clock()):
            raise Conflict("A batch reads this file yet: wait for its end, or cancel it.", code="file_in_use")
    return json_answer(FileDeleted(file_id))


async def _found(request: HttpRequest, id_: str) -> FileRow:
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    async with alone(face.hive.engine) as conn:
        row = await files.get(conn, account, named(id_))
    if row is None:
        raise missing(id_)
    return row


ROUTES: Final[list[Any]] = [upload_file, list_files, get_file, file_content, delete_file]
