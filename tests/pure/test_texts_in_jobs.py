"""Many texts as jobs of a fair size: none is lost, none is moved, and no job is larger than it may be."""

from itertools import chain

from hypothesis import given, strategies as st

from coordinator.submit.texts import CHARACTERS, NUMBERS, in_jobs


@given(
    st.lists(st.integers(0, CHARACTERS * 2).map("x".__mul__), max_size=30),
    st.integers(0, NUMBERS * 2),
    st.integers(0, CHARACTERS),
)
def test_every_text_is_in_one_job_and_no_job_is_too_large(texts: list[str], numbers: int, beside: int) -> None:
    parts = list(in_jobs(texts, numbers=numbers, beside=beside))
    assert list(chain.from_iterable(parts)) == texts
    for part in parts:
        assert part
        assert len(part) == 1 or sum(len(text) + beside for text in part) <= CHARACTERS
        assert len(part) == 1 or numbers * len(part) <= NUMBERS


def test_texts_that_fit_are_one_job() -> None:
    assert list(in_jobs(["a"] * 2048, numbers=128)) == [["a"] * 2048]
    assert [len(part) for part in in_jobs(["a"] * 2048, numbers=1024)] == [256] * 8
