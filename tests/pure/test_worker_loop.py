"""The engine's loop with a model that counts: who is fed when, what is said, what a refused step does."""

from random import Random

from hypothesis import given, strategies as st

from shared.protocol.messages import Sampling
from tests.pure.counting_model import Counting, Letters
from worker.engine.cache import KEPT
from worker.engine.loop import Loop
from worker.engine.pace import BATCH, LEAST, Pace
from worker.engine.sequence import Prompt
from worker.engine.wire import Failed, Finished, FromEngine, Generate, Made, Prefill

GREEDY = Sampling(temperature=0)


class Run:
    """A loop, what it said, and a clock that is set by hand."""

    def __init__(self, *, slots: int = 2, context: int = 2000, max_tps: float = 0.0) -> None:
        self.model, self.said, self.now = Counting(context, slots), list[FromEngine](), 0.0
        self.loop = Loop(self.model, Letters(), self.said.append, slots=slots, max_tps=max_tps, now=lambda: self.now)

    def to_the_end(self) -> None:
        while (pause := self.loop.pause()) is not None:
            self.now += pause
            self.loop.step()

    def text(self, number: int) -> str:
        return "".join(s.text for s in self.said if isinstance(s, Made | Finished) and s.number == number)

    def finished(self, number: int) -> list[Finished]:
        return [s for s in self.said if isinstance(s, Finished) and s.number == number]


def generate(number: int, ids: list[int], **changed: object) -> Prompt:
    fields: dict[str, object] = {"max_tokens": 100, "sampling": GREEDY, "seed": 1}
    return Prompt(Generate(number, **{**fields, **changed}), ids)  # type: ignore[arg-type]


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
    run.loop.take(generate(2, [3] * 600))
    run.now += 1.0
    run.loop.step()
    assert LEAST[0] + 1 <= run.model.steps[-1] <= BATCH + 1
    assert isinstance(run.said[-2], Made)
    assert run.said[-1] == Prefill(2, run.model.steps[-1] - 1, 600)


def test_a_cancelled_request_frees_its_slot_and_a_waiting_one_never_starts() -> None:
    run = Run(slots=1)
    run.loop.take(generate(1, [1]))
    run.loop.take(generate(2, [2]))
    run.loop.take(generate(3, [20]))
    run.loop.step()
    run.loop.cancel(2)
    run.loop.cancel(1)
    run.loop.cancel(99)
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


def test_a_model_that_computes_no_numbers_fails_the_answer_and_leaves_nothing_in_the_cache() -> None:
    run = Run()
    run.model.numbers = False
    run.loop.take(generate(1, [1] * 50, logprobs=3))
    run.to_the_end()
    assert isinstance(run.said[-1], Failed)
    assert (run.said[-1].code, run.said[-1].retryable) == ("engine_error", True)
    assert (run.loop.cache.kept, run.model.cells_used()) == (0, 0)


def test_a_clock_that_stands_still_is_no_division_by_zero() -> None:
    pace = Pace()
    for _ in range(5000):
        pace.took(0.0, BATCH, made=0, now=0.0)
    assert pace.chunk(answering=False) == BATCH


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
    run.loop.cache.clear()
    assert (run.loop.cache.cells, run.loop.cache.running, run.model.cells_used()) == (0, 0, 0)


def test_a_prompt_that_was_read_before_is_not_read_again() -> None:
    run = Run()
    run.loop.take(generate(1, [1] * 300 + [20]))
    run.to_the_end()
    before = sum(run.model.steps)
    run.loop.take(generate(2, [1] * 300 + [21]))
    run.to_the_end()
    assert run.finished(2)[0].cached_tokens == 300
    assert sum(run.model.steps) - before < 10


def test_a_conversation_that_grows_reads_only_what_is_new() -> None:
    run = Run()
    run.loop.take(generate(1, [1] * 100 + [20]))
    run.to_the_end()
    run.loop.take(generate(2, [1] * 100 + [20, 21, 22, 23, 24, 25, 26, 5, 5, 5, 24]))
    run.to_the_end()
    assert run.finished(2)[0].cached_tokens == 107
    assert run.loop.cache.kept == 1, "the longer one stands for the shorter"


