"""How much of the prompts to read in one step, and how long to wait before the next. Pure."""

from typing import Final

BATCH: Final = 512
"""The most rows of a step."""
STALL_S: Final = 0.15
"""How much longer a step may take for the sake of prompts while answers stream."""
ALONE_S: Final = 4.0
"""How long a step may take while nothing streams: a cancel, or another request, waits for its end."""
LEAST: Final = (16, 128)
"""A smaller chunk (while answers stream, while nothing does) wastes more than it helps."""
_FIRST_GUESS_S: Final = 0.01
_WEIGHT: Final = 0.3
_LEAST_S: Final = 1e-9
"""Of a token: a clock that stands still for a while is no division by zero."""


class Pace:
    """Learns what a token of a prompt costs; `max_tps` caps the tokens made in a second, 0 is no cap."""

    def __init__(self, max_tps: float = 0.0) -> None:
        self._max_tps = max_tps
        self._per_token = _FIRST_GUESS_S
        self._next_step = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next step may be done."""
        return max(0.0, self._next_step - now)

    def chunk(self, *, answering: bool) -> int:
        """How many tokens of prompts the next step may hold."""
        seconds, least = (STALL_S, LEAST[0]) if answering else (ALONE_S, LEAST[1])
        return max(least, min(BATCH, int(seconds / self._per_token)))

    def took(self, seconds: float, rows: int, *, made: int, now: float) -> None:
        """A step of so many rows took so long, ended now, and made so many tokens."""
        if rows >= LEAST[0]:
            self._per_token = max(_LEAST_S, self._per_token + _WEIGHT * (seconds / rows - self._per_token))
        if self._max_tps > 0:
            self._next_step = max(now, self._next_step) + made / self._max_tps
