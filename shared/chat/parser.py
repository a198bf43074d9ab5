"""A model's answer taken apart while it is written: content, reasoning, tool calls."""

from collections.abc import Collection, Generator
from typing import Final

from shared.chat.calls import Told, read_calls
from shared.chat.events import Content, Event, Reasoning, merged
from shared.chat.formats import Format
from shared.chat.reader import NotACall, Reader, Steps, Words

_MAX_SPACE: Final = 4096
"""White space beside a mark belongs to it and is dropped, up to this much."""


class Parser:
    """Takes an answer apart; the joined result does not depend on how the text was cut.

    Every character is told, as content where it is nothing else; only the marks of calls and reasoning and the white
    space beside them are not. A call that is not well-formed, or names none of `tools`, is content. With `hold` that
    holds for every call, since it is told when it is whole; without, its arguments are told while they are written (for
    answers that a grammar holds to the format), and a torn one lacks its CallEnded. Call ids follow from `seed` alone.
    """

    def __init__(
        self,
        format_: Format,
        tools: Collection[str] = (),
        *,
        seed: str = "",
        opened: str | None = None,
        hold: bool = True,
    ) -> None:
        """`opened` is the mark that the prompt ended with, where that is known better than by the format."""
        self._format = format_
        self._events: list[Event] = []
        self._reader = Reader()
        self._told = Told(tools, seed, hold, self._events.append)
        self._openers = format_.openers if tools or format_.style == "function-lines" else ()
        self._opened = format_.opened if opened is None else opened
        self._pending = ""
        self._swallow = 0
        self._steps: Generator[None, None, None] | None = self._answer()
        self._advance()

    def push(self, text: str) -> list[Event]:
        """What this text makes certain."""
        self._reader.feed(text)
        return self._advance()

    def finish(self) -> list[Event]:
        """The rest, now that no text follows."""
        self._reader.end()
        return self._advance()

    @property
    def calls(self) -> int:
        """How many calls were told."""
        return self._told.count

    def _advance(self) -> list[Event]:
        if self._steps is not None and next(self._steps, self) is self:
            self._steps = None
        events = merged(self._events)
        self._events.clear()
        return events

    def _answer(self) -> Steps[None]:
        yield from self._reason()
        if self._opened in self._openers:
            self._swallow = len(self._opened)
            self._reader.give_back(self._opened)
        yield from self._space()
        if self._openers and self._format.bare and (yield from self._reader.peek()) == "{":
            yield from self._calls("")
        words = Words(self._openers)
        while (opener := (yield from self._reader.until(words, self._content))) is not None:
            yield from self._calls(opener)
        if self._pending and not self._told.count:
            self._events.append(Content(self._pending))

    def _reason(self) -> Steps[None]:
        if self._format.reasoning is None:
            return
        begin, end = self._format.reasoning
        if self._opened != begin:
            yield from self._space()
            if not (yield from self._reader.optional(begin)):
                return
        self._pending = ""
        yield from self._reader.space()
        if (yield from self._reader.until(Words((end,)), self._reasoning)) is not None:
            yield from self._reader.expect(end)
            yield from self._reader.space()

    def _space(self) -> Steps[None]:
        """Hold white space back until it is known what it stands before."""
        while len(self._pending) <= _MAX_SPACE:
            char = yield from self._reader.peek()
            if not char or char not in " \t\n\r":
                return
            self._pending += self._reader.take()
        self._content("")

    def _reasoning(self, text: str) -> None:
        if text:
            self._events.append(Reasoning(text))

    def _content(self, text: str) -> None:
        swallowed = min(self._swallow, len(text))
        self._swallow -= swallowed
        text = self._pending + text[swallowed:]
        if text != self._pending or len(text) > _MAX_SPACE:
            self._events.append(Content(text))
            self._pending = ""

    def _calls(self, opener: str) -> Steps[None]:
        before = self._told.count
        self._reader.mark()
        try:
            self._reader.take(len(opener))
            yield from read_calls(self._format.style, opener, self._reader, self._told)
            self._reader.forget()
        except NotACall:
            self._give_back()
            if self._told.count == before:
                self._content(self._reader.take(max(1, len(opener))))
                return
        self._pending = ""
        self._swallow = 0
        yield from self._space()

    def _give_back(self) -> None:
        if self._reader.tap is not None:
            self._reader.tap = None
            self._reader.forget()
        else:
            self._reader.back()
        self._told.torn()
