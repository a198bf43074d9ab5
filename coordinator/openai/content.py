"""The bytes of a file as an answer: all of them, or a range."""

import re
from typing import Final
from urllib.parse import quote

from litestar.types import Receive, Scope, Send

from coordinator.api.answers import encoded
from coordinator.api.gone import while_there
from coordinator.store import files
from coordinator.store.engine import Engine, alone
from coordinator.store.files import FileRow

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last that are asked for; None for the whole file, also where the header asks for
    what there is not, or for several ranges."""
    found = _RANGE.fullmatch((header or "").strip())
    if found is None:
        return None
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return None
    return (start, end) if start < end else None


class Content:
    """A file's bytes, piece by piece; no connection to the database is held while the client takes them."""

    def __init__(self, engine: Engine, row: FileRow, part: tuple[int, int] | None) -> None:
        self._engine = engine
        self._row = row
        self._part = part

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the bytes, for as long as the client is there."""
        await while_there(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        size = self._row.bytes
        at, end = self._part or (0, size)
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(end - at),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(self._row.filename, safe='')}",
            "accept-ranges": "bytes",
        }
        if self._part is not None:
            headers["content-range"] = f"bytes {at}-{end - 1}/{size}"
        status = 200 if self._part is None else 206
        await send({"type": "http.response.start", "status": status, "headers": encoded(headers)})
        while at < end:
            async with alone(self._engine) as conn:
                data = (await files.read(conn, self._row.id, at))[: end - at]
            if not data:  # it was deleted: an answer that is cut off tells so
                return
            at += len(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
