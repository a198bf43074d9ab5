"""Many texts as jobs of a fair size: several workers read them at once, and little is lost with one. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

NUMBERS: Final = 1 << 18
"""So many numbers one job's result may have: about 1.4 MB on a home's uplink."""

CHARACTERS: Final = 1 << 17
"""So many characters one job reads."""


def in_jobs(texts: Sequence[str], *, numbers: int = 1, beside: int = 0) -> Iterator[list[str]]:
    """The texts in their order, in parts of at least one; each text makes so many numbers, and is read with so many
    characters beside it."""
    most = max(1, NUMBERS // max(1, numbers))
    part: list[str] = []
    size = 0
    for text in texts:
        if part and (len(part) == most or size + len(text) + beside > CHARACTERS):
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text) + beside
    if part:
        yield part
