"""The engine's loop with a model that counts: who is fed when, what is said, what a refused step does."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given, strategies as st

from shared.protocol.messages import Sampling
from shared.sampler import Floats
from worker.engine.llama import BATCH, DecodeError, Row
from worker.engine.loop import Loop
from worker.engine.wire import Cancel, Failed, Finished, FromEngine, Generate, Made, Prefill

END = 0
GREEDY = Sampling(temperature=0)


class Letters:
    """Token n is the n-th letter; 0 ends."""

    end_ids = frozenset({END})

    def detokenise(self, ids: Sequence[int]) -> bytes:
        return bytes(96 + i for i in ids if i)


class Counting:
    """A model of 27 tokens: after token n it says n + 1. It checks that each slot is fed without a gap."""

    def __init__(self, context: int = 2000) -> None:
        self.context = context
        self.rows: list[Row] = []
        self.steps: list[int] = []
        self.fed: dict[int, list[int]] = {}
        self.broken = False

    def decode(self, rows: list[Row]) -> None:
        if self.broken:
            raise DecodeError("no memory")
        assert 0 < len(rows) <= BATCH
        for row in rows:
            cache = self.fed.setdefault(row.slot, [])
            assert row.position == len(cache) < self.context
            cache.append(row.token)
        self.rows = rows
        self.steps.append(len(rows))

    def logits(self, row: int) -> Floats:
        assert self.rows[row].wanted
        out = np.zeros(27, np.float32)
        out[(self.rows[row].token + 1) % 27] = 9.0
        return out

    def forget(self, slot: int) -> None:
        self.fed.pop(slot, None)


class Run:
    """A loop, what it said, and a clock that is set by hand."""

    def __init__(self, *, slots: int = 2, context: int = 2000, max_tps: float = 0.0) -> None:
        self.model, self.said, self.now = Counting(context), list[FromEngine](), 0.0
        self.loop = Loop(self.model, Letters(), self.said.append, slots=slots, max_tps=max_tps, now=lambda: self.now)

    def to_the_end(self) -> None:
        while (pause := self.loop.pause()) is not None:
            self.now += pause
            self.loop.step()

    def text(self, number: int) -> str:
        return "".join(s.text for s in self.said if isinstance(s, Made | Finished) and s.number == number)

    def finished(self, number: int) -> list[Finished]:
        return [s for s in self.said if isinstance(s, Finished) and s.number == number]


def generate(number: int, prompt: list[int], **changed: object) -> Generate:
    fields: dict[str, object] = {"max_tokens": 100, "sampling": GREEDY, "seed": 1}
    return Generate(number, prompt, **{**fields, **changed})  # type: ignore[arg-type]


def test_it_answers_until_the_end_token_which_is_not_counted() -> None:
    run = Run()
    run.loop.take(generate(1, [20]))
    run.to_the_end()
    assert run.text(1) == "uvwxyz"
    assert run.finished(1)[0].reason == "stop"


def test_a_resumed_answer_says_only_what_is_new() -> None:
    run = Run()
    run.loop.take(generate(1, [20], resume=[21, 22], max_tokens=4))
    run.to_the_end()
    assert run.text(1) == "wx"
    assert run.finished(1)[0].reason == "length"


def test_a_stop_string_begun_by_an_earlier_attempt_still_stops() -> None:
    run = Run()
    run.loop.take(generate(1, [20], resume=[21, 22], stop=["vwx"]))
    run.to_the_end()
    assert (run.text(1), run.finished(1)[0].reason) == ("", "stop")


def test_those_who_answer_go_before_those_who_read() -> None:
    run = Run()
    run.loop.take(generate(1, [1]))
    run.loop.step()
    run.loop.take(generate(2, [1] * 600))
    run.loop.step()
    assert run.model.steps[-1] == BATCH
    assert isinstance(run.said[-2], Made)
    assert run.said[-1] == Prefill(2, BATCH - 1, 600)


def test_a_cancelled_request_frees_its_slot_and_a_waiting_one_never_starts() -> None:
    run = Run(slots=1)
    run.loop.take(generate(1, [1]))
    run.loop.take(generate(2, [2]))
    run.loop.take(generate(3, [20]))
    run.loop.step()
    run.loop.take(Cancel(2))
    run.loop.take(Cancel(1))
    run.loop.take(Cancel(99))
    run.to_the_end()
    assert [bool(run.finished(n)) for n in (1, 2, 3)] == [False, False, True]


def test_a_refused_step_fails_those_in_it_and_the_next_ones_run() -> None:
    run = Run(slots=1)
    run.loop.take(generate(1, [1]))
    run.loop.take(generate(2, [20]))
    run.model.broken = True
    run.loop.step()
    run.model.broken = False
    run.to_the_end()
    assert run.said[0] == Failed(1, "engine_error", "no memory", retryable=True)
    assert run.finished(2)


def test_the_cap_on_speed_spaces_the_steps() -> None:
    run = Run(max_tps=10.0)
    run.loop.take(generate(1, [1], max_tokens=5))
    run.to_the_end()
    assert run.finished(1)[0].decode_ms == 400


def test_a_full_context_ends_by_length() -> None:
    run = Run(context=8)
    run.loop.take(generate(1, [1, 1, 1, 1, 1]))
    run.to_the_end()
    assert run.finished(1)[0].reason == "length"
    assert len(run.text(1)) == 4


@given(
    st.lists(st.tuples(st.integers(1, 700), st.integers(1, 26), st.integers(1, 30)), min_size=1, max_size=8),
    st.integers(1, 4),
)
def test_any_mix_of_requests_ends_each_once_with_its_own_answer(asked: list[tuple[int, int, int]], slots: int) -> None:
    run = Run(slots=slots)
    for number, (length, last, most) in enumerate(asked):
        run.loop.take(generate(number, [1] * (length - 1) + [last], max_tokens=most))
    run.to_the_end()
    for number, (_, last, most) in enumerate(asked):
        assert len(run.finished(number)) == 1
        assert run.text(number) == Letters().detokenise(range(last + 1, 27)).decode()[:most]
    assert run.model.fed == {}
