"""Each sampling field against llama.cpp's own samplers: the same tokens are left, with the same shares."""

import ctypes
from collections import Counter
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt
import pytest

from shared.protocol.messages import Sampling
from shared.sampler import bias, choose, penalise

SIZE = 40
DRAWS = 20_000
PUT_OUT = [3, 3, 3, 7, 11, 39]
WITHOUT = Sampling()


def logits() -> npt.NDArray[np.float32]:
    return (np.random.default_rng(11).standard_normal(SIZE) * 2.5).astype(np.float32)


def peer(samplers: list[Any]) -> npt.NDArray[np.float64]:
    """llama.cpp's probabilities after these samplers and its own softmax."""
    rows = np.zeros(SIZE, np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)]))
    rows["id"], rows["logit"] = np.arange(SIZE), logits()
    array: Any = llama_cpp.llama_token_data_array()
    array.data = rows.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
    array.size, array.selected, array.sorted = SIZE, -1, False
    for sampler in [*samplers, llama_cpp.llama_sampler_init_dist(1)]:
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
        llama_cpp.llama_sampler_free(sampler)
    out = np.zeros(SIZE)
    for row in rows[: array.size]:
        out[row["id"]] = row["p"]
    return out


def penalties(repeat: float, frequency: float, presence: float) -> Any:
    found = (
        llama_cpp.llama_sampler_init_penalties(SIZE, 64, repeat, frequency, presence)
        if _takes_size()
        else (llama_cpp.llama_sampler_init_penalties(64, repeat, frequency, presence))
    )
    for token in PUT_OUT:
        llama_cpp.llama_sampler_accept(found, token)
    return found


def _takes_size() -> bool:
    return len(llama_cpp.llama_cpp._lib.llama_sampler_init_penalties.argtypes) == 5


def biased(values: dict[int, float]) -> Any:
    biases = (llama_cpp.llama_logit_bias * len(values))()
    for place, (token, value) in zip(biases, values.items(), strict=True):
        place.token, place.bias = token, value
    return llama_cpp.llama_sampler_init_logit_bias(SIZE, len(values), biases)


CASES: dict[str, tuple[Sampling, dict[int, int], Any]] = {
    "nothing": (WITHOUT, {}, list),
    "temperature": (Sampling(temperature=600_000), {}, lambda: [llama_cpp.llama_sampler_init_temp(0.6)]),
    "top_k": (Sampling(top_k=5), {}, lambda: [llama_cpp.llama_sampler_init_top_k(5)]),
    "top_p": (Sampling(top_p=800_000), {}, lambda: [llama_cpp.llama_sampler_init_top_p(0.8, 1)]),
    "min_p": (Sampling(min_p=100_000), {}, lambda: [llama_cpp.llama_sampler_init_min_p(0.1, 1)]),
    "repetition_penalty": (Sampling(repetition_penalty=1_300_000), {}, lambda: [penalties(1.3, 0.0, 0.0)]),
    "frequency_penalty": (Sampling(frequency_penalty=900_000), {}, lambda: [penalties(1.0, 0.9, 0.0)]),
    "presence_penalty": (Sampling(presence_penalty=1_500_000), {}, lambda: [penalties(1.0, 0.0, 1.5)]),
    "logit_bias": (WITHOUT, {4: 3_000_000, 9: -100_000_000}, lambda: [biased({4: 3.0, 9: -100.0})]),
    "all together": (
        Sampling(
            temperature=800_000, top_k=20, top_p=950_000, min_p=20_000, repetition_penalty=1_100_000,
            frequency_penalty=300_000, presence_penalty=200_000,
        ),
        {4: 1_000_000},
        lambda: [
            penalties(1.1, 0.3, 0.2), biased({4: 1.0}), llama_cpp.llama_sampler_init_top_k(20),
            llama_cpp.llama_sampler_init_top_p(0.95, 1), llama_cpp.llama_sampler_init_min_p(0.02, 1),
            llama_cpp.llama_sampler_init_temp(0.8),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_fields_distribution_is_llama_cpps(name: str) -> None:
    sampling, biases, samplers = CASES[name]
    expected = peer(samplers())
    ours = logits()
    penalise(ours, sampling, Counter(PUT_OUT))
    bias(ours, biases)
    drawn = Counter(choose(ours, sampling, 77, position) for position in range(DRAWS))
    assert set(drawn) <= set(np.flatnonzero(expected > 0).tolist())
    likely = [token for token in range(SIZE) if expected[token] * DRAWS >= 5]
    chi_square = sum((drawn[token] - expected[token] * DRAWS) ** 2 / (expected[token] * DRAWS) for token in likely)
    degrees = max(1, len(likely) - 1)
    assert chi_square < degrees + 4 * (2 * degrees) ** 0.5, "four standard deviations"


def test_greedy_is_greedy() -> None:
    expected = peer([llama_cpp.llama_sampler_init_temp(0.0)])
    assert choose(logits(), Sampling(temperature=0), 1, 0) == int(np.argmax(expected))
