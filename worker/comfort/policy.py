"""What an owner will not serve: which offers are declined for their price, their size or their words. Pure."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import msgspec

from shared.protocol.messages import OfferBody

# The only parser that reads what `re` reads; whether it has types depends on what else mypy has read before.
_op: Any = import_module("re._constants")
_parser: Any = import_module("re._parser")

MOST_CHARACTERS: Final = 100_000
WINDOW: Final = 1_000
OVERLAP: Final = 200
FEW: Final = 16
BYTES_PER_TOKEN: Final = 4
_REPEATS: Final = (_op.MAX_REPEAT, _op.MIN_REPEAT, _op.POSSESSIVE_REPEAT)


class Wishes(msgspec.Struct, frozen=True):
    """What an owner serves: at least `price_floor` stroops per million tokens, nothing that `refuse` finds, prompts of
    about `max_prompt_tokens` at most (0: any), and tools or not."""

    price_floor: int = 0
    refuse: tuple[re.Pattern[str], ...] = ()
    max_prompt_tokens: int = 0
    tools: bool = True


def objection(body: OfferBody, wishes: Wishes) -> str | None:
    """Why the owner will not serve this, in a word or two that tell nothing of the prompt; None if they will.

    A prompt is measured before anybody tokenises it, so a token is taken for four bytes.
    """
    if body.price * 1_000_000 < wishes.price_floor * (body.max_tokens - len(body.resume_ids)):
        return "price"
    if body.tools is not None and not wishes.tools:
        return "tools"
    if not wishes.max_prompt_tokens and not wishes.refuse:
        return None
    texts = list(_texts(body))
    if wishes.max_prompt_tokens and sum(len(t.encode()) for t in texts) > wishes.max_prompt_tokens * BYTES_PER_TOKEN:
        return "prompt too long"
    if wishes.refuse and _refused(texts, wishes.refuse):
        return "policy"
    return None


def pattern(written: str) -> re.Pattern[str]:
    """Compiles an owner's pattern, without regard to case; raises ValueError for one that is none, and for one that
    some prompt could keep busy for hours: one open-ended repeat is enough, and none stands inside another repeat."""
    try:
        found = re.compile(written, re.IGNORECASE)
        parsed = _parser.parse(written)
        if _open_ends(parsed) > 1 or _small_ends(parsed) > FEW:
            raise ValueError(f"{written[:60]!r} could take hours; write it with one * or + and none inside another")
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{written[:60]!r} is no pattern: {error}") from None
    return found


def _texts(body: OfferBody) -> Iterator[str]:
    if body.prompt is not None:
        yield body.prompt
    yield from body.inputs
    for message in body.messages or []:
        if message.content:
            yield message.content


def _refused(texts: list[str], patterns: tuple[re.Pattern[str], ...]) -> bool:
    """Whether a pattern is found, looking through windows of 1 000 characters so that a look stays short; a prompt that
    is too long to look through is refused too."""
    if sum(map(len, texts)) > MOST_CHARACTERS:
        return True
    windows = (t[start : start + WINDOW] for t in texts for start in range(0, len(t), WINDOW - OVERLAP))
    return any(p.search(window) for window in windows for p in patterns)


def _open_ends(parsed: Any) -> int:
    """How many repeats of a pattern are long enough to be tried in many ways; two for one inside another."""
    found = 0
    for code, value in parsed:
        if code in _REPEATS:
            _, most, body = value
            inside = _open_ends(body) + _small_ends(body)
            found += (2 if inside else 1) if most > FEW else 2 * bool(inside) if most > 1 else inside
        elif code is _op.BRANCH:
            found += max(map(_open_ends, value[1]))
        elif code is _op.GROUPREF:
            found += 1
        else:
            found += sum(map(_open_ends, _parts(value)))
    return found


def _small_ends(parsed: Any) -> int:
    """How many repeats of a pattern may take more or less, however few."""
    found = 0
    for code, value in parsed:
        if code in _REPEATS:
            found += (value[0] != value[1]) + _small_ends(value[2])
        elif code is _op.BRANCH:
            found += 1 + sum(map(_small_ends, value[1]))
        else:
            found += sum(map(_small_ends, _parts(value)))
    return found


def _parts(value: Any) -> Iterator[Any]:
    """The patterns inside a group, a look-around or a condition."""
    if isinstance(value, tuple):
        for part in value:
            if isinstance(part, _parser.SubPattern):
                yield part
