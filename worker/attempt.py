"""The life of one attempt on the worker: from the offer to a signed result, whatever becomes of the socket."""

import asyncio
from collections.abc import Callable
from typing import Final, Literal, assert_never

from nacl.signing import SigningKey

from shared.crypto import sampler_seed
from shared.errors import HiveError
from shared.protocol.messages import Done, Failed, Held, Logprob, OfferBody, Progress, ToCoordinator, Tokens
from shared.receipt import ShareReceipt, sign_receipt
from shared.shares import nothing_of
from worker.engine import wire
from worker.engine.face import Engine
from worker.receipts import Work, receipt_of
from worker.shares import Kept
from worker.texts import read_texts

FRAME_S: Final = 0.02
FRAME_TOKENS: Final = 16
LOADING_S: Final = 5.0
PREFILL_S: Final = 1.0


class Attempt:
    """One offer in a slot. What it says goes to `say`; token frames are kept, so that they can be said again, and with `keep`
    the ids on disk, before they are said.

    `clock` gives ms since 1970 UTC.
    """

    def __init__(
        self,
        offer: OfferBody,
        key: SigningKey,
        *,
        say: Callable[[ToCoordinator], object],
        clock: Callable[[], int],
        keep: Callable[[ShareReceipt], Kept] | None = None,
    ) -> None:
        self.offer = offer
        self.key = (offer.job_id, offer.attempt)
        self.frames: list[Tokens] = []
        self._sign_key, self._say, self._clock, self._keep = key, say, clock, keep
        self._kept: Kept | None = None
        self._ids: list[int] = []
        self._text: list[str] = []
        self._unsent: list[int] = []
        self._unsaid = ""
        self._untold: list[Logprob] = []
        self._timer: asyncio.TimerHandle | None = None
        self._read_at = 0.0

    @property
    def tokens(self) -> int:
        """How many tokens it has made itself."""
        return len(self._ids)

    def held(self) -> Held:
        """How a hello or a heartbeat lists it."""
        return Held(self.offer.job_id, self.offer.attempt, "running", self.tokens)

    async def run(self, engine: Engine) -> Done | Failed:
        """Makes the answer; the result is signed, and not yet sent. Cancelling the task frees the slot."""
        started = self._clock()
        try:
            loaded = await self._loaded(engine)
        except HiveError as error:
            return self._failed(error.code, error.message, retryable=True)
        if self.offer.task == "generate":
            nothing = nothing_of(self.offer, engine_build=loaded.engine_build, weak=engine.verifiability == "weak")
            self._kept = self._keep(nothing) if self._keep else None
            ending = await self._generate(engine, self._request())
        else:
            ending = await self._read(engine)
        if isinstance(ending, wire.Failed):
            return self._failed(ending.code, ending.message, retryable=ending.retryable)
        return self._done(ending, started, loaded.engine_build, engine.verifiability)

    async def _loaded(self, engine: Engine) -> wire.Loaded:
        """Waits for the model, telling the coordinator that it is still alive."""
        while True:
            try:
                async with asyncio.timeout(LOADING_S):
                    return await engine.ready()
            except TimeoutError:
                self._say(Progress(self.offer.job_id, self.offer.attempt, "loading"))

    async def _generate(self, engine: Engine, request: wire.Generate) -> wire.Finished | wire.Failed:
        events = engine.generate(request)
        try:
            async for event in events:
                match event:
                    case wire.Prefill():
                        self._reading(event.done, event.total)
                    case wire.Made():
                        self._made(event)
                    case wire.Finished():
                        self._text.append(event.text)
                        self._unsaid += event.text
                        self._flush()
                        return event
                    case wire.Failed():
                        return event
                    case wire.Embedded() | wire.Ranked():
                        raise ValueError("an engine embeds nothing that it was not asked to")
                    case _:
                        assert_never(event)
        finally:
            self._stop_timer()
            if self._kept is not None:
                self._kept.close()
            await events.aclose()
        return wire.Failed(request.number, "engine_crashed", "the engine said nothing more", retryable=True)

    async def _read(self, engine: Engine) -> wire.Finished | wire.Failed:
        """Embeds or ranks; nothing is streamed."""
        ending = await read_texts(engine, self.offer, self._reading)
        if isinstance(ending, wire.Finished):
            self._text.append(ending.text)
        return ending

    def _request(self) -> wire.Generate:
        offer = self.offer
        return wire.Generate(
            number=0,
            max_tokens=offer.max_tokens,
            sampling=offer.sampling,
            seed=sampler_seed(offer.seed),
            messages=offer.messages,
            prompt=offer.prompt,
            stop=offer.stop,
            resume=offer.resume_ids,
            scope=offer.scope,
            fresh=offer.fresh,
            tools=offer.tools,
            tool_choice=offer.tool_choice,
            parallel_tool_calls=offer.parallel_tool_calls,
            response_format=offer.response_format,
            logit_bias=offer.logit_bias,
            logprobs=offer.logprobs,
        )

    def _reading(self, done: int, total: int = 0) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._read_at >= PREFILL_S:
            self._read_at = now
            self._say(Progress(self.offer.job_id, self.offer.attempt, "prefill", done, total))

    def _made(self, event: wire.Made) -> None:
        """Gathers tokens into frames: the first goes at once, later ones wait at most 20 ms or for 16 of them."""
        self._ids += event.ids
        self._text.append(event.text)
        self._unsent += event.ids
        self._unsaid += event.text
        self._untold += event.logprobs
        if not self.frames or len(self._unsent) >= FRAME_TOKENS:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FRAME_S, self._flush)

    def _flush(self) -> None:
        self._stop_timer()
        if not self._unsent and not self._unsaid:
            return
        offset = len(self.offer.resume_ids) + len(self._ids) - len(self._unsent)
        frame = Tokens(self.offer.job_id, self.offer.attempt, offset, self._unsent, self._unsaid, self._untold)
        self._unsent, self._unsaid, self._untold = [], "", []
        self.frames.append(frame)
        if self._kept is not None:
            self._kept.add(frame.ids)
        self._say(frame)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _done(
        self, ending: wire.Finished, started: int, engine_build: str, verifiability: Literal["seeded", "weak"]
    ) -> Done:
        text = "".join(self._text)
        work = Work(
            self._ids, text, ending.tokens_in, ending.reason, started, self._clock(), engine_build, verifiability
        )
        receipt = receipt_of(self.offer, work)
        return Done(
            receipt={name: getattr(receipt, name) for name in receipt.__struct_fields__},
            signature=sign_receipt(self._sign_key, receipt),
            ids=self._ids,
            text=text,
            prefill_ms=ending.prefill_ms,
            decode_ms=ending.decode_ms,
            cached_tokens=ending.cached_tokens,
        )

    def _failed(self, code: str, message: str, *, retryable: bool) -> Failed:
        return Failed(self.offer.job_id, self.offer.attempt, code, message[:200], retryable)
