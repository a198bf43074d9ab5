"""Which workers have read the beginning of a prompt: found while they may have it in their caches, and never readable."""

from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from coordinator.match import affinity as affinities
from coordinator.match.affinity import BLOCK, HOLDERS, KEPT, KEPT_MS, MOST_MARKS, Affinity, Marks
from coordinator.submit.request import JobRequest
from shared.protocol.messages import Image, Message
from worker.engine import cache

ME, OTHER = UUID(int=1), UUID(int=2)
TOKENS = 1000


def chat(*texts: str, **different: object) -> JobRequest:
    roles = ["system", *("user", "assistant") * len(texts)]
    messages = [Message(role, text) for role, text in zip(roles, texts, strict=False)]
    return JobRequest(**{"model": "m", "messages": messages} | different)  # type: ignore[arg-type]


SYSTEM = "You are a kind helper. " * 50
FIRST = chat(SYSTEM, "What is the capital of Italy?")
NEXT = chat(SYSTEM, "What is the capital of Italy?", "Rome.", "And of France?")


class Seen:
    """A memory, and a worker after the other that reads for an account."""

    def __init__(self) -> None:
        self.it = Affinity(b"secret")

    def read(self, pk: str, request: JobRequest, *, account: UUID = ME, tokens: int = TOKENS, now: int = 0) -> None:
        marks = self.it.marks(account, request)
        self.it.note(account, request.model, pk, marks, tokens=tokens, fed=tokens, now=now)

    def readers(self, request: JobRequest, *, account: UUID = ME, now: int = 0) -> dict[str, int]:
        return self.it.readers(self.it.marks(account, request), TOKENS, now)


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_the_next_turn_finds_who_read_the_one_before_and_how_much_that_saves(seen: Seen) -> None:
    seen.read("a", FIRST)
    assert seen.readers(FIRST) == {"a": TOKENS}
    assert 900 < seen.readers(NEXT)["a"] < TOKENS
    other = chat(SYSTEM, "Something else.")
    seen.read("b", other)
    assert seen.readers(NEXT)["b"] < seen.readers(NEXT)["a"], "the longest that each has read"
    assert seen.readers(chat("Another system.", "What is the capital of Italy?")) == {}


def test_nobody_is_found_by_the_words_of_another_account_model_or_tool(seen: Seen) -> None:
    seen.read("a", FIRST)
    assert seen.readers(NEXT, account=OTHER) == {}
    assert seen.readers(chat(SYSTEM, "What is the capital of Italy?", model="n")) == {}
    assert seen.readers(chat(SYSTEM, "What is the capital of Italy?", tools="[]")) == {}
    assert seen.it.knows(ME, 0)
    assert not seen.it.knows(OTHER, 0)
    assert not seen.it.knows(ME, KEPT_MS)


def test_a_long_text_is_known_by_its_beginning_whether_it_is_a_message_or_a_prompt(seen: Seen) -> None:
    book = "".join(f"Chapter {n}. " for n in range(1000))
    for made in (chat, lambda text: JobRequest("m", prompt=text)):
        seen.read("a", made(book + "Who did it?"))
        saved = seen.readers(made(book + "And with what? It was not the gardener."))["a"]
        assert TOKENS * 0.5 < saved < TOKENS


def test_what_has_no_use_for_a_cache_leaves_no_marks(seen: Seen) -> None:
    picture = JobRequest("m", messages=[Message("user", "x", images=[Image(0, "data:")])])
    for request in (JobRequest("m", inputs=["x"], task="embed"), picture):
        assert seen.it.marks(ME, request) == Marks([], 0)
        seen.read("a", request)
        assert seen.readers(request) == {}
    assert not seen.it.knows(ME, 0)


def test_a_worker_that_left_has_read_nothing_and_begins_anew(seen: Seen) -> None:
    seen.read("a", FIRST)
    seen.it.left("a")
    assert seen.readers(NEXT) == {}
    seen.read("a", chat("x", "y"))
    assert seen.readers(NEXT) == {}, "what it read before it left does not come back with it"
    seen.read("a", FIRST)
    assert list(seen.readers(NEXT)) == ["a"]
    seen.it.left("who was never there")


def test_what_others_pushed_out_of_a_cache_is_not_counted_on(seen: Seen) -> None:
    assert KEPT == cache.KEPT
    seen.read("a", FIRST)
    for _ in range(KEPT // TOKENS - 1):
        seen.read("a", chat("something", "else"), account=OTHER)
    assert list(seen.readers(NEXT)) == ["a"]
    seen.read("a", chat("and", "more"), account=OTHER, tokens=KEPT // 2)
    assert seen.readers(NEXT) == {}
    seen.read("a", FIRST, tokens=4 * KEPT)
    assert list(seen.readers(NEXT)) == ["a"], "the newest is kept however long it is"
    seen.read("a", chat("x", "y", model="another"), tokens=4 * KEPT)
    assert list(seen.readers(NEXT)) == ["a"], "each model has a cache of its own"


def test_it_is_forgotten_in_time_and_only_some_are_remembered(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    seen.read("a", FIRST)
    assert seen.readers(NEXT, now=KEPT_MS - 1)
    assert seen.readers(NEXT, now=KEPT_MS) == {}
    for n in range(HOLDERS + 2):
        seen.read(f"w{n}", FIRST)
    assert len(seen.readers(FIRST)) == HOLDERS
    monkeypatch.setattr(affinities, "MOST", 8)
    for n in range(20):
        seen.read("b", chat(f"{n}", SYSTEM), account=UUID(int=n + 10), tokens=1)
    assert seen.readers(FIRST) == {}
    assert len(seen.it._read) <= 8
    assert len(seen.it._accounts) <= 8


def test_a_prompt_of_any_length_costs_so_many_marks(seen: Seen) -> None:
    endless = JobRequest("m", prompt="x" * BLOCK * MOST_MARKS * 2)
    marks = seen.it.marks(ME, endless)
    assert len(marks.ends) == MOST_MARKS
    assert marks.size == BLOCK * MOST_MARKS * 2
    seen.read("a", endless)
    assert len(seen.it._read) < 12
    assert seen.readers(endless) == {"a": TOKENS // 2}


def test_nothing_of_a_prompt_is_kept_and_its_hashes_are_worth_nothing_elsewhere(seen: Seen) -> None:
    seen.read("a", NEXT)
    kept = {end for end, _ in zip(seen.it._read, range(99), strict=False)}
    assert all(len(name) == 16 for name in kept)
    assert kept.isdisjoint(name for _, name in Affinity(b"another").marks(ME, NEXT).ends)


@given(st.text(max_size=5000), st.text(max_size=3000), st.text(max_size=3000))
def test_what_two_prompts_have_in_common_is_never_overrated(common: str, one: str, two: str) -> None:
    seen = Seen()
    seen.read("a", JobRequest("m", prompt=common + one))
    prompt = (common + two).encode()
    saved = seen.readers(JobRequest("m", prompt=common + two)).get("a", 0)
    same = next((n for n, (x, y) in enumerate(zip((common + one).encode(), prompt, strict=False)) if x != y), None)
    shortest = min(len((common + one).encode()), len(prompt))
    assert saved * len(prompt) <= TOKENS * (shortest if same is None else same)
