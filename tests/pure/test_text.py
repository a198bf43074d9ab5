"""Text from ids: whole code points, nothing past a stop string, the same however it is split."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, strategies as st

from shared.protocol.messages import Message, OfferBody, Sampling
from shared.text import Deltas, prompt_hash, result_hash

ALPHABET = "ab€日😀 "
texts = st.text(alphabet=ALPHABET, max_size=40)
stops = st.lists(st.text(alphabet=ALPHABET, min_size=1, max_size=5), max_size=4)


class Pieces:
    """A vocabulary of pieces: id n is the n-th."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces

    def detokenise(self, ids: Sequence[int]) -> bytes:
        return b"".join(self.pieces[i] for i in ids)


def split(raw: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [raw[a:b] for a, b in pairwise(places)]


def given_out(pieces: Sequence[bytes], stop: Sequence[str]) -> tuple[list[str], bool]:
    deltas = Deltas(Pieces(pieces), stop)
    parts = [deltas.push(i) for i in range(len(pieces))]
    parts.append(deltas.flush())
    assert deltas.text == "".join(parts)
    return parts, deltas.stopped


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The definition: up to where the first complete stop string begins."""
    for end in range(1, len(text) + 1):
        starts = [end - len(s) for s in stop if text[:end].endswith(s)]
        if starts:
            return text[: min(starts)], True
    return text, False


@given(texts, stops, st.lists(st.integers(0, 200), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_text(text: str, stop: list[str], cuts: list[int]) -> None:
    parts, stopped = given_out(split(text.encode(), cuts), stop)
    assert ("".join(parts), stopped) == cut(text, stop)


@given(texts, st.lists(st.integers(0, 200), max_size=12))
def test_no_delta_splits_a_code_point(text: str, cuts: list[int]) -> None:
    parts, _ = given_out(split(text.encode(), cuts), [])
    assert all("\ufffd" not in part for part in parts)


@given(st.binary(max_size=30), st.lists(st.integers(0, 60), max_size=8))
def test_torn_bytes_are_replaced_as_in_one_piece(raw: bytes, cuts: list[int]) -> None:
    parts, _ = given_out(split(raw, cuts), [])
    assert "".join(parts) == raw.decode("utf-8", "replace")


@given(texts, stops, st.lists(st.integers(0, 200), max_size=12), st.integers(0, 12))
def test_another_attempt_goes_on_at_the_same_character(text: str, stop: list[str], cuts: list[int], at: int) -> None:
    pieces = split(text.encode(), cuts)
    first, second = Deltas(Pieces(pieces), stop), Deltas(Pieces(pieces), stop)
    head = [first.push(i) for i in range(len(pieces))][: min(at, len(pieces))]
    read = "".join(second.push(i) for i in range(len(head)))
    rest = "".join(second.push(i) for i in range(len(head), len(pieces)))
    assert read == "".join(head)
    assert read + rest == first.text


def test_what_may_become_a_stop_string_is_held_back() -> None:
    deltas = Deltas(Pieces([b"one ST", b"O", b"NE"]), ["STOP"])
    assert [deltas.push(i) for i in range(3)] == ["one ", "", "STONE"]


def test_nothing_comes_after_a_stop_string() -> None:
    deltas = Deltas(Pieces([b"aST", b"OPb", b"c"]), ["STOP"])
    assert [deltas.push(i) for i in range(3)] == ["a", "", ""]
    assert (deltas.flush(), deltas.stopped) == ("", True)


def offer(**changed: object) -> OfferBody:
    fields: dict[str, object] = {
        "job_id": "j", "attempt": 1, "worker_pk": "", "model_id": "m", "model_digest": "", "max_tokens": 1,
        "sampling": Sampling(), "stop": [], "seed": "s", "salt": "ab" * 32, "price": 0, "scope": "", "cell": "",
        "jurisdictions": [], "evidence": "claimed", "geo_digest": "", "expires_at": 0,
    }  # fmt: skip
    return OfferBody(**{**fields, **changed})  # type: ignore[arg-type]


def test_the_prompt_hash_covers_what_was_asked_and_the_salt() -> None:
    asked = offer(messages=[Message("user", "hello")])
    others = [
        offer(messages=[Message("user", "hello!")]),
        offer(prompt="hello"),
        offer(messages=[Message("user", "hello")], salt="cd" * 32),
    ]
    assert prompt_hash(asked) not in [prompt_hash(other) for other in others]
    with_tools = [
        offer(messages=[Message("user", "hello")], **more) for more in ({"tools": "[]"}, {"response_format": "[]"})
    ]
    assert len({prompt_hash(one) for one in (asked, *with_tools)}) == 3
    assert prompt_hash(asked) == prompt_hash(offer(messages=[Message("user", "hello")], seed="other"))
    assert result_hash("ab" * 32, "x") != result_hash("ab" * 32, "y")
