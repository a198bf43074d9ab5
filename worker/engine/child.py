"""One process that works for an engine, and the pipe to it."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from worker.engine.wire import PREFIX_BYTES, length_of

ENGINE: Final = "worker.engine"
STOP_S: Final = 3.0
RESTART_S: Final = (0.1, 0.5, 2.0, 5.0, 15.0)
"""How long to wait before the next one, by how many have ended at their start in a row."""
_Said = TypeVar("_Said")


class Child:
    """A process that was started; it ends by itself once its stdin is closed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout

    @property
    def pid(self) -> int | None:
        """The process id; None once it has ended."""
        return self._process.pid if self._process.returncode is None else None

    def say(self, frame: bytes) -> None:
        """Passes a command on; one to a process that is ending is lost."""
        if not self._stdin.is_closing():
            self._stdin.write(frame)

    async def hear(self, read: Callable[[bytes], _Said]) -> _Said | None:
        """What it says next, as `read` has it; None once it is gone, or says what cannot be read."""
        try:
            prefix = await self._stdout.readexactly(PREFIX_BYTES)
            return read(await self._stdout.readexactly(length_of(prefix)))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return None

    async def end(self) -> None:
        """Ends it: within 3 s by itself, else killed."""
        self._stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def started(module: str = ENGINE) -> Child:
    """A new process of `python -m module`, which waits to be told what to load; raises OSError where none can be
    started."""
    return Child(
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", module,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment(),
        )
    )  # fmt: skip


async def rest(seconds: float, until: asyncio.Event) -> None:
    """Waits so long, or until the event."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()


def environment() -> dict[str, str]:
    """The worker's environment, with this package findable and every math library on one thread."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
