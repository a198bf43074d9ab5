"""The compiled part of `hive-sampler-1`: shared/sampler.c."""

from typing import Any

def choose(
    logits: Any, temperature: float, top_k: int, top_p: float, min_p: float, seed: int, position: int, /
) -> int: ...
def logprobs(logits: Any, token: int, most: int, /) -> tuple[float, list[tuple[int, float]]]: ...
