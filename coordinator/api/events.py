"""`/hive/jobs/{id}/events`: a job's events as server-sent events, with ids by which a reader goes on after a break."""

import asyncio
from collections.abc import Iterator
from typing import Any, assert_never

import msgspec
from litestar.types import Receive, Scope, Send

from coordinator.api.answers import ENCODER, encoded
from coordinator.api.errors import error_body
from coordinator.api.failures import failure_of
from coordinator.api.gone import while_there
from coordinator.api.place import Going
from coordinator.api.sse import HEADERS, KEEP_ALIVE, SILENCE_S
from coordinator.api.views import job_json
from coordinator.dispatch.channel import made_anew
from coordinator.dispatch.relay import Ended, GoingAway, JobEvent, Reader, Status, Token
from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView


class JobEvents:
    """Streams until the job's end; leaving only closes the reader, which is not attached. The texts of all `token` events
    together are the answer, also for a reader that comes back, at whichever coordinator, with the id of the last one."""

    def __init__(self, reader: Reader, view: JobView, after: int | None, silence_s: float = SILENCE_S) -> None:
        self._reader = reader
        self._view = view
        self._after = after
        self._going = Going(after)
        self._tokens = 0
        self._silence_s = silence_s

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the events that come after the one the reader had last."""
        try:
            await while_there(receive, self._stream(send))
        except GoingAway:
            await _write(send, b"", more=False)  # a reader of events comes back with the id of the last one
        finally:
            self._reader.close()

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": encoded(HEADERS)})
        await _write(send, self._opening())
        while True:
            event = await self._next()
            if event is None:
                await _write(send, KEEP_ALIVE)
            elif isinstance(event, Ended):
                await _write(send, b"".join(self._ended(event)), more=False)
                return
            elif told := b"".join(self._told(event)):
                await _write(send, told)

    def _told(self, event: JobEvent) -> Iterator[bytes]:
        """What of an event is new to the reader, on the wire."""
        if isinstance(event, Token):
            self._tokens = event.index + 1
        if (fresh := self._going.take(event)) is not None:
            yield event_bytes(fresh, self._going.place.id)

    def _ended(self, end: Ended) -> Iterator[bytes]:
        """The end, and before it the words that never came here: the bus may lose any, and a job may have ended before it was
        read. What was made without a token (vectors, scores) is no words."""
        made = end.view.tokens_generated
        rest = (end.view.result_text or "")[self._going.place.chars :] if made else ""
        if rest:
            yield from self._told(Token(end.id, made - 1, rest, max(0, made - self._tokens)))
            end = msgspec.structs.replace(end, id=end.id + 1)
        if end.view.result_text is not None and self._going.is_strange:
            end = msgspec.structs.replace(end, view=made_anew(end.view))
        self._going.take(end)
        yield event_bytes(end, self._going.place.id)

    def _opening(self) -> bytes:
        """Waiting is nobody's event, so a reader that comes while the job waits is told here, without an id."""
        if self._view.status is not State.PENDING or self._after:
            return b""
        return _event("status", None, {"status": State.PENDING, "attempt": self._view.attempts, "worker": None})

    async def _next(self) -> JobEvent | None:
        try:
            async with asyncio.timeout(self._silence_s):
                return await anext(self._reader)
        except TimeoutError:
            return None


def event_bytes(event: JobEvent, id_: int) -> bytes:
    """One event on the wire: `status`, `token`, and at the end `done` with the job or `error` with what went wrong."""
    match event:
        case Status(state=state, worker=worker, attempt=attempt):
            return _event("status", id_, {"status": state, "attempt": attempt, "worker": worker})
        case Token(index=index, text=text, count=count):
            return _event("token", id_, {"index": index, "text": text, "count": count})
        case Ended(view=view):
            failure = failure_of(view)
            if failure is None:
                return _event("done", id_, job_json(view))
            return _event("error", id_, {**error_body(failure), "job": job_json(view)})
        case _:
            assert_never(event)


def _event(name: str, id_: int | None, data: Any) -> bytes:
    line = b"" if id_ is None else b"id: %d\n" % id_
    return b"event: " + name.encode() + b"\n" + line + b"data: " + ENCODER.encode(data) + b"\n\n"


async def _write(send: Send, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})
