"""How much memory a model takes once it runs: an estimate from its header, meant to err on the high side."""

from typing import Final

import msgspec

from shared.gguf.facts import Facts
from shared.gguf.kinds import KV_BITS

BATCH: Final = 512
"""Tokens that llama.cpp computes at once; its scratch buffers are as large as one such batch needs."""
ENGINE: Final = 128 << 20
"""What an engine process takes before it has a model."""
LEAST_CONTEXT: Final = 4096
"""Tokens that an answer should have room for: a model that cannot give them (or all it was trained on) does not fit."""


class Need(msgspec.Struct, frozen=True):
    """The memory of a running model in bytes: `fixed` in any case, `token` for each token that its cache has room for."""

    fixed: int
    token: int

    def of(self, context: int, slots: int) -> int:
        """The bytes for `slots` answers of `context` tokens each at once."""
        return self.fixed + self.token * context * slots

    def largest_context(self, trained: int, memory: int, slots: int) -> int:
        """The most tokens for each slot that this memory (bytes) has room for, at most what the model was trained on
        and in steps of 256; 0 where not even the weights fit."""
        room = max(0, memory - self.fixed) // (slots * self.token) if self.token else trained
        return trained if room >= trained > 0 else room // 256 * 256

    def fits(self, trained: int, memory: int) -> bool:
        """Whether the model can give one answer of 4 096 tokens, or as many as it knows, in this memory (bytes)."""
        return self.of(min(trained or LEAST_CONTEXT, LEAST_CONTEXT), 1) <= memory


def need_of(facts: Facts, kv_type: str = "f16") -> Need:
    """What a model needs: weights, cache and scratch buffers.

    The buffers hold, for a batch of 512 tokens in 32-bit numbers, the logits, the widest activations and the mask over
    the whole cache. Layers with a sliding window or a compressed cache take less in llama.cpp; they count in full
    here. With a GPU the same bytes are spread over both memories.
    """
    activations = facts.vocabulary + 4 * facts.embedding + 2 * facts.feed_forward
    fixed = ENGINE + facts.size_bytes + 4 * BATCH * activations
    return Need(fixed, kv_bytes(facts, kv_type) + 4 * BATCH)


def memory_need(facts: Facts, context: int, slots: int, kv_type: str = "f16") -> int:
    """The bytes that a model needs for `slots` answers of `context` tokens each at once."""
    return need_of(facts, kv_type).of(context, slots)


def kv_bytes(facts: Facts, kv_type: str = "f16") -> int:
    """The bytes that one token takes in the cache: a key and a value for each layer and head."""
    values = sum(facts.kv_heads) * (facts.key_length + facts.value_length)
    return int(values * KV_BITS[kv_type]) // 8
