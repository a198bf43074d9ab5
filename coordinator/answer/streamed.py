"""Answers as server-sent events: reads jobs and tells of them as they go, for as long as the client is there."""

from collections.abc import Callable, Sequence
from typing import assert_never

from litestar.types import Receive, Scope, Send

from coordinator.answer.readers import Readers
from coordinator.answer.said import Answer
from coordinator.answer.teller import Counts, Teller
from coordinator.answer.whole import end_of
from coordinator.api.answers import encoded
from coordinator.api.errors import error_answer
from coordinator.api.failures import failure_of
from coordinator.api.gone import while_there
from coordinator.api.metrics import refused
from coordinator.api.sse import HEADERS, KEEP_ALIVE, SILENCE_S
from coordinator.api.trace import Trace
from coordinator.dispatch.relay import Ended, GoingAway, JobEvent, Status, Token
from coordinator.store.rows import JobView
from shared.chat.events import Event
from shared.errors import HiveError


class Streamed:
    """The answers as they come. The head goes out with the first token, or after ten seconds without it: then without the
    worker's headers, and what fails afterwards is told in the stream. `at_once`: it waits for nothing."""

    def __init__(
        self,
        teller: Teller,
        answers: Sequence[Answer],
        readers: Readers,
        trace: Trace,
        *,
        now: Callable[[], float],
        silence_s: float = SILENCE_S,
        at_once: bool = False,
    ) -> None:
        self._teller = teller
        self._opening = teller.opening()
        self._answers = answers
        self._readers = readers
        self._trace = trace
        self._now = now
        self._silence_s = silence_s
        self._at_once = at_once
        self._due = now() + silence_s
        self._started = False
        self._sent = [0] * len(answers)
        self._left = len(answers)
        self._counts = Counts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the jobs' ends; a client that leaves before closes the readers."""
        try:
            await while_there(receive, self._stream(scope, receive, send))
        except GoingAway as e:
            await self._fail(e, scope, receive, send)
        finally:
            self._readers.close()

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._at_once:
            await self._write(send, b"")
        while self._left:
            found = await self._readers.next(max(0.0, self._due - self._now()))
            if found is None:
                await self._write(send, KEEP_ALIVE if self._started else b"")
                continue
            choice, event = found
            self._trace.note(event)
            if isinstance(event, Ended) and (failure := failure_of(event.view)) is not None:
                await self._fail(failure, scope, receive, send)
                return
            if (said := self._said(choice, event)) is not None:
                await self._write(send, said, more=self._left > 0)

    def _said(self, choice: int, event: JobEvent) -> bytes | None:
        """What an event lets be told; None for one that is nobody's business."""
        match event:
            case Status():
                return None
            case Token(text=text):
                self._sent[choice] += len(text)
                return self._more(choice, self._answers[choice].push(text, event.ids, event.logprobs))
            case Ended(view=view):
                return self._ended(choice, view)
            case _:
                assert_never(event)

    def _more(self, choice: int, events: Sequence[Event]) -> bytes:
        likely = self._answers[choice].likely() if events else None
        return self._teller.more(choice, events, likely) if events else b""

    def _ended(self, choice: int, view: JobView) -> bytes:
        answer = self._answers[choice]
        rest = answer.push((view.result_text or "")[self._sent[choice] :])
        said = self._more(choice, [*rest, *answer.finish()])
        end = end_of(answer, view, self._readers.ids(choice))
        said += self._teller.ended(choice, end)
        self._counts = self._counts.plus(end.counts)
        self._left -= 1
        return said if self._left else said + self._teller.closing(self._counts)

    async def _fail(self, failure: HiveError, scope: Scope, receive: Receive, send: Send) -> None:
        """Tells of a failure where it can still be told: in the status, or in a stream that has begun."""
        refused(failure)
        if self._started:
            await self._write(send, self._teller.broken(failure), more=False)
        else:
            failure.dispatched = failure.dispatched or self._trace.dispatched
            await error_answer(failure, self._trace.headers(), scope["path"])(scope, receive, send)

    async def _write(self, send: Send, data: bytes, *, more: bool = True) -> None:
        self._due = self._now() + self._silence_s
        if not self._started:
            self._started = True
            headers = encoded({**HEADERS, **self._trace.headers()})
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            data = self._opening + data
        if data or not more:
            await send({"type": "http.response.body", "body": data, "more_body": more})
