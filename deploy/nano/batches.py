"""Conversations as token ids with a weight each, in batches of like length."""

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from deploy.nano.corpus import stream
from deploy.nano.samples import Sample
from deploy.nano.template import IM_END, IM_START, rendered

LENGTHS = (48, 80, 128, 192, 256, 384, 512, 1024, 2048)
BATCH_TOKENS = 4096
OTHER_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids [rows, length], and how much the prediction of each token counts."""

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]


def text_of(rng: Random, sample: Sample) -> str:
    """The conversation as the model sees it, with either order of keys."""
    return rendered(sample.messages, sample.tools, sort_keys=rng.random() < 0.6)


def texts(seed: int, count: int) -> list[str]:
    """So many conversations of the training text."""
    rng = Random(seed)  # noqa: S311 -- repeatable, guards nothing
    return [text_of(rng, sample) for _, sample in zip(range(count), stream(seed), strict=False)]


def weights_of(ids: list[int], start: int, end: int, assistant: int) -> list[float]:
    """One for what the assistant says and for its end token, little for the rest."""
    weights = [OTHER_WEIGHT] * len(ids)
    speaking = False
    for i, token in enumerate(ids):
        if i >= 3 and ids[i - 3] == start and ids[i - 2] == assistant:
            speaking = True
        if speaking:
            weights[i] = 1.0
        speaking = speaking and token != end
    return weights


def _filled(rows: list[tuple[list[int], list[float]]], length: int) -> Batch:
    ids = np.zeros((len(rows), length), dtype=np.int64)
    weights = np.zeros((len(rows), length), dtype=np.float32)
    for at, (tokens, counted) in enumerate(rows):
        ids[at, : len(tokens)], weights[at, : len(tokens)] = tokens, counted
    return Batch(ids, weights)


def batches(seed: int, count: int, tokenizer: Tokenizer) -> list[Batch]:
    """About `count` conversations in shuffled batches of some 4096 tokens; what does not fill a batch is left out."""
    start, end = tokenizer.token_to_id(IM_START), tokenizer.token_to_id(IM_END)
    (assistant,) = tokenizer.encode("assistant").ids
    waiting: dict[int, list[tuple[list[int], list[float]]]] = {length: [] for length in LENGTHS}
    full: list[Batch] = []
    for encoded in tokenizer.encode_batch(texts(seed, count)):
        ids = encoded.ids
        length = next((n for n in LENGTHS if n >= len(ids)), None)
        if length is None:
            continue
        rows = waiting[length]
        rows.append((ids, weights_of(ids, start, end, assistant)))
        if len(rows) == BATCH_TOKENS // length:
            full.append(_filled(rows, length))
            rows.clear()
    Random(seed).shuffle(full)  # noqa: S311 -- repeatable, guards nothing
    return full
