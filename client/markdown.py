"""Markdown that is still being written: which of it is final, and how it looks."""

from itertools import pairwise
from typing import ClassVar, Final

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.segment import Segment

_PARSER: Final = MarkdownIt(options_update={"html": False}).enable("strikethrough").enable("table")


class _LeftHeading(Heading):
    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class Shown(Markdown):
    """Markdown as a terminal shows it: tags are text, a link says where it leads, headings are on the left."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _LeftHeading}

    def __init__(self, source: str, style: str = "none") -> None:
        super().__init__("", style=style, hyperlinks=False)
        self.parsed = _PARSER.parse(source)


class Tidy:
    """What it shows without blank lines around it and without spaces at the ends of lines, which would be copied and break
    when the terminal is made narrower; of more than `most` lines the last."""

    def __init__(self, shown: RenderableType, most: int | None = None) -> None:
        self._shown, self._most = shown, most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [_stripped(line) for line in console.render_lines(self._shown, options, pad=False)]
        filled = [number for number, line in enumerate(lines) if line]
        kept = lines[filled[0] : filled[-1] + 1] if filled else []
        for line in kept if self._most is None else kept[-self._most :]:
            yield from line
            yield Segment.line()


class Blocks:
    """Splits a growing text into blocks that nothing to come can change, and the rest."""

    def __init__(self) -> None:
        self.rest = ""
        self._looked = 0

    def push(self, text: str) -> list[str]:
        """More text; the blocks that are final by it."""
        self.rest += text
        end = self.rest.rfind("\n") + 1  # a line that is still written may yet belong to the block before it
        if end <= self._looked:
            return []
        *final, last = _blocks(self.rest[:end])
        self.rest, self._looked = last + self.rest[end:], len(last)
        return final

    def finish(self) -> list[str]:
        """The blocks of the rest, now that no text follows."""
        rest, self.rest, self._looked = self.rest, "", 0
        return _blocks(rest)


def _blocks(text: str) -> list[str]:
    """The text in pieces that each hold one block, the first with what is before it; at least one piece."""
    lines = text.split("\n")
    starts = [token.map[0] for token in _PARSER.parse(text) if token.map and not token.level and token.nesting >= 0]
    cuts = [sum(len(line) + 1 for line in lines[:start]) for start in starts[1:]]
    return [text[begin:end] for begin, end in pairwise([0, *cuts, len(text)])]


def _stripped(line: list[Segment]) -> list[Segment]:
    kept = list(line)
    while kept and (kept[-1].style is None or kept[-1].style.bgcolor is None):
        last = kept.pop()
        if text := last.text.rstrip():
            return [*kept, Segment(text, last.style)]
    return kept