def test_prompts_that_begin_alike_at_the_same_time_are_read_once() -> None:
    run = Run(slots=4)
    for number in range(4):
        run.loop.take(generate(number, [1] * 400 + [20 + number]))
    run.to_the_end()
    assert sum(run.model.steps) < 2 * 400
    assert [run.text(n) for n in range(4)] == ["uvwxyz", "vwxyz", "wxyz", "xyz"]
    assert [run.finished(n)[0].cached_tokens for n in range(4)] == [0, 400, 400, 400]


def test_those_who_wait_for_a_prompt_go_on_when_its_reader_is_cancelled() -> None:
    run = Run(slots=3)
    for number in range(3):
        run.loop.take(generate(number, [1] * 1500 + [20 + number]))
    run.loop.step()
    run.loop.cancel(0)
    run.to_the_end()
    assert [run.text(n) for n in (1, 2)] == ["vwxyz", "wxyz"]


def test_a_fresh_request_reads_everything_itself() -> None:
    run = Run()
    for number in range(2):
        run.loop.take(generate(number, [1] * 300 + [20], fresh=True))
        run.to_the_end()
    assert run.finished(1)[0].cached_tokens == 0
    assert sum(run.model.steps) >= 600


def test_no_scope_sees_what_another_has_read() -> None:
    run = Run()
    for number, scope in enumerate(("a", "b", "a")):
        run.loop.take(generate(number, [1] * 300 + [20], scope=scope))
        run.to_the_end()
    assert [run.finished(n)[0].cached_tokens for n in range(3)] == [0, 0, 300]


def test_what_was_not_used_for_longest_makes_room() -> None:
    run = Run(slots=1, context=500)
    for number, token in enumerate((2, 3, 2, 4, 2)):
        run.loop.take(generate(number, [token] * 200 + [24]))
        run.to_the_end()
    assert [run.finished(n)[0].cached_tokens for n in range(5)] == [0, 0, 200, 0, 200]


def test_ended_requests_keep_no_more_cells_than_steps_can_bear() -> None:
    run = Run(slots=4, context=3000)
    for number in range(1, 12):
        run.loop.take(generate(number, [number] * 1000 + [24]))
        run.to_the_end()
        assert run.loop.cache.cells <= KEPT + 1002
    run.loop.take(generate(99, [20] * 2990))
    run.to_the_end()
    assert run.loop.cache.kept >= 1


def test_ten_thousand_random_steps_leak_neither_a_slot_nor_a_cell() -> None:
    chance = Random(5)
    run = Run(slots=5, context=300)
    roots = [[1 + i % 26 for i in range(n, n + 250)] for n in range(6)]
    number, joined = 0, set[int]()
    for _ in range(10_000):
        match chance.randrange(4):
            case 0:
                root = chance.choice(roots)[: chance.randrange(1, 250)]
                ids = [*root, *(chance.randrange(1, 27) for _ in range(chance.randrange(1, 40)))]
                scope, fresh = chance.choice("ab"), chance.random() < 0.2
                run.loop.take(generate(number, ids, scope=scope, fresh=fresh, max_tokens=chance.randrange(1, 40)))
                joined.add(number)
                number += 1
            case 1 if joined and chance.random() < 0.5:
                run.loop.cancel(chance.choice(sorted(joined)[-12:]))
            case _ if run.loop.pause() is not None:
                run.loop.step()
        assert len(run.loop.running) == run.loop.cache.running <= 5
        assert run.loop.cache.cells == run.model.cells_used() <= 5 * 300
        for slot in run.loop.running.values():
            assert run.model.held(slot.cells) == slot.run.tokens[: slot.run.position]
    run.to_the_end()
    run.loop.cache.clear()
    assert (run.loop.cache.cells, run.loop.cache.running, run.model.cells_used()) == (0, 0, 0)
