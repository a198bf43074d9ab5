"""The worker's side of an engine process: starts it, streams requests through it, notices when it dies."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Final, TypeVar, assert_never

import msgspec
import structlog

from shared.errors import HiveError
from worker.engine.child import RESTART_S, Child, rest, started
from worker.engine.wire import (
    Cancel,
    Embed,
    Embedded,
    Failed,
    Finished,
    FromEngine,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    Made,
    OfRequest,
    Prefill,
    Rank,
    Ranked,
    from_engine,
    packed,
)

_ENDS: Final = (Finished, Embedded, Ranked, Failed)
_Answer = TypeVar("_Answer", Embedded, Ranked)
_LOG: Final = structlog.get_logger("worker.engine")


class EngineError(HiveError):
    """The model cannot be served by this machine; the message says why."""

    code = "engine_error"
    retryable = False


class RequestFailedError(HiveError):
    """The engine could not do this request; `code` says what kind of failure it is."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message, code=failed.code)
        self.failed = failed


class Engine:
    """One model in a process of its own (`worker.engine.face.Engine`). It is loaded when it is run, unless it was parked
    before."""

    verifiability: Final = "seeded"

    def __init__(
        self,
        model: Path,
        *,
        slots: int,
        context: int,
        threads: int = 0,
        max_tps: float = 0.0,
        gpu_bytes: int | None = None,
        changed: Callable[[], None] = lambda: None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`context` in tokens for each slot (0: as trained), `max_tps` over all slots (0: no cap), `gpu_bytes` a cap over
        all GPUs (None: what is free); `changed` is called when the model is loaded and when it is gone; each start
        waits for `before`, which may raise a HiveError to refuse it."""
        self._load = Load(str(model), slots, context, threads, max_tps, gpu_bytes)
        self._changed, self._before = changed, before
        self._requests: dict[int, asyncio.Queue[OfRequest]] = {}
        self._number = 0
        self._child: Child | None = None
        self._up = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._awake = asyncio.Event()
        self._awake.set()
        self._stopping = asyncio.Event()
        self._waiting = 0
        self._refused = ""
        self._sent_away = False
        self.loaded: Loaded | None = None
        self._parking: asyncio.Task[None] | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The engine's process id; None while it is down."""
        return self._child.pid if self._child is not None else None

    async def ready(self) -> Loaded:
        """Waits until the model is loaded, waking the engine if it was parked; raises EngineError where it cannot be."""
        self._waiting += 1
        self._idle.clear()
        try:
            while (loaded := self.loaded) is None:
                if self._refused:
                    raise EngineError(self._refused)
                self.wake()
                await self._up.wait()
            return loaded
        finally:
            self._waiting -= 1
            self._rested()

    @property
    def parked(self) -> bool:
        """Whether the model is out of memory on purpose."""
        return not self._awake.is_set()

    @property
    def busy(self) -> bool:
        """Whether it works on a request, or one waits for the model."""
        return bool(self._requests) or self._waiting > 0

    async def run(self) -> None:
        """Keeps the engine up until `stop`; after a crash it starts again with back-off. Raises HiveError where the model
        cannot be loaded, or may not be."""
        crashes = 0
        while not self._stopping.is_set():
            if self.parked:
                await self._awake.wait()
                continue
            lived = await self._lived()
            crashes = 0 if lived else min(crashes + 1, len(RESTART_S) - 1)
            if not self._stopping.is_set() and not self._sent_away:
                _LOG.warning("engine_crashed", starts=self.starts)
                await rest(RESTART_S[crashes], self._stopping)

    async def one_life(self) -> bool:
        """Runs one process from its start to its end; whether it had the model loaded."""
        self.starts += 1
        child = await started()
        self._child, self._sent_away = child, False
        try:
            if self._stopping.is_set() or self.parked:
                self._sent_away = True
                return False
            child.say(packed(self._load))
            while (said := await child.hear(from_engine)) is not None:
                for message in said:
                    self._take(message)
            return self.loaded is not None
        finally:
            await self._bury(child)

    async def generate(self, request: Generate) -> AsyncGenerator[OfRequest, None]:
        """Events of one request up to Finished or Failed; its number is given here. Closing the iterator earlier
        cancels the request and frees its slot."""
        async with aclosing(self._asked(request)) as events:
            async for event in events:
                yield event

    async def embed(self, texts: list[str]) -> Embedded:
        """A normalised vector for each text; raises RequestFailedError."""
        return await self._answered(Embed(0, texts), Embedded)

    async def rank(self, query: str, documents: list[str]) -> Ranked:
        """A score for each document; raises RequestFailedError."""
        return await self._answered(Rank(0, query, documents), Ranked)

    def park(self) -> None:
        """Gives the memory back once no request runs, until `wake` or `ready`."""
        if self.parked:
            return
        self._awake.clear()
        if self._child is not None:
            self._parking = asyncio.get_running_loop().create_task(self._park())

    def wake(self) -> None:
        """Loads the model again."""
        self._awake.set()

    async def gone(self) -> None:
        """Waits until the memory is given back, where the engine was parked."""
        if self.parked and self._parking is not None:
            await asyncio.wait((self._parking,))

    async def stop(self) -> None:
        """Ends the engine: within 3 s by itself, else killed. `run` returns then."""
        self._stopping.set()
        self._awake.set()
        if self._child is not None:
            await self._child.end()

    async def _answered(self, request: Embed | Rank, kind: type[_Answer]) -> _Answer:
        """The one answer to a request that streams nothing."""
        async with aclosing(self._asked(request)) as events:
            async for event in events:
                if isinstance(event, kind):
                    return event
                if isinstance(event, Failed):
                    raise RequestFailedError(event)
        raise RequestFailedError(_crashed(request.number))

    async def _asked(self, request: Generate | Embed | Rank) -> AsyncGenerator[OfRequest, None]:
        if self.loaded is None:
            yield _crashed(request.number)
            return
        self._number += 1
        number = self._number
        try:
            frame = packed(msgspec.structs.replace(request, number=number))
        except (OverflowError, UnicodeEncodeError):
            why = "the request holds a number or a character that no message can carry"
            yield Failed(number, "invalid_request", why, retryable=False)
            return
        events = self._requests[number] = asyncio.Queue()
        self._idle.clear()
        self._write(frame)
        ended = False
        try:
            while not ended:
                event = await events.get()
                ended = isinstance(event, _ENDS)
                yield event
        finally:
            if self._requests.pop(number, None) is not None and not ended:
                self._write(packed(Cancel(number)))
            self._rested()

    def _rested(self) -> None:
        if not self.busy:
            self._idle.set()

    async def _park(self) -> None:
        """Ends the process once nothing runs in it, unless it was woken meanwhile. Who comes from now on waits for the
        next one."""
        while self.busy:
            await self._idle.wait()
        if self.parked and self._child is not None:
            self._sent_away, self.loaded = True, None
            self._up.clear()
            await self._child.end()

    async def _lived(self) -> bool:
        """One life, also where there can be none now, or ever."""
        self._sent_away = False
        try:
            if self._before is not None:
                await self._before()
            return await self.one_life()
        except OSError as error:
            _LOG.warning("engine_not_started", reason=error.strerror)
            return False
        except HiveError as error:
            self._refused = error.message
            self._up.set()
            raise

    def _take(self, message: FromEngine) -> None:
        match message:
            case Loaded():
                if not self._sent_away:
                    self.loaded = message
                    self._up.set()
                    self._changed()
            case LoadFailed(message=why):
                raise EngineError(why)
            case Prefill() | Made() | Finished() | Embedded() | Ranked() | Failed():
                if (events := self._requests.get(message.number)) is not None:
                    events.put_nowait(message)
            case _:
                assert_never(message)

    def _write(self, frame: bytes) -> None:
        if self._child is not None:
            self._child.say(frame)

    async def _bury(self, child: Child) -> None:
        """Tells every open request that its engine is gone; those who wait for the next one wake it."""
        self.loaded = None
        self._up.set()
        self._up.clear()
        requests, self._requests = self._requests, {}
        for number, events in requests.items():
            events.put_nowait(_crashed(number))
        self._rested()
        self._changed()
        await child.end()
        self._child = None


def _crashed(number: int) -> Failed:
    return Failed(number, "engine_crashed", "the engine process ended in the middle of the request", retryable=True)
