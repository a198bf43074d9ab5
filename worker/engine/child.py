"""One engine process, and the pipe to it."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.engine.wire import PREFIX_BYTES, FromEngine, from_engine, length_of

STOP_S: Final = 3.0


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

    async def hear(self) -> list[FromEngine] | None:
        """What it says next; None once it is gone, or says what no engine would."""
        try:
            prefix = await self._stdout.readexactly(PREFIX_BYTES)
            return from_engine(await self._stdout.readexactly(length_of(prefix)))
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


async def started() -> Child:
    """A new engine process, which waits to be told what to load; raises OSError where none can be started."""
    return Child(
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker.engine",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=_environment(),
        )
    )  # fmt: skip


def _environment() -> dict[str, str]:
    """The worker's environment, with this package findable and every math library on one thread."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
