"""`POST /v1/chat/completions`: reads a job's events and writes OpenAI's answer, for as long as the client is there."""

import asyncio
from collections.abc import Callable
from typing import assert_never

from litestar.types import Receive, Scope, Send

from coordinator.api.answers import encoded, json_answer
from coordinator.api.errors import error_answer, error_body
from coordinator.api.failures import failure_of
from coordinator.api.gone import while_there
from coordinator.api.sse import HEADERS, KEEP_ALIVE, SILENCE_S
from coordinator.api.trace import Trace
from coordinator.dispatch.relay import Ended, GoingAway, JobEvent, Reader, Status, Token
from coordinator.openai.shapes import ChatNames, Chunks, broken, completion, usage
from coordinator.openai.telling import Answer, Delta, Terms, message_of
from coordinator.store.rows import JobView
from shared.errors import HiveError


class WholeChat:
    """The answer in one piece."""

    def __init__(self, names: ChatNames, terms: Terms, reader: Reader, trace: Trace) -> None:
        self._names = names
        self._answered = Answer(terms)
        self._deltas: list[Delta] = []
        self._sent = 0
        self._reader = reader
        self._trace = trace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the job's end and answer; a client that leaves before closes the reader."""
        try:
            await while_there(receive, self._answer(scope, receive, send))
        except GoingAway as e:
            e.dispatched = self._trace.dispatched
            await error_answer(e, self._trace.headers())(scope, receive, send)
        finally:
            self._reader.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async for event in self._reader:
            self._trace.note(event)
            if isinstance(event, Token):
                self._deltas += self._answered.push(event.text, event.ids, event.logprobs)
                self._sent += len(event.text)
            elif isinstance(event, Ended):
                headers = self._trace.headers()
                failure = failure_of(event.view)
                whole = error_answer(failure, headers) if failure else json_answer(self._body(event.view), 200, headers)
                await whole(scope, receive, send)

    def _body(self, view: JobView) -> object:
        counts = usage(view.tokens_in, view.tokens_generated, view.cached_tokens)
        deltas = [*self._deltas, *self._answered.push((view.result_text or "")[self._sent :]), *self._answered.finish()]
        reason = self._answered.finish_reason(view.finish_reason or "stop")
        return completion(self._names, message_of(deltas), reason, counts, self._answered.likelihoods())


class StreamedChat:
    """The answer as server-sent events. The head goes out with the first token, or after ten seconds without it: then
    without the worker's headers, and what fails afterwards is told in the stream."""

    def __init__(
        self,
        names: ChatNames,
        terms: Terms,
        reader: Reader,
        trace: Trace,
        *,
        include_usage: bool,
        now: Callable[[], float],
        silence_s: float = SILENCE_S,
    ) -> None:
        self._chunks = Chunks(names, include_usage=include_usage)
        self._answer = Answer(terms)
        self._reader = reader
        self._trace = trace
        self._now = now
        self._silence_s = silence_s
        self._due = now() + silence_s
        self._started = False
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the job's end; a client that leaves before closes the reader."""
        try:
            await while_there(receive, self._stream(scope, receive, send))
        except GoingAway as e:
            await self._fail(e, scope, receive, send)
        finally:
            self._reader.close()

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            event = await self._next()
            if event is not None:
                self._trace.note(event)
            match event:
                case None:
                    await self._write(send, KEEP_ALIVE if self._started else b"")
                case Status():
                    continue
                case Token(text=text):
                    self._sent += len(text)
                    await self._write(send, self._told(self._answer.push(text, event.ids, event.logprobs)))
                case Ended(view=view):
                    await self._end(view, scope, receive, send)
                    return
                case _:
                    assert_never(event)

    def _told(self, deltas: list[Delta]) -> bytes:
        """The chunks of these deltas, the first with what was told of all tokens since the last."""
        if not deltas:
            return b""
        first = self._chunks.delta(deltas[0], self._answer.likelihoods())
        return first + b"".join(self._chunks.delta(delta) for delta in deltas[1:])

    async def _next(self) -> JobEvent | None:
        event = self._reader.next_event()
        if event is not None:
            return event
        try:
            async with asyncio.timeout(max(0.0, self._due - self._now())):
                return await anext(self._reader)
        except TimeoutError:
            return None

    async def _end(self, view: JobView, scope: Scope, receive: Receive, send: Send) -> None:
        failure = failure_of(view)
        if failure is None:
            rest = self._told([*self._answer.push((view.result_text or "")[self._sent :]), *self._answer.finish()])
            counts = usage(view.tokens_in, view.tokens_generated, view.cached_tokens)
            reason = self._answer.finish_reason(view.finish_reason or "stop")
            likelihoods = self._answer.likelihoods()
            left = likelihoods if likelihoods and likelihoods["content"] else None
            closing = self._chunks.closing(reason, counts, left)
            await self._write(send, rest + closing, more=False)
        else:
            await self._fail(failure, scope, receive, send)

    async def _fail(self, failure: HiveError, scope: Scope, receive: Receive, send: Send) -> None:
        """Tells of a failure where it can still be told: in the status, or in a stream that has begun."""
        if self._started:
            await self._write(send, broken(error_body(failure)), more=False)
        else:
            failure.dispatched = failure.dispatched or self._trace.dispatched
            await error_answer(failure, self._trace.headers())(scope, receive, send)

    async def _write(self, send: Send, data: bytes, *, more: bool = True) -> None:
        self._due = self._now() + self._silence_s
        if not self._started:
            self._started = True
            headers = encoded({**HEADERS, **self._trace.headers()})
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            data = self._chunks.opening() + data
        if data or not more:
            await send({"type": "http.response.body", "body": data, "more_body": more})
