"""Embeddings and scores out of an upstream's JSON, checked and in the engine's own shapes. Pure."""

import math
import struct
from typing import Final

import msgspec

from worker.remote.kinds import read
from worker.remote.upstream import UpstreamFailed

MOST_DIMENSIONS: Final = 1 << 16


class _Embedding(msgspec.Struct, frozen=True):
    embedding: list[float]
    index: int


class _Embeddings(msgspec.Struct, frozen=True):
    data: list[_Embedding]


class _Score(msgspec.Struct, frozen=True):
    index: int
    relevance_score: float


class _Scores(msgspec.Struct, frozen=True):
    results: list[_Score]


def vectors(body: bytes, count: int) -> list[bytes]:
    """`count` vectors of length 1 in the order of their texts, as little-endian float32; raises UpstreamFailed."""
    data = read(body, _Embeddings).data
    by_index = {item.index: item.embedding for item in data}
    if len(data) != count or by_index.keys() != set(range(count)):
        raise UpstreamFailed("the upstream did not embed every text once", code="engine_error")
    sizes = {len(vector) for vector in by_index.values()}
    if len(sizes) > 1 or not all(0 < size <= MOST_DIMENSIONS for size in sizes):
        raise UpstreamFailed("the upstream's vectors are not all of one size", code="engine_error")
    return [normalised(by_index[i]) for i in range(count)]


def normalised(vector: list[float]) -> bytes:
    """A vector of length 1 as little-endian float32; raises UpstreamFailed where there is none."""
    largest = max((abs(x) for x in vector), default=0.0)
    if not 0 < largest < math.inf:
        raise UpstreamFailed("the upstream's vector has no direction", code="engine_error")
    scaled = [x / largest for x in vector]  # so that no square overflows
    length = math.sqrt(math.fsum(x * x for x in scaled))
    return struct.pack(f"<{len(vector)}f", *(x / length for x in scaled))


def scores(body: bytes, count: int) -> list[float]:
    """A score for each of `count` documents, in their order; raises UpstreamFailed."""
    results = read(body, _Scores).results
    by_index = {item.index: item.relevance_score for item in results}
    if len(results) != count or by_index.keys() != set(range(count)):
        raise UpstreamFailed("the upstream did not score every document once", code="engine_error")
    return [by_index[i] for i in range(count)]
