"""hive-sampler-1 against its definition, written out again without numpy."""

import math
from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from shared.protocol.messages import Sampling
from shared.sampler import MILLION, Floats, bias, choose, chosen_by_numpy, gumbel, logprobs, penalise

MASK = (1 << 64) - 1
Logits = list[float]


def mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def noise(seed: int, position: int, token: int) -> float:
    start = mix((seed + position * 0x9E3779B97F4A7C15) & MASK)
    hashed = mix(start ^ ((token * 0xD1B54A32D192ED03) & MASK))
    return -math.log(-math.log(((hashed >> 11) + 0.5) / 2**53))


def defined(logits: Logits, sampling: Sampling, seed: int, position: int) -> int:
    """The definition, step by step: top-k, top-p, min-p, temperature, Gumbel-max."""
    order = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    if sampling.temperature == 0:
        return order[0]
    if sampling.top_k:
        order = order[: sampling.top_k]
    shares = [math.exp(logits[i] - logits[order[0]]) for i in order]
    whole, cumulated, kept = sum(shares), 0.0, len(order)
    for n, share in enumerate(shares, 1):
        cumulated += share / whole
        if cumulated >= sampling.top_p / 1e6:
            kept = n
            break
    kept = max(1, min(kept, sum(share >= sampling.min_p / 1e6 for share in shares)))
    return max(order[:kept], key=lambda i: logits[i] / (sampling.temperature / 1e6) + noise(seed, position, i))


logit_lists = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=60, unique=True)
samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0, 100_000, 800_000, 1_000_000, 2_000_000]),
    top_p=st.sampled_from([100_000, 517_000, 950_000, 1_000_000]),
    min_p=st.sampled_from([0, 50_000, 500_000]),
    top_k=st.sampled_from([0, 1, 5, 40, 1000]),
)


@given(logit_lists, samplings, st.integers(0, MASK), st.integers(0, 5000))
def test_it_chooses_what_the_definition_says(logits: Logits, sampling: Sampling, seed: int, position: int) -> None:
    given_logits = np.array(logits, np.float32)
    expected = defined(given_logits.tolist(), sampling, seed, position)
    assert choose(given_logits, sampling, seed, position) == expected
    assert chosen_by_numpy(given_logits, sampling, seed, position) == expected


def test_the_compiled_part_is_there() -> None:
    assert find_spec("shared._sampler"), "make install builds shared/sampler.c"


@pytest.mark.parametrize("size", [1, 7, 8, 9, 3000, 32_000])
@pytest.mark.parametrize("spread", [0.0, 0.3, 4.0])
def test_compiled_and_numpy_choose_alike(size: int, spread: float) -> None:
    chance = np.random.default_rng(size)
    for position in range(12):
        logits = (chance.standard_normal(size) * spread).astype(np.float32)
        logits[chance.random(size) < 0.3] = -np.inf
        logits[chance.integers(size)] = 1.0
        for sampling in (
            Sampling(),
            Sampling(temperature=300_000, top_p=900_000),
            Sampling(top_k=40, min_p=20_000),
            Sampling(top_k=2000, top_p=999_000),
            Sampling(min_p=1_000_000),
            Sampling(temperature=0),
        ):
            assert choose(logits, sampling, 5, position) == chosen_by_numpy(logits, sampling, 5, position), sampling


@pytest.mark.parametrize("wide", [False, True])
def test_logprobs_are_those_of_the_softmax(wide: bool) -> None:
    logits: Floats = np.array([2.0, -1.0, 0.5, 0.5, -np.inf], np.float64 if wide else np.float32)
    whole = math.log(sum(math.exp(value) for value in (2.0, -1.0, 0.5, 0.5)))
    told = logprobs(logits, 2, 3)
    assert told.micros == pytest.approx((0.5 - whole) * 1e6, abs=2)
    assert [token for token, _ in told.top] == [0, 2, 3]
    assert told.top[0][1] == pytest.approx((2.0 - whole) * 1e6, abs=2)
    assert logprobs(logits, 4, 0).micros < -1_000_000_000
    assert len(logprobs(logits, 0, 20).top) == 5


