"""Numbers within bounds, as a grammar: every number that fits is within, and most of those within fit."""

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from shared.chat.gbnf import Many, Part, alt, literal, optional, seq

DIGITS: Final = 16
_PLACES: Final = 3
_MOST: Final = 10**DIGITS - 1
_DIGIT: Final = "[0-9]"


def integers(low: Decimal | None, high: Decimal | None) -> Part | None:
    """The whole numbers from `low` to `high`, of at most 16 digits; None where there is none."""
    first, last = _clipped(low, high)
    if first > last:
        return None
    parts = list(_whole(int(first.to_integral_value(ROUND_CEILING)), int(last.to_integral_value(ROUND_FLOOR))))
    return alt(parts) if parts else None


def numbers(low: Decimal | None, high: Decimal | None) -> Part | None:
    """The numbers from `low` to `high`, without exponents; between whole numbers at the edges to three places."""
    first, last = _clipped(low, high)
    parts: list[Part] = []
    if first > last:
        return None
    if last >= 0:
        parts += _positive(max(first, Decimal(0)), last)
    if first < 0:
        parts += [seq(literal("-"), part) for part in _positive(max(-last, Decimal(0)), -first)]
    return alt(parts) if parts else None


def _clipped(low: Decimal | None, high: Decimal | None) -> tuple[Decimal, Decimal]:
    first = Decimal(-_MOST) if low is None else max(Decimal(-_MOST), low)
    last = Decimal(_MOST) if high is None else min(Decimal(_MOST), high)
    return first, last


def _positive(low: Decimal, high: Decimal) -> Iterator[Part]:
    """From `low` to `high`, 0 <= low."""
    floor, ceiling, top = int(low), int(low.to_integral_value(ROUND_CEILING)), int(high)
    fraction = seq(literal("."), Many(_DIGIT, 1, DIGITS))
    for part in _whole(ceiling, top - 1):
        yield seq(part, optional(fraction))
    if ceiling <= top:
        yield literal(str(top))
    yield from _edge(floor, low, min(high, Decimal(floor + 1)), only=low != floor)
    if top > floor or low == floor:
        yield from _edge(top, Decimal(top), high, only=high != top)


def _edge(whole: int, low: Decimal, high: Decimal, *, only: bool) -> Iterator[Part]:
    """The numbers `whole`.000 to `whole`.999 within the bounds."""
    scale = 10**_PLACES
    first = int(((low - whole) * scale).to_integral_value(ROUND_CEILING))
    last = min(int(((high - whole) * scale).to_integral_value(ROUND_FLOOR)), scale - 1)
    if only and 0 <= first <= last:
        digits = alt(_same_length(f"{first:0{_PLACES}}", f"{last:0{_PLACES}}"))
        yield seq(literal(f"{whole}."), digits)


def _whole(first: int, last: int) -> Iterator[Part]:
    if first > last:
        return
    if first < 0:
        for part in _unsigned(max(1, -last), -first):
            yield seq(literal("-"), part)
    if last >= 0:
        yield from _unsigned(max(first, 0), last)


def _unsigned(first: int, last: int) -> Iterator[Part]:
    """The numbers of each length."""
    for length in range(len(str(first)), len(str(last)) + 1):
        low = max(first, 10 ** (length - 1) if length > 1 else 0)
        high = min(last, 10**length - 1)
        if low <= high:
            yield from _same_length(str(low), str(high))


def _same_length(low: str, high: str) -> Iterator[Part]:
    size = len(low)
    if low == high:
        yield literal(low)
    elif low[0] == high[0]:
        yield seq(literal(low[0]), alt(_same_length(low[1:], high[1:])))
    elif set(low[1:]) <= {"0"} and set(high[1:]) <= {"9"}:
        yield seq(f"[{low[0]}-{high[0]}]", Many(_DIGIT, size - 1, size - 1))
    elif set(low[1:]) - {"0"}:
        yield seq(literal(low[0]), alt(_same_length(low[1:], "9" * (size - 1))))
        yield from _same_length(str(int(low[0]) + 1) + "0" * (size - 1), high)
    else:
        yield from _same_length(low, str(int(high[0]) - 1) + "9" * (size - 1))
        yield seq(literal(high[0]), alt(_same_length("0" * (size - 1), high[1:])))
