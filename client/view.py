"""A text on the screen while it comes: what is final goes into the scrollback, only the last block is drawn anew."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from client.markdown import Blocks, Shown, Tidy
from client.printed import printable
from client.quiet import quiet

_HOLD: Final = "\x1b[?2026h"
_SHOW: Final = "\x1b[?2026l"
"""A terminal that knows these shows what is between them at once; the others pass over them."""


class View(Protocol):
    """Where an answer is shown."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def think(self, text: str) -> None:
        """More of the reasoning before the answer."""

    def say(self, text: str) -> None:
        """More of the answer."""

    def draw(self, status: str) -> None:
        """Shows what has come, and below it what is being waited for."""


class PlainView:
    """The answer as it is, for a pipe or a terminal that cannot draw; reasoning is left out."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._ends_line = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ends_line:
            self._write("\n")

    def think(self, text: str) -> None:
        """Nothing: whoever reads a pipe wants the answer."""

    def say(self, text: str) -> None:
        """More of the answer."""
        self._write(text)
        self._ends_line = text.endswith("\n")

    def draw(self, status: str) -> None:
        """Nothing: all of it is there already."""


class LiveView:
    """Markdown in a terminal. The region that is drawn anew is never higher than the screen, so nothing above it is lost."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._terminal = ExitStack()
        self._thought, self._answer = Blocks(), Blocks()
        self._final: list[RenderableType] = []
        self._is_first = True
        self._drawn: object = None

    def __enter__(self) -> Self:
        self._terminal.enter_context(quiet())
        self._terminal.enter_context(self._live)
        return self

    def __exit__(self, *_: object) -> None:
        with self._terminal:
            self._keep(self._thought.finish(), "dim")
            self._keep(self._answer.finish())
            self._redraw(Text())

    def think(self, text: str) -> None:
        """More of the reasoning, shown dim."""
        self._keep(self._thought.push(printable(text)), "dim")

    def say(self, text: str) -> None:
        """More of the answer, which ends the reasoning."""
        self._keep(self._thought.finish(), "dim")
        self._keep(self._answer.push(printable(text)))

    def draw(self, status: str) -> None:
        """Draws if anything has changed since."""
        height, width = self._console.height, self._console.width
        now = (self._thought.rest, self._answer.rest, status, height, width)
        if now == self._drawn and not self._final:
            return
        self._drawn = now
        self._redraw(self._region(status, height - 2))

    def _redraw(self, region: RenderableType) -> None:
        """In one piece: what is final, and the region below it."""
        self._console.file.write(_HOLD)
        with self._console:
            self._live.update(region)
            for shown in self._final:
                self._console.print(shown if self._is_first else Group(Text(), shown), end="")
                self._is_first = False
            self._final.clear()
            self._live.refresh()
        self._console.file.write(_SHOW)
        self._console.file.flush()

    def _region(self, status: str, most: int) -> RenderableType:
        parts: list[RenderableType] = []
        for rest, style in ((self._thought.rest, "dim"), (self._answer.rest, "none")):
            if rest.strip():
                parts += [] if self._is_first and not self._final and not parts else [Text()]
                parts.append(Tidy(Shown(rest, style), most - 2))
        if status:
            parts.append(Text(printable(status), "dim", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)

    def _keep(self, blocks: list[str], style: str = "none") -> None:
        self._final += [Tidy(Shown(block, style)) for block in blocks if block.strip()]


def view_on(console: Console) -> View:
    """The best view that there is for this console."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(console)
    return PlainView(partial(_write, is_terminal=console.is_terminal))


def _write(text: str, *, is_terminal: bool) -> None:
    sys.stdout.write(printable(text) if is_terminal else text)
    sys.stdout.flush()
