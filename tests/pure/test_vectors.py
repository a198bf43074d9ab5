"""Vectors and scores as the text of a result: what goes in comes out, and each lie is seen for what it is."""

import base64
import math
import struct

import pytest
from hypothesis import assume, given, strategies as st

from shared.vectors import UnsoundVectors, check_scores, check_vectors, lines_of, numbers_of, packed, rows_of

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def line(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@given(st.lists(st.lists(floats, min_size=1, max_size=8), min_size=1, max_size=8))
def test_rows_come_out_as_they_went_in(rows: list[list[float]]) -> None:
    text = lines_of(packed(row) for row in rows)
    assert [list(numbers_of(row)) for row in rows_of(text)] == rows
    assert text.isascii()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=64))
def test_a_vector_of_length_one_passes(numbers: list[float]) -> None:
    length = math.hypot(*numbers)
    assume(length > 1e-6)
    check_vectors(line(*(n / length for n in numbers)), 1, len(numbers))


@pytest.mark.parametrize(
    ("text", "count", "word"),
    [
        ("", 1, "no float32"),
        ("AAAA", 1, "no float32"),
        ("not base64!", 1, "not base64"),
        ("é", 1, "not base64"),
        (f" {line(1, 0)}", 1, "not base64"),
        (f"{line(1, 0)}\n", 1, "no float32"),
        (f"{line(1, 0)}\r\n{line(1, 0)}", 2, "not base64"),
        (line(1, 0), 2, "1 vectors for 2 texts"),
        (f"{line(1, 0)}\n{line(1)}", 2, "model's size"),
        (line(1, 0, 0), 1, "model's size"),
        (line(0, 0), 1, "length 1"),
        (line(1, 1), 1, "length 1"),
        (line(1, math.nan), 1, "length 1"),
        (line(1, math.inf), 1, "length 1"),
        (line(-1.01, 0), 1, "length 1"),
    ],
)
def test_vectors_that_are_none_are_named(text: str, count: int, word: str) -> None:
    with pytest.raises(UnsoundVectors, match=word):
        check_vectors(text, count, 2)


def test_half_precision_is_near_enough() -> None:
    check_vectors(line(0.6002, 0.8002), 1, 2)


@pytest.mark.parametrize(("text", "count"), [(line(1, 2), 3), (f"{line(1)}\n{line(2)}", 2), (line(1, math.nan), 2)])
def test_scores_that_are_none(text: str, count: int) -> None:
    with pytest.raises(UnsoundVectors):
        check_scores(text, count)
    check_scores(line(-7.5, 900.0), 2)
