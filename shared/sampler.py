"""`hive-sampler-1`: a choice of tokens that anyone can replay from the logits, the seed and the position.

top-k, top-p and min-p (on the logits as they are), then temperature, then Gumbel-max with noise that is a function of
(seed, output position, token id). Two honest builds then disagree on well under 1 % of tokens. `shared/sampler.c` does
the same compiled; numpy stands in where it could not be built.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.protocol.messages import Logprob, Sampling

try:
    from shared import _sampler
except ImportError:  # no C compiler was there when this was installed
    _sampler = None  # type: ignore[assignment]

MILLION: Final = 1_000_000
LEAST_LOGPROB: Final = -9_999 * MILLION
_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_ID_FACTOR: Final = np.uint64(0xD1B54A32D192ED03)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_TWO_53: Final = float(1 << 53)
_RARE_NOISE: Final = 8.0
_RARE_HASH: Final = np.uint64(math.exp(-math.exp(-_RARE_NOISE)) * _TWO_53 * (1 - 1e-12))
_FLOAT32_SLACK: Final = 0.001
_SORTED_AT_FIRST: Final = 512

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]


def choose(logits: Floats, sampling: Sampling, seed: int, position: int) -> int:
    """The token id at output `position` (from 0, over all attempts of the job), from logits of shape (vocabulary,).

    `seed` has 64 bits (`shared.crypto.sampler_seed`). Temperature 0 is the largest logit; ties go to the lowest id.
    """
    if _sampler is None or logits.dtype != np.float32:
        return chosen_by_numpy(logits, sampling, seed, position)
    return _sampler.choose(
        logits,
        sampling.temperature / MILLION,
        sampling.top_k,
        sampling.top_p / MILLION,
        sampling.min_p / MILLION,
        seed & _MASK,
        position,
    )


def chosen_by_numpy(logits: Floats, sampling: Sampling, seed: int, position: int) -> int:
    """What `choose` promises, without the compiled part."""
    logits = np.where(np.isnan(logits), -np.inf, logits)
    if not np.isfinite(np.max(logits)):
        return int(np.argmax(logits))
    if sampling.temperature <= 0:
        return int(np.argmax(logits))
    temperature = sampling.temperature / MILLION
    if _is_open(sampling, len(logits)):
        ids = _contenders(logits, temperature, seed, position)
    else:
        ids = np.sort(_support(logits, sampling))
    scores = logits[ids].astype(np.float64) / temperature + gumbel(seed, position, ids)
    return int(ids[np.argmax(scores)])


def penalise(logits: Floats, sampling: Sampling, counts: Mapping[int, int]) -> None:
    """Changes the logits in place by the penalties for the tokens already put out (`counts` by id, of all attempts of
    the job, never of the prompt): repetition as llama.cpp does it, then frequency and presence as OpenAI describes
    them."""
    if not counts or not _penalises(sampling):
        return
    ids = np.fromiter(counts.keys(), np.int64, len(counts))
    times = np.fromiter(counts.values(), np.float64, len(counts))
    repetition = sampling.repetition_penalty / MILLION
    seen = logits[ids].astype(np.float64)
    seen = np.where(seen > 0, seen / repetition, seen * repetition)
    logits[ids] = seen - times * (sampling.frequency_penalty / MILLION) - sampling.presence_penalty / MILLION


def bias(logits: Floats, biases: Mapping[int, int]) -> None:
    """Adds to the logits in place, in millionths by token id; ids out of range mean nothing."""
    for token, millionths in biases.items():
        if 0 <= token < len(logits):
            logits[token] += millionths / MILLION


def logprobs(logits: Floats, token: int, most: int) -> Logprob:
    """How likely a token was, and the `most` (up to 20) likeliest, from logits before any sampling step."""
    if _sampler is not None and logits.dtype == np.float32:
        own, top = _sampler.logprobs(logits, token, most)
    else:
        wide = logits.astype(np.float64)
        highest = float(np.max(wide))
        whole = highest + math.log(float(np.exp(wide - highest).sum()))
        own = float(wide[token]) - whole
        top = [(int(i), float(wide[i]) - whole) for i in _largest(logits, min(most, len(logits)))] if most else []
    return Logprob(_micros(own), [(i, _micros(value)) for i, value in top])


def _micros(value: float) -> int:
    """A logarithm in millionths; -inf becomes the least that is told."""
    return min(0, round(max(value * MILLION, LEAST_LOGPROB)))


def gumbel(seed: int, position: int, ids: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The noise of token ids at an output position: standard Gumbel, the same everywhere."""
    return _noise(_hashed(seed, position, np.asarray(ids)))


def _noise(hashed: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(-np.log((hashed.astype(np.float64) + 0.5) / _TWO_53)))


def _hashed(seed: int, position: int, ids: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """53 bits for each id: a function of the seed, the position and the id."""
    with np.errstate(over="ignore"):
        start = _mix(np.array([(seed + position * _GOLDEN) & _MASK], np.uint64))
        return _mix(start ^ (ids.astype(np.uint64) * _ID_FACTOR)) >> np.uint64(11)


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


def _is_open(sampling: Sampling, size: int) -> bool:
    everything = sampling.top_k <= 0 or sampling.top_k >= size
    return everything and sampling.top_p >= MILLION and sampling.min_p <= 0


def _penalises(sampling: Sampling) -> bool:
    return bool(sampling.frequency_penalty or sampling.presence_penalty or sampling.repetition_penalty != MILLION)


def _contenders(logits: Floats, temperature: float, seed: int, position: int) -> Ids:
    """Every id that could win when nothing is cut off: noise over 8 is rare and tells itself by the hash, so most of a
    vocabulary is out before a logarithm is taken. The winner is the same as over all ids."""
    best = int(np.argmax(logits))
    score = float(logits[best]) / temperature + float(gumbel(seed, position, [best])[0])
    near = logits >= (score - _RARE_NOISE - _FLOAT32_SLACK) * temperature
    lucky = _hashed(seed, position, np.arange(len(logits))) >= _RARE_HASH
    return np.flatnonzero(near | lucky)


def _support(logits: Floats, sampling: Sampling) -> Ids:
    """The ids that top-k, top-p and min-p leave, at least one."""
    size = len(logits)
    k = min(sampling.top_k, size) if sampling.top_k > 0 else size
    shares = np.exp(logits.astype(np.float64) - float(np.max(logits)))
    whole = float(shares.sum() if k == size else shares[_largest(logits, k)].sum())
    count = min(k, _SORTED_AT_FIRST)
    while True:
        ids = _largest(logits, count)
        enough = _survivors(shares[ids], whole, sampling)
        if enough < count or count == k:
            return ids[:enough]
        count = min(k, count * 8)


def _largest(logits: Floats, k: int) -> Ids:
    """The k ids with the largest logits, largest first, the lower id first among equals."""
    if k < len(logits):
        least = -np.partition(-logits, k - 1)[k - 1]
        ids = np.flatnonzero(logits >= least)
    else:
        ids = np.arange(len(logits))
    return ids[np.lexsort((ids, -logits[ids]))][:k]


def _survivors(shares: npt.NDArray[np.float64], whole: float, sampling: Sampling) -> int:
    """How many of the descending shares (relative to the largest) top-p, then min-p keep."""
    kept = len(shares)
    if sampling.top_p < MILLION:
        kept = min(kept, int(np.searchsorted(np.cumsum(shares / whole), sampling.top_p / MILLION)) + 1)
    if sampling.min_p > 0:
        kept = min(kept, int(np.count_nonzero(shares >= sampling.min_p / MILLION)))
    return max(kept, 1)
