"""A real terminal for tests: a program in a pty, and what somebody in front of it would see."""

import os
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

from tests.support_wait import eventually

ROOT = Path(__file__).resolve().parents[2]
HIVE = ["-c", "import sys; sys.argv[0] = 'hive'; from shared.cli import main; main()"]


class _Screen(pyte.HistoryScreen):
    """What is on it, what has left it at its top, and an answer to whoever asks where the cursor is."""

    def __init__(self, columns: int, rows: int, answer: Callable[[str], None]) -> None:
        super().__init__(columns, rows, history=10_000)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """`hive …` in a terminal of this size, which answers where its cursor is."""

    def __init__(self, home: Path, words: list[str], columns: int, rows: int, environment: dict[str, str]) -> None:
        named = {**os.environ, "HIVE_HOME": str(home), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment}
        for name in ("NO_COLOR", "COLUMNS", "LINES", "HIVE_CELL", "HIVE_COORDINATOR", "HIVE_BASE_URL", "HIVE_API_KEY"):
            named.pop(name, None)
        named |= environment
        self.screen = _Screen(columns, rows, self.press)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child = pexpect.spawn(
            sys.executable, [*HIVE, *words], env=named, dimensions=(rows, columns), timeout=20, encoding=None
        )  # fmt: skip
        self.child.delaybeforesend = None

    @property
    def lines(self) -> list[str]:
        """What is on the screen now, without spaces at the ends of lines."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """The same in one piece."""
        return "\n".join(self.lines)

    @property
    def scrollback(self) -> str:
        """What has left the screen at its top, and what is on it."""
        above = ["".join(line[at].data for at in range(self.screen.columns)) for line in self.screen.history.top]
        return "\n".join(line.rstrip() for line in (*above, *self.screen.display))

    def press(self, keys: str) -> None:
        """Types."""
        self.child.send(keys)

    def cooked(self) -> bool:
        """Whether the terminal gathers lines and echoes, as a shell wants it."""
        flags = termios.tcgetattr(self.child.child_fd)[3]
        return bool(flags & termios.ICANON) and bool(flags & termios.ECHO)

    def cook(self) -> None:
        """Has the terminal as a shell sets it when a program in it was stopped."""
        flags = termios.tcgetattr(self.child.child_fd)
        flags[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(self.child.child_fd, termios.TCSANOW, flags)

    async def shows(self, *words: str, seconds: float = 30) -> str:
        """Waits until all of these are on the screen."""

        async def look() -> bool:
            self._read()
            return all(word in self.text for word in words)

        try:
            await eventually(look, seconds, f"{words}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None
        return self.text

    async def ends(self, seconds: float = 30) -> int:
        """Waits until the program has ended; its exit code."""

        async def look() -> bool:
            self._read()
            return not self.child.isalive()

        await eventually(look, seconds, f"the end of the program\n{self.text}")
        self._read()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -(self.child.signalstatus or 0))

    def _read(self) -> None:
        try:
            while data := self.child.read_nonblocking(65_536, timeout=0):
                self.raw += data
                self._stream.feed(data)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return


@contextmanager
def terminal(
    home: Path, *words: str, columns: int = 80, rows: int = 24, environment: dict[str, str] | None = None
) -> Iterator[Terminal]:
    """A worker's command in a terminal; it does not outlive the block."""
    with hive(home, "worker", *words, columns=columns, rows=rows, environment=environment) as it:
        yield it


@contextmanager
def hive(
    home: Path, *words: str, columns: int = 80, rows: int = 24, environment: dict[str, str] | None = None
) -> Iterator[Terminal]:
    """Any command in a terminal; it does not outlive the block."""
    it = Terminal(home, list(words), columns, rows, environment or {})
    try:
        yield it
    finally:
        it.child.close(force=True)
