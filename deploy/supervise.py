"""Child processes that never outlive us: started with a log file, started again when they die, stopped in order."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from shared.processes import die_with_parent

BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S: Final = 30.0


class Child:
    """One supervised process. `run` keeps it alive until cancelled, then stops it: SIGTERM, again after `patience` s, SIGKILL."""

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path, *, patience: float = 4.0
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.env = dict(env)
        self.log = log
        self.patience = patience
        self.deaths = 0
        self.process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id now, 0 while it is being started again."""
        return self.process.pid if self.process and self.process.returncode is None else 0

    async def run(self, changed: Callable[[], None] = lambda: None) -> None:
        """Starts the process again with back-off whenever it dies; `changed` is called after each start."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                started = loop.time()
                await self._start()
                changed()
                assert self.process is not None
                await self.process.wait()
                self.deaths = 1 if loop.time() - started > STEADY_S else self.deaths + 1
                await asyncio.sleep(BACKOFF_S[min(self.deaths, len(BACKOFF_S)) - 1])
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Terminates the process and waits until it is gone."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.patience)
                return

    async def _start(self) -> None:
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.argv,
                env=self.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, for an error message."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