def test_a_bias_is_added_and_an_unknown_token_means_nothing() -> None:
    logits = np.zeros(3, np.float32)
    bias(logits, {1: 2_500_000, 2: -100_000_000, 9: 1, -1: 1})
    assert logits.tolist() == [0.0, 2.5, -100.0]


@pytest.mark.parametrize("spread", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(top_p=999_999), Sampling(top_k=3000, min_p=1)])
def test_a_large_vocabulary_is_cut_short_without_changing_the_choice(spread: float, sampling: Sampling) -> None:
    logits = (np.random.default_rng(1).standard_normal(5000) * spread).astype(np.float32)
    for position in range(20):
        assert choose(logits, sampling, 99, position) == defined(logits.tolist(), sampling, 99, position)


@given(st.integers(0, MASK), st.integers(0, 2**20), st.lists(st.integers(0, 2**18), min_size=1, max_size=20))
def test_noise_is_the_published_function(seed: int, position: int, ids: list[int]) -> None:
    assert gumbel(seed, position, ids) == pytest.approx([noise(seed, position, i) for i in ids])


def test_known_values() -> None:
    """Fixed for ever: another value here is another sampler."""
    logits = np.zeros(1000, np.float32)
    assert [choose(logits, Sampling(), 1234, position) for position in range(6)] == [403, 225, 287, 375, 357, 60]


def test_choices_follow_the_softmax() -> None:
    logits = np.array([2.0, 1.0, 0.5, 0.0, -1.0, -2.0], np.float32)
    expected = np.exp(logits) / np.exp(logits).sum() * 20_000
    counts = Counter(choose(logits, Sampling(), 42, position) for position in range(20_000))
    chi_square = sum((counts[i] - expected[i]) ** 2 / expected[i] for i in range(6))
    assert chi_square < 20.5, "p < 0.001 with 5 degrees of freedom"


def test_temperature_zero_takes_the_lowest_id_of_a_tie() -> None:
    assert choose(np.array([1.0, 3.0, 3.0], np.float32), Sampling(temperature=0), 1, 1) == 1


def test_penalties_are_the_published_formulas() -> None:
    logits = np.array([2.0, -2.0, 1.0], np.float32)
    sampling = Sampling(repetition_penalty=2_000_000, frequency_penalty=500_000, presence_penalty=250_000)
    penalise(logits, sampling, {0: 3, 1: 1})
    assert logits == pytest.approx([2.0 / 2 - 3 * 0.5 - 0.25, -2.0 * 2 - 0.5 - 0.25, 1.0])


def test_no_penalty_leaves_the_logits_alone() -> None:
    logits = np.array([2.0, 1.0], np.float32)
    penalise(logits, Sampling(), {0: 3})
    assert logits.tolist() == [2.0, 1.0]


@example([0.0, np.nan, 3.0, 3e38] * 160, 1, 600, 900_000, 0)
@given(
    st.lists(
        st.sampled_from([0.0, -1.5, 3.0, -np.inf, np.inf, np.nan, -np.nan, 3e38, -3e38]), min_size=1, max_size=700
    ),
    st.sampled_from([0, 1, 700_000, 2**60]),
    st.sampled_from([0, 1, 5, 600, 2**31 - 1]),
    st.sampled_from([-1, 0, 1, 900_000, MILLION, 2**60]),
    st.sampled_from([-1, 0, 50_000, 2**60]),
)
def test_numbers_that_are_none_still_give_a_token_of_the_vocabulary(
    values: list[float], temperature: int, top_k: int, top_p: int, min_p: int
) -> None:
    logits: Floats = np.array(values, np.float32)
    for way in (choose, chosen_by_numpy):
        chosen = way(logits, Sampling(temperature, top_p, min_p, top_k), 5, 3)
        assert 0 <= chosen < len(values)
        if any(np.isfinite(values)) and not np.isposinf(values).any():
            assert np.isfinite(values[chosen])
