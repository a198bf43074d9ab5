"""The worker's side of a vocabulary process: starts it, asks it, starts it again when it dies."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from worker.engine.child import RESTART_S, Child, rest, started
from worker.engine.process import EngineError
from worker.remote.upstream import UpstreamFailed
from worker.remote.words import (
    Answered,
    Begin,
    Count,
    Drop,
    FromVocabulary,
    Open,
    Opened,
    OpenFailed,
    Piece,
    ToVocabulary,
    from_vocabulary,
    packed,
)

PROGRAM: Final = "worker.engine.tokeniser"
_LOG: Final = structlog.get_logger("worker.remote")


class Cutter(Protocol):
    """Of a tokeniser, what an answer needs."""

    async def ask(self, message: Begin | Count | Piece) -> Answered: ...

    def drop(self, number: int) -> None: ...


class Tokeniser:
    """One vocabulary in a process of its own; `changed` is called when it is open and when it is gone."""

    def __init__(self, vocabulary: Path, changed: Callable[[], None]) -> None:
        self._path = vocabulary
        self._changed = changed
        self._child: Child | None = None
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._stopping = asyncio.Event()
        self.is_open = False

    @property
    def pid(self) -> int | None:
        """The process's id; None while it is down."""
        return self._child.pid if self._child is not None else None

    async def run(self) -> None:
        """Keeps the process up until `stop`; raises EngineError where the file holds no vocabulary."""
        crashes = 0
        while not self._stopping.is_set():
            lived = await self.one_life()
            crashes = 0 if lived else min(crashes + 1, len(RESTART_S) - 1)
            if not self._stopping.is_set():
                _LOG.warning("tokeniser_ended")
                await rest(RESTART_S[crashes], self._stopping)

    async def one_life(self) -> bool:
        """Runs one process from its start to its end; whether it opened the vocabulary."""
        child = self._child = await started(PROGRAM)
        try:
            self._write(Open(str(self._path)))
            while not self._stopping.is_set() and (message := await child.hear(from_vocabulary)) is not None:
                self._take(message)
            return self.is_open
        finally:
            await self._bury(child)

    async def ask(self, message: Begin | Count | Piece) -> Answered:
        """The answer to a message; of one number there is one question at a time. Raises UpstreamFailed."""
        if not self.is_open:
            raise _gone()
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting[message.number] = answer
        try:
            self._write(message)
            return await answer
        finally:
            self._waiting.pop(message.number, None)

    def drop(self, number: int) -> None:
        """Forgets an answer."""
        if self.is_open:
            self._write(Drop(number))

    async def stop(self) -> None:
        """Ends the process: within 3 s by itself, else killed. `run` returns then."""
        self._stopping.set()
        if self._child is not None:
            await self._child.end()

    def _take(self, message: FromVocabulary) -> None:
        if isinstance(message, OpenFailed):
            raise EngineError(message.message)
        if isinstance(message, Opened):
            self.is_open = True
            self._changed()
        elif (answer := self._waiting.get(message.number)) is not None and not answer.done():
            answer.set_result(message)

    def _write(self, message: ToVocabulary) -> None:
        if self._child is not None:
            self._child.say(packed(message))

    async def _bury(self, child: Child) -> None:
        """Tells everybody who waits that the process is gone."""
        self.is_open = False
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(_gone())
        self._changed()
        await child.end()


def _gone() -> UpstreamFailed:
    return UpstreamFailed("the process that counts tokens ended")
