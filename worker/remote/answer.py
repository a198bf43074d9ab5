"""One answer of an upstream, as the events that every engine here gives."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final, Literal

import msgspec

from shared.protocol.messages import IMAGE_TOKENS, images_in
from worker.engine.wire import Finished, Generate, Made, OfRequest, Prefill
from worker.remote.http import Patience, Reply
from worker.remote.stream import Events, Framing, Told
from worker.remote.tokeniser import Cutter
from worker.remote.upstream import UpstreamFailed
from worker.remote.words import Begin, Counted, Cut, Piece, Refused

TAIL_S: Final = 0.5
"""How long the counts that may follow the end of an answer are waited for."""

AT_ONCE: Final = 8
HEADROOM: Final = 1 << 20
BYTES_A_TOKEN: Final = 8 << 10
THOUGHTS: Final = ("<think>", "</think>")

Reason = Literal["stop", "length"]


class Refusal(UpstreamFailed):
    """The request itself does not fit the model: no other worker would do better."""

    retryable = False


async def begun(cutter: Cutter, request: Generate, context: int) -> int:
    """The length of the prompt in tokens by our own count; raises Refusal and UpstreamFailed."""
    messages = request.messages and [msgspec.structs.replace(message, images=[]) for message in request.messages]
    told = await cutter.ask(Begin(request.number, request.max_tokens, messages, request.prompt, request.stop))
    if isinstance(told, Refused):
        raise _refused(told)
    assert isinstance(told, Counted)
    if told.tokens >= context:
        message = f"the prompt takes {told.tokens} tokens and the context is {context}"
        raise Refusal(message, code="context_length_exceeded")
    return told.tokens


class Answer:
    """Reads one reply. `clock` gives seconds; `full` is the model's context in tokens, by which an answer may end early.

    `tokens_in` are the words' of the prompt. What its images take the upstream alone knows: it is believed up to
    IMAGE_TOKENS for each.
    """

    def __init__(
        self,
        request: Generate,
        cutter: Cutter,
        tokens_in: int,
        *,
        full: int,
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        self._request, self._cutter, self._tokens_in, self._full = request, cutter, tokens_in, full
        self._patience, self._clock = patience, clock
        self._sent_at = clock()
        self._first_at: float | None = None
        self._made = self._begins_with = self._cached = self._read = 0
        self._thinks = False
        self._most_in = tokens_in + IMAGE_TOKENS * images_in(request.messages)

    async def events(self, reply: Reply, framing: Framing) -> AsyncGenerator[OfRequest, None]:
        """What came, up to Finished; raises UpstreamFailed."""
        number = self._request.number
        async with aclosing(self._told(reply, framing)) as told:
            while (said := await self._next(told)) is not None:
                self._count(said)
                if said.read is not None and self._read < said.read[0] < self._tokens_in:
                    self._read = said.read[0]
                    yield Prefill(number, self._read, self._tokens_in)
                if (cut := await self._cut(said)) is None:
                    continue
                if cut.ids or cut.text:
                    yield Made(number, cut.ids, cut.text)
                if cut.ended:
                    yield self._finished(cut.ended)
                    return
                if said.finish:
                    await self._tail(told)
                    yield self._finished(self._ending(said.finish))
                    return
        raise UpstreamFailed("the upstream ended in the middle of its answer")

    async def _told(self, reply: Reply, framing: Framing) -> AsyncGenerator[Told, None]:
        events = Events(framing)
        most = HEADROOM + BYTES_A_TOKEN * self._request.max_tokens
        async with aclosing(reply.chunks(most)) as chunks:
            async for chunk in chunks:
                for told in events.feed(chunk):
                    yield told
                    if told.over:
                        return

    async def _next(self, told: AsyncIterator[Told]) -> Told | None:
        """The next event that says something; what says nothing does not count as life."""
        seconds = self._patience.answer_s if self._first_at is None else self._patience.silent_s
        try:
            async with asyncio.timeout(seconds):
                async for said in told:
                    if said.text or said.thought or said.finish or said.cached or said.prompt or said.read is not None:
                        return said
        except TimeoutError as error:
            raise UpstreamFailed(f"the upstream said nothing for {seconds:g} s") from error
        return None

    def _count(self, said: Told) -> None:
        self._cached = max(self._cached, said.cached)
        self._tokens_in = max(self._tokens_in, min(said.prompt, self._most_in))

    async def _cut(self, said: Told) -> Cut | None:
        """The event's text as tokens; None where it says nothing of the answer."""
        text = self._words(said)
        if not text and not said.finish:
            return None
        if self._first_at is None:
            self._first_at = self._clock()
        told = await self._cutter.ask(Piece(self._request.number, text, last=bool(said.finish)))
        if isinstance(told, Refused):
            raise _refused(told)
        assert isinstance(told, Cut)
        if not self._made:
            self._begins_with = len(told.ids)
        self._made += len(told.ids)
        return told

    def _words(self, said: Told) -> str:
        """Thoughts as the model wrote them, marked as such, before the answer."""
        before = THOUGHTS[0] if said.thought and not self._thinks else ""
        ends = self._thinks or bool(said.thought)
        after = THOUGHTS[1] if ends and (said.text or said.finish) else ""
        self._thinks = ends and not after
        return f"{before}{said.thought}{after}{said.text}"

    async def _tail(self, told: AsyncIterator[Told]) -> None:
        """Hears the counts after the end, if they come at once."""
        try:
            async with asyncio.timeout(TAIL_S):
                async for said in told:
                    self._count(said)
        except (TimeoutError, UpstreamFailed):
            return

    def _ending(self, finish: str) -> Reason:
        """How it ended by our count. An upstream that stops before our count is full has not done what was asked."""
        if finish != "length" or self._tokens_in + self._made >= self._full:
            return "length" if finish == "length" else "stop"
        message = f"the upstream ended after {self._made} tokens of {self._request.max_tokens}"
        raise UpstreamFailed(message, code="engine_error")

    def _finished(self, reason: Reason) -> Finished:
        """An upstream that began with many tokens at once made them in the time before."""
        now = self._clock()
        first = self._first_at if self._first_at is not None and self._begins_with <= AT_ONCE else self._sent_at
        return Finished(
            self._request.number, reason, "", self._tokens_in, min(self._cached, self._tokens_in),
            prefill_ms=round((first - self._sent_at) * 1000), decode_ms=round((now - first) * 1000),
        )  # fmt: skip


def _refused(told: Refused) -> UpstreamFailed:
    return (UpstreamFailed if told.retryable else Refusal)(told.message, code=told.code)
