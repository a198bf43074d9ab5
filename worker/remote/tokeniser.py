"""The worker's side of a vocabulary process: starts it, asks it, starts it again when it dies."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from worker.engine.process import EngineError
from worker.engine.wire import PREFIX_BYTES, length_of
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

STOP_S: Final = 3.0
RESTART_S: Final = (0.1, 0.5, 2.0, 5.0, 15.0)
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
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._stopping = asyncio.Event()
        self.is_open = False

    @property
    def pid(self) -> int | None:
        """The process's id; None while it is down."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def run(self) -> None:
        """Keeps the process up until `stop`; raises EngineError where the file holds no vocabulary."""
        crashes = 0
        while not self._stopping.is_set():
            lived = await self.one_life()
            crashes = 0 if lived else min(crashes + 1, len(RESTART_S) - 1)
            if not self._stopping.is_set():
                _LOG.warning("tokeniser_ended")
                await self._rest(RESTART_S[crashes])

    async def one_life(self) -> bool:
        """Runs one process from its start to its end; whether it opened the vocabulary."""
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker.engine.tokeniser",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=_environment(),
        )  # fmt: skip
        try:
            self._write(Open(str(self._path)))
            while not self._stopping.is_set() and (message := await self._hear(process)) is not None:
                self._take(message)
            return self.is_open
        finally:
            await self._bury(process)

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
        if self._process is not None:
            await self._end(self._process)

    def _take(self, message: FromVocabulary) -> None:
        if isinstance(message, OpenFailed):
            raise EngineError(message.message)
        if isinstance(message, Opened):
            self.is_open = True
            self._changed()
        elif (answer := self._waiting.get(message.number)) is not None and not answer.done():
            answer.set_result(message)

    async def _hear(self, process: asyncio.subprocess.Process) -> FromVocabulary | None:
        assert process.stdout is not None
        try:
            prefix = await process.stdout.readexactly(PREFIX_BYTES)
            return from_vocabulary(await process.stdout.readexactly(length_of(prefix)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def _write(self, message: ToVocabulary) -> None:
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(packed(message))

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        """Tells everybody who waits that the process is gone."""
        self.is_open = False
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(_gone())
        self._changed()
        await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _gone() -> UpstreamFailed:
    return UpstreamFailed("the process that counts tokens ended")


def _environment() -> dict[str, str]:
    """The worker's environment, with this package findable and every math library on one thread."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
