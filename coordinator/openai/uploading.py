"""A file on its way in: written piece by piece as it comes, there for its owner when all of it is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import msgspec
from litestar.exceptions import HTTPException, InternalServerException

from coordinator.api.face import Face
from coordinator.api.hive import HttpRequest
from coordinator.openai.upload import Upload
from coordinator.store import files
from coordinator.store.callers import KeyRow
from coordinator.store.engine import Engine, alone
from coordinator.store.files import CHUNK, FileRow
from shared.errors import Forbidden, HiveError, RequestError, TooLarge

MAX_FILE: Final = 200 * 2**20
FORM: Final = 2**16
"""So much more than its file a form may have."""

UPLOAD: Final = timedelta(hours=1)
"""How long an upload may take."""

STALL_S: Final = 60.0
"""How long a client may send nothing while it uploads."""

MIN_KEPT_S: Final = 3600
MAX_KEPT_S: Final = 30 * 24 * 3600


async def uploaded(face: Face, request: HttpRequest, key: KeyRow) -> FileRow:
    """The file that a request brings, once all of it is written; of one that fails nothing is kept. Raises RequestError,
    TooLarge, Forbidden, Away."""
    upload = Upload(request.headers.get("content-type", ""))
    row = await _reserved(face, request, key)
    try:
        async with asyncio.timeout(UPLOAD.total_seconds()):
            size = await _written(face.hive.engine, row.id, request, upload)
        whole = _whole(face, row, upload, size)
        async with alone(face.hive.engine) as conn:
            if not await files.seal(conn, whole):
                raise TimeoutError
    except BaseException as e:
        async with alone(face.hive.engine) as conn:
            await files.drop(conn, row.id)
        if isinstance(e, TimeoutError):
            raise RequestError("The upload took too long, or stood still.") from e
        raise
    return whole


def kept_for(anchor: str | None, seconds: str | None, param: str = "expires_after") -> int:
    """For how many seconds a file is kept: 30 days, or as asked; raises RequestError."""
    if anchor is None and seconds is None:
        return MAX_KEPT_S
    if anchor != "created_at":
        raise RequestError(f"{param}.anchor must be created_at.", param=f"{param}[anchor]")
    if not (seconds and seconds.isascii() and seconds.isdecimal() and MIN_KEPT_S <= int(seconds[:9]) <= MAX_KEPT_S):
        message = f"{param}.seconds must be between {MIN_KEPT_S} and {MAX_KEPT_S}."
        raise RequestError(message, param=f"{param}[seconds]")
    return int(seconds)


async def _reserved(face: Face, request: HttpRequest, key: KeyRow) -> FileRow:
    """A file that has no bytes yet, with room for as many as come; raises Forbidden where the account has none."""
    announced = request.headers.get("content-length", "")
    most = min(int(announced), MAX_FILE) if announced.isascii() and announced.isdecimal() else MAX_FILE
    now, quota = face.hive.clock(), face.hive.settings.file_quota
    row = FileRow(
        id=uuid4(), account_id=key.account_id, purpose="batch", filename="", bytes=most, whole=False, created_at=now,
        expires_at=now + 2 * UPLOAD,
    )  # fmt: skip
    async with face.hive.engine.begin() as conn:
        await files.lock_account(conn, key.account_id)
        if not await files.reserve(conn, row, quota):
            message = f"The files of an account may have {quota} bytes in all: delete some that you need no more."
            raise Forbidden(message, code="file_quota_exceeded", param="file")
    return row


async def _written(engine: Engine, id_: UUID, request: HttpRequest, upload: Upload) -> int:
    """Writes the file as it comes; returns its size. A body that is refused midway is read to its end all the same, for its
    client to hear why. Raises RequestError, TooLarge, Away."""
    held, size = bytearray(), 0
    problem: HiveError | None = None
    async with aclosing(_file_bytes(request, upload)) as coming:
        async for data in coming:
            size += len(data)
            problem = problem or _problem(upload, size)
            if problem is not None:
                continue
            held += data
            while len(held) >= CHUNK:
                await _write(engine, id_, size - len(held), held[:CHUNK])
                del held[:CHUNK]
    if problem is not None:
        raise problem
    if held:
        await _write(engine, id_, size - len(held), held)
    return size


async def _write(engine: Engine, id_: UUID, at: int, data: bytearray) -> None:
    async with alone(engine) as conn:
        await files.write(conn, id_, at, bytes(data))


def _problem(upload: Upload, size: int) -> HiveError | None:
    """What is seen to be wrong before all of a file is there."""
    if size > MAX_FILE:
        return _too_large()
    return None if "purpose" not in upload.fields else _wrong_purpose(upload.fields["purpose"])


async def _file_bytes(request: HttpRequest, upload: Upload) -> AsyncGenerator[bytes]:
    """The file's bytes as they come; raises RequestError for a body that is cut off, TimeoutError for one that stalls."""
    async with aclosing(request.stream()) as body:
        try:
            while True:
                async with asyncio.timeout(STALL_S):
                    data = await anext(body, None)
                if data is None:
                    break
                for part in upload.push(data):
                    yield part
        except InternalServerException as e:  # all that the framework raises here: the client hung up
            raise RequestError("The body was cut off.") from e
        except HTTPException as e:
            raise _too_large() from e
    upload.end()


def _whole(face: Face, row: FileRow, upload: Upload, size: int) -> FileRow:
    """The file as it is now that all of its form is there; raises RequestError for what is wrong with that."""
    if (wrong := _wrong_purpose(upload.fields.get("purpose"))) is not None:
        raise wrong
    fields = upload.fields
    seconds = kept_for(fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]"))
    now = face.hive.clock()
    return msgspec.structs.replace(
        row, filename=upload.filename or "", bytes=size, whole=True, created_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )  # fmt: skip


def _wrong_purpose(purpose: str | None) -> RequestError | None:
    if purpose == "batch":
        return None
    message = "purpose is missing: it must be batch." if purpose is None else (
        f"The purpose {purpose[:40]!r} is not served by this Hive: files are for batches (purpose: batch)."
    )  # fmt: skip
    return RequestError(message, param="purpose")


def _too_large() -> TooLarge:
    return TooLarge("A file has at most 200 MiB; make several of it.")
