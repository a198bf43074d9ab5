"""Answers in one piece: reads jobs to their ends and answers with JSON, for as long as the client is there."""

import asyncio
from collections.abc import Sequence
from functools import reduce
from typing import Final

from litestar.types import ASGIApp, Receive, Scope, Send

from coordinator.answer.readers import Readers
from coordinator.answer.said import Answer
from coordinator.answer.teller import Counts, End, Told, WholeTeller
from coordinator.api.answers import json_answer
from coordinator.api.errors import error_answer
from coordinator.api.failures import failure_of
from coordinator.api.gone import while_there
from coordinator.api.metrics import refused
from coordinator.api.trace import Trace
from coordinator.dispatch.relay import Ended, GoingAway, JobEvent, Token
from coordinator.store.rows import JobView
from shared.chat.events import Event, merged
from shared.errors import HiveError

MUCH_TEXT: Final = 1 << 18
"""Answers of more characters take so long to tell that others would wait for it."""


class Gathered:
    """One answer as it is put together."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._events: list[Event] = []
        self._length = 0
        self.view: JobView | None = None

    def take(self, event: JobEvent) -> None:
        """Takes in an event of the job."""
        if isinstance(event, Token):
            self._events += self._answer.push(event.text, event.ids, event.logprobs)
            self._length += len(event.text)
        elif isinstance(event, Ended):
            self.view = event.view

    def told(self, ids: Sequence[int]) -> Told:
        """The whole answer of the job, which has completed and made these tokens."""
        view = self.view
        assert view is not None, "an answer is whole when its job has ended"
        text = view.result_text or ""
        self._events += [*self._answer.push(text[self._length :]), *self._answer.finish()]
        return Told(merged(self._events), text, end_of(self._answer, view, ids))


class Whole:
    """The answers in one piece."""

    def __init__(self, teller: WholeTeller, answers: Sequence[Answer], readers: Readers, trace: Trace) -> None:
        self._teller = teller
        self._gathered = [Gathered(answer) for answer in answers]
        self._readers = readers
        self._trace = trace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the jobs' ends and answer; a client that leaves before closes the readers."""
        try:
            await while_there(receive, self._answer(scope, receive, send))
        except GoingAway as e:
            await self._fail(e, scope, receive, send)
        finally:
            self._readers.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = len(self._gathered)
        while left:
            found = await self._readers.next()
            assert found is not None, "it waits for ever"
            choice, event = found
            self._trace.note(event)
            self._gathered[choice].take(event)
            if isinstance(event, Ended):
                left -= 1
                if (failure := failure_of(event.view)) is not None:
                    await self._fail(failure, scope, receive, send)
                    return
        told = [gathered.told(self._readers.ids(choice)) for choice, gathered in enumerate(self._gathered)]
        try:
            answer = await self._said(told)
        except HiveError as failure:
            await self._fail(failure, scope, receive, send)
        else:
            await answer(scope, receive, send)

    async def _said(self, told: Sequence[Told]) -> ASGIApp:
        """The answers as the face tells them, in a thread where they are long; raises what the face cannot tell."""
        counts = reduce(Counts.plus, (one.end.counts for one in told), Counts())
        if sum(len(one.text) for one in told) > MUCH_TEXT:
            body = await asyncio.to_thread(self._teller.whole, told, counts)
        else:
            body = self._teller.whole(told, counts)
        return json_answer(body, 200, self._trace.headers())

    async def _fail(self, failure: HiveError, scope: Scope, receive: Receive, send: Send) -> None:
        refused(failure)
        failure.dispatched = failure.dispatched or self._trace.dispatched
        await error_answer(failure, self._trace.headers(), scope["path"])(scope, receive, send)


def told_again(answer: Answer, view: JobView) -> Told:
    """The whole answer of a completed job, read from its text: how likely its tokens were is not kept."""
    text = view.result_text or ""
    return Told(merged([*answer.push(text), *answer.finish()]), text, end_of(answer, view, []))


def end_of(answer: Answer, view: JobView, ids: Sequence[int]) -> End:
    """How the answer of a completed job ended."""
    reason = answer.finish_reason(view.finish_reason or "stop")
    stopped_by = answer.stopped_by(view.result_text or "", ids) if reason == "stop" else None
    at = None if view.completed_at is None else int(view.completed_at.timestamp())
    return End(reason, counts_of(view), answer.likely(), stopped_by, at)


def counts_of(view: JobView) -> Counts:
    """What an ended job counts: the prompt of a copy is counted by another."""
    if view.copy:
        return Counts(tokens_out=view.tokens_generated)
    return Counts(view.tokens_in, view.tokens_generated, view.cached_tokens)
