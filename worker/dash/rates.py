"""Tokens a second over time, and a chart of them in characters. Pure."""

from collections import deque
from collections.abc import Sequence
from typing import Final

KEPT: Final = 400
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"


class Rates:
    """One figure for each second: how many tokens were made in it."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._kept: deque[float] = deque(maxlen=KEPT)

    def sample(self, seconds: float, tokens: int) -> None:
        """So many tokens were made in all until now; a count that falls (an answer was given up) is a new beginning."""
        if self._last is not None and seconds > self._last[0]:
            passed = seconds - self._last[0]
            rate = max(0.0, (tokens - self._last[1]) / passed)
            self._kept.extend([rate] * min(max(1, round(passed)), KEPT))
        self._last = seconds, tokens

    def last(self, count: int) -> list[float]:
        """The newest figures, newest last."""
        return list(self._kept)[-count:] if count > 0 else []

    @property
    def now(self) -> float:
        """The mean of the last three seconds."""
        newest = self.last(3)
        return sum(newest) / len(newest) if newest else 0.0


def chart(values: Sequence[float], width: int, height: int) -> list[str]:
    """The values as columns of characters, newest at the right, `height` lines from the top; the largest is full."""
    most = max(values, default=0.0) or 1.0
    columns = [0.0] * (width - len(values[-width:])) + list(values[-width:])
    eighths = [max(round(value / most * height * 8), 1 if value else 0) for value in columns]
    return ["".join(_EIGHTHS[min(max(e - 8 * row, 0), 8)] for e in eighths) for row in reversed(range(height))]
