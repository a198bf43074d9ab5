"""The `openai` engine: a model that an Ollama, llama-server, LM Studio or vLLM of the owner's already serves.

It has the face of our own engine. What it makes nobody can replay: the coordinator is told that it is `weak`.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec
import structlog

from worker.engine.process import RequestFailedError
from worker.engine.wire import Embedded, Failed, Finished, Generate, Loaded, OfRequest, Ranked
from worker.remote import asks
from worker.remote.answer import Answer, Refusal, begun
from worker.remote.http import Patience, exchange
from worker.remote.kinds import Seen
from worker.remote.peer import OK, Peer, failed
from worker.remote.tokeniser import Tokeniser
from worker.remote.upstream import Upstream, UpstreamFailed
from worker.remote.words import Count, Counted

LOOK_S: Final = 15.0
AGAIN_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
BLAMELESS: Final = frozenset({"unsupported", "invalid_request", "context_length_exceeded"})
_LOG: Final = structlog.get_logger("worker.remote")


class RemoteEngine:
    """One model of an upstream. `run` looks whether it is there; the other calls may be used by many tasks at once."""

    verifiability: Final = "weak"

    def __init__(
        self,
        upstream: Upstream,
        name: str,
        vocabulary: Path,
        *,
        context: int,
        changed: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
    ) -> None:
        """`name` is the upstream's of the model, `vocabulary` the GGUF whose tokens count, `context` the model's in
        tokens; `changed` is called when the model comes and when it is gone."""
        self._upstream, self._name, self._context, self._changed = upstream, name, context, changed
        self._patience = patience or Patience()
        self._peer = Peer(upstream, name, self._patience)
        self._tokeniser = Tokeniser(vocabulary, self._weigh)
        self._slots = asyncio.Semaphore(upstream.slots)
        self._number = self._open = 0
        self._seen: Seen | None = None
        self._up = asyncio.Event()
        self._doubt = asyncio.Event()
        self._stopping = False
        self.loaded: Loaded | None = None
        self.starts = 0
        self.trouble = ""
        """Why the model is not there, as a sentence; empty while it is."""

    @property
    def parked(self) -> bool:
        """Whether the upstream is away, or does not have the model: the memory is its own."""
        return self.loaded is None

    @property
    def busy(self) -> bool:
        """Whether it works on a request."""
        return self._open > 0

    @property
    def pid(self) -> int | None:
        """None: the process that makes the tokens is not ours."""
        return None

    @property
    def counting_pid(self) -> int | None:
        """The process that counts tokens; None while it is down."""
        return self._tokeniser.pid

    async def ready(self) -> Loaded:
        """Waits until the upstream has the model."""
        while (loaded := self.loaded) is None:
            await self._up.wait()
        return loaded

    async def run(self) -> None:
        """Looks after the upstream until `stop`, sooner again after a failure; raises EngineError where the vocabulary
        cannot be read. An upstream that is down raises nothing."""
        counting = asyncio.create_task(self._tokeniser.run())
        looking = asyncio.create_task(self._watch())
        try:
            done, _ = await asyncio.wait((counting, looking), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await counting
        finally:
            looking.cancel()
            counting.cancel()
            await asyncio.gather(looking, counting, return_exceptions=True)
            self._seen = None
            self._weigh()

    async def look(self) -> None:
        """One look at the upstream."""
        self._doubt.clear()
        try:
            seen = await self._peer.look()
            if self._seen is None or (self._seen.build, self._seen.name) != (seen.build, seen.name):
                tasks = await self._peer.tasks(seen)
            else:
                tasks = self._seen.tasks
        except UpstreamFailed as error:
            self._lose(error)
        else:
            self._seen, self.trouble = msgspec.structs.replace(seen, tasks=tasks), ""
            self._weigh()

    async def generate(self, request: Generate) -> AsyncGenerator[OfRequest, None]:
        """Events of one request up to Finished or Failed; its number is given here. Closing the iterator earlier closes
        the connection, which frees the upstream's slot."""
        self._number += 1
        request = msgspec.structs.replace(request, number=self._number)
        self._open += 1
        try:
            async with self._slots, aclosing(self._answered(request)) as events:
                async for event in events:
                    yield event
        except UpstreamFailed as error:
            self._suspect(error)
            yield Failed(request.number, error.code, error.message, error.retryable)
        finally:
            self._open -= 1
            self._tokeniser.drop(request.number)

    async def embed(self, texts: list[str]) -> Embedded:
        """A normalised vector for each text; raises RequestFailedError."""
        async with self._asking() as (number, seen):
            tokens_in = await self._counted(Count(number, texts))
            return Embedded(number, await self._peer.embed(seen.name, texts), tokens_in)

    async def rank(self, query: str, documents: list[str]) -> Ranked:
        """A score for each document; raises RequestFailedError."""
        async with self._asking() as (number, seen):
            if "rank" not in seen.tasks:
                raise UpstreamFailed("the upstream does not score documents with this model", code="unsupported")
            tokens_in = await self._counted(Count(number, documents, query))
            return Ranked(number, await self._peer.rank(seen.name, query, documents), tokens_in)

    def park(self) -> None:
        """Nothing: the memory is the upstream's."""

    def wake(self) -> None:
        """Looks again at once."""
        self._doubt.set()

    async def stop(self) -> None:
        """Ends it; `run` returns then."""
        self._stopping = True
        self._doubt.set()
        await self._tokeniser.stop()

    async def _answered(self, request: Generate) -> AsyncGenerator[OfRequest, None]:
        seen, loaded = self._here()
        number = request.number
        if (why := asks.refusal(request, seen.kind, vision=seen.vision)) is not None:
            raise UpstreamFailed(why, code="unsupported")
        tokens_in = await begun(self._tokeniser, request, loaded.context)
        if request.max_tokens <= 0:
            yield Finished(number, "length", "", tokens_in, 0, 0, 0)
            return
        salt = secrets.token_hex(16) if request.fresh else request.scope or "none"
        call = asks.ask(
            request, seen.kind, self._upstream.origin, seen.name, context=loaded.context, tokens_in=tokens_in, salt=salt
        )
        answer = Answer(
            request, self._tokeniser, tokens_in, full=self._context, patience=self._patience, clock=monotonic
        )
        async with exchange(self._upstream.origin, self._upstream.key, call.request, self._patience) as reply:
            if reply.status != OK:
                raise failed(reply.status)
            async with aclosing(answer.events(reply, call.framing)) as events:
                async for event in events:
                    yield event

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[tuple[int, Seen]]:
        """A number and what is there, for a call that makes no tokens; raises RequestFailedError."""
        self._number += 1
        number = self._number
        try:
            async with self._slots:
                yield number, self._here()[0]
        except UpstreamFailed as error:
            self._suspect(error)
            raise RequestFailedError(Failed(number, error.code, error.message, error.retryable)) from error

    async def _counted(self, texts: Count) -> int:
        """How many tokens all of them are; raises Refusal where one does not fit the context."""
        told = await self._tokeniser.ask(texts)
        assert isinstance(told, Counted)
        if told.longest > (context := self._here()[1].context):
            message = f"a text takes {told.longest} tokens and the context is {context}"
            raise Refusal(message, code="context_length_exceeded")
        return told.tokens

    def _suspect(self, error: UpstreamFailed) -> None:
        """Looks at the upstream at once, where the failure may mean that the model is gone."""
        if self.loaded is not None and error.code not in BLAMELESS:
            self._doubt.set()

    def _here(self) -> tuple[Seen, Loaded]:
        if self._seen is None or self.loaded is None:
            raise UpstreamFailed(self.trouble or "the upstream has not been looked at yet")
        return self._seen, self.loaded

    async def _watch(self) -> None:
        missed = 0
        while not self._stopping:
            await self.look()
            missed = 0 if self._seen is not None else min(missed + 1, len(AGAIN_S))
            await self._rest(AGAIN_S[missed - 1] if missed else LOOK_S)

    def _weigh(self) -> None:
        """The model is there when the upstream has it and its tokens can be counted; tells `changed` what is new."""
        seen, before = self._seen, self.loaded
        if seen is None or not self._tokeniser.is_open:
            self.loaded = None
        else:
            told = [n for n in (seen.context, self._context, self._upstream.context) if n > 0]
            self.loaded = Loaded(
                min(told, default=0), self._upstream.slots, 0, seen.build, 0,
                placement="by the upstream", tasks=seen.tasks, vision=seen.vision,
            )  # fmt: skip
        if self.loaded is None:
            self._up.clear()
        else:
            self._up.set()
            self.starts += before is None
        if self.loaded != before:
            self._changed()

    def _lose(self, error: UpstreamFailed) -> None:
        if self.trouble != error.message:
            _LOG.warning("upstream_away", at=self._upstream.origin.name, why=error.message)
        self._seen, self.trouble = None, error.message
        self._weigh()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._doubt.wait()
        except TimeoutError:
            return
