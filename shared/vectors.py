"""What comes of texts: vectors of length 1 and scores, as the text of a result has them, a line each. Pure."""

import base64
import math
import struct
from collections.abc import Iterable, Sequence
from typing import Final

FLOAT_BYTES: Final = 4
TOLERANCE: Final = 1e-3
"""How far from 1 the length of a vector may be: half precision keeps about so much."""


class UnsoundVectors(ValueError):
    """The text of a result is not what was asked for; the message holds nothing of it."""


def lines_of(rows: Iterable[bytes]) -> str:
    """Rows of little-endian float32 as text: base64, a line each."""
    return "\n".join(base64.b64encode(row).decode() for row in rows)


def rows_of(text: str) -> list[bytes]:
    """The rows of such a text; raises UnsoundVectors."""
    try:
        rows = [base64.b64decode(line, validate=True) for line in text.split("\n")]
    except ValueError as error:
        raise UnsoundVectors("a line is not base64") from error
    if any(not row or len(row) % FLOAT_BYTES for row in rows):
        raise UnsoundVectors("a line holds no float32 numbers")
    return rows


def packed(numbers: Sequence[float]) -> bytes:
    """Numbers as little-endian float32."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def numbers_of(row: bytes) -> tuple[float, ...]:
    """The numbers of a row."""
    return struct.unpack(f"<{len(row) // FLOAT_BYTES}f", row)


def check_vectors(text: str, count: int, dimensions: int = 0) -> None:
    """Raises UnsoundVectors unless the text holds `count` vectors of one size (of `dimensions`, if that is known), finite
    and of length 1."""
    rows = rows_of(text)
    if len(rows) != count:
        raise UnsoundVectors(f"there are {len(rows)} vectors for {count} texts")
    if len({len(row) for row in rows}) > 1 or (dimensions and len(rows[0]) != dimensions * FLOAT_BYTES):
        raise UnsoundVectors("the vectors are not all of the model's size")
    for row in rows:
        length = math.hypot(*numbers_of(row))
        if not abs(length - 1.0) <= TOLERANCE:  # not so for what is no number either
            raise UnsoundVectors("a vector is not of length 1")


def check_scores(text: str, count: int) -> None:
    """Raises UnsoundVectors unless the text holds a finite score for each of `count` documents."""
    rows = rows_of(text)
    if len(rows) != 1 or len(rows[0]) != count * FLOAT_BYTES:
        raise UnsoundVectors(f"there are not {count} scores for {count} documents")
    if not all(map(math.isfinite, numbers_of(rows[0]))):
        raise UnsoundVectors("a score is no number")
