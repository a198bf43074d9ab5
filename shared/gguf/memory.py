"""How much memory a model takes once it runs: an estimate from its header, meant to err on the high side."""

from typing import Final

from shared.gguf.facts import Facts
from shared.gguf.kinds import KV_BITS

BATCH: Final = 512
"""Tokens that llama.cpp computes at once; its scratch buffers are as large as one such batch needs."""
ENGINE: Final = 96 << 20
"""What an engine process takes before it has a model."""
LEAST_CONTEXT: Final = 4096
"""Tokens a slot should have room for: a model that cannot have them (or all it was trained on) does not fit."""


def kv_bytes(facts: Facts, kv_type: str = "f16") -> int:
    """The bytes that one token takes in the cache: a key and a value for each layer and head.

    Layers with a sliding window or a compressed cache take less in llama.cpp; they count in full here."""
    values = sum(facts.kv_heads) * (facts.key_length + facts.value_length)
    return int(values * KV_BITS[kv_type]) // 8


def memory_need(facts: Facts, context: int, slots: int, kv_type: str = "f16") -> int:
    """The bytes for `slots` answers of `context` tokens each at once: weights, cache, and scratch buffers.

    The buffers hold, for a batch of 512 tokens in 32-bit numbers, the logits, the widest activations and the mask over
    the whole cache; measured ones of llama.cpp were smaller. With a GPU the same bytes are spread over both memories.
    """
    cells = context * slots
    activations = facts.vocabulary + 4 * facts.embedding + 2 * facts.feed_forward
    return facts.size_bytes + cells * kv_bytes(facts, kv_type) + 4 * BATCH * (activations + cells) + ENGINE


def largest_context(facts: Facts, memory: int, slots: int, kv_type: str = "f16") -> int:
    """The most tokens for each slot that this memory (bytes) has room for, at most what the model was trained on and in
    steps of 256; 0 where not even the weights fit."""
    left = memory - memory_need(facts, 0, slots, kv_type)
    each = slots * (kv_bytes(facts, kv_type) + 4 * BATCH)
    room = max(0, left) // each
    return facts.context if room >= facts.context > 0 else room // 256 * 256


def fits(facts: Facts, memory: int, slots: int) -> bool:
    """Whether the model runs in this memory (bytes) with at least 4 096 tokens for each slot, or all that it knows."""
    return memory_need(facts, min(facts.context or LEAST_CONTEXT, LEAST_CONTEXT), slots) <= memory
