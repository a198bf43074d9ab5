"""How much a template may do: steps, time, and characters made. Everything that a template builds is weighed."""

import time
from collections.abc import Iterable
from typing import Any, Final

from jinja2 import TemplateRuntimeError, Undefined

MAX_STEPS: Final = 1_000_000
MAX_SECONDS: Final = 3.0
MAX_MADE: Final = 1 << 27
"""Characters that a template may make in all, intermediate ones included."""
MAX_TEXT: Final = 1 << 24
"""Characters of one text, and of the prompt."""
MAX_WEIGHT: Final = 200_000
"""Values inside of one value."""
MAX_BITS: Final = 4096
_PLAIN: Final = (str, int, float, bool, type(None), Undefined)


class TooMuch(TemplateRuntimeError):
    """The template does more than any real one does."""


class Budget:
    """What is left for one rendering."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._made = MAX_MADE
        self._end = time.monotonic() + MAX_SECONDS

    def step(self) -> None:
        """One more call, filter or turn of a loop."""
        self._steps -= 1
        if self._steps < 0 or (self._steps & 15 == 0 and time.monotonic() > self._end):
            raise TooMuch("it takes too long")

    def make(self, characters: int) -> None:
        """A text of this length is about to be made."""
        self._made -= characters
        if characters > MAX_TEXT or self._made < 0:
            raise TooMuch("it makes too much text")

    def weigh(self, value: Any, *, text: bool = False) -> None:
        """Refuses a value with too much in it; with `text` it is about to be written out, so nothing in it may be other
        than data."""
        if isinstance(value, str):
            return
        left: list[Any] = [value]
        count = characters = 0
        while left:
            part = left.pop()
            inside = _inside(part)
            count += 1 + len(inside)
            if count > MAX_WEIGHT:
                raise TooMuch("it makes values too large")
            left += inside
            if text and not inside and not isinstance(part, (*_PLAIN, list, dict, tuple)):
                raise TooMuch(f"it writes out a {type(part).__name__}")
            characters += len(part) if text and isinstance(part, str) else 0
        self.make(count + characters)

    def text(self, value: Any) -> Any:
        """A value that is about to be written out."""
        if isinstance(value, str):
            self.make(len(value))
        else:
            self.weigh(value, text=True)
        return value

    def joined(self, pieces: Iterable[Any]) -> str:
        """The pieces as one text."""
        texts = [str(self.text(piece)) for piece in pieces]
        self.make(sum(map(len, texts)))
        return "".join(texts)

    def replaced(self, text: str, old: str, new: str) -> None:
        """Refuses a replacement that makes too much."""
        found = text.count(old) if old else len(text) + 1
        self.make(len(text) + found * len(new))

    def operated(self, operator: str, left: Any, right: Any) -> None:
        """Refuses an operation with too large a result."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            self.make(len(left) + len(right))
        elif isinstance(left, int) and isinstance(right, int):
            _numbers(operator, left, right)
        elif operator == "*":
            self._repeated(*((left, right) if isinstance(right, int) else (right, left)))
        elif operator == "%" and isinstance(left, str):
            raise TooMuch("it formats with %")
        elif operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            self.make(len(left) + len(right))

    def _repeated(self, value: Any, times: Any) -> None:
        if isinstance(value, str | list | tuple) and isinstance(times, int):
            self.make(len(value) * max(times, 0))


def _numbers(operator: str, left: int, right: int) -> None:
    bits = left.bit_length()
    if operator == "**":
        bits *= max(abs(right), 1)
    elif operator == "*":
        bits += right.bit_length()
    if bits > MAX_BITS:
        raise TooMuch("its numbers are too large")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    return []
