"""Where a lazy grammar begins in an answer: at the first of its triggers, after the reasoning."""

from shared.chat.formats import Format
from shared.chat.reader import Reader, Steps, Words


class Watch:
    """Looks for the trigger in an answer that comes in pieces."""

    def __init__(self, triggers: tuple[str, ...], format_: Format) -> None:
        self._triggers = triggers
        self._format = format_
        self._reader = Reader()
        self._found = False
        self._steps = self._look()
        next(self._steps, None)

    def push(self, text: str) -> str | None:
        """The text from the trigger on, once it is there; nothing is to be pushed then."""
        self._reader.feed(text)
        next(self._steps, None)
        return self._reader.rest() if self._found else None

    def _look(self) -> Steps[None]:
        if self._format.reasoning is not None:
            begin, end = self._format.reasoning
            inside = self._format.opened == begin
            if not inside:
                yield from self._reader.space()
                inside = yield from self._reader.optional(begin)
            if inside:
                yield from self._reader.until(Words((end,)), _drop)
        yield from self._reader.until(Words(self._triggers), _drop)
        self._found = True


def _drop(_text: str) -> None:
    """What stands before is free."""
