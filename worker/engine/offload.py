"""What goes to which device: as many layers as fit into the free memory of the GPUs, the rest on the CPU. Pure."""

import ctypes
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from shared.protocol.messages import Gpu

RESERVE: Final = 400 << 20
"""Bytes of each GPU that are left alone: its context, the compute buffers, a screen."""
ALL: Final = 999
"""More layers than any model has: llama.cpp takes it as all of them, the output layer too."""


class Weights(msgspec.Struct, frozen=True):
    """What a model takes, in bytes: each layer, what is outside of them, and the cache of one token in one layer."""

    layers: Sequence[int]
    outside: int
    cache_per_token: int


class Placement(msgspec.Struct, frozen=True):
    """How many layers go to GPUs, in which shares, and why, in a sentence."""

    layers: int = 0
    shares: tuple[float, ...] = ()
    reason: str = "no GPU is used"

    def split(self) -> Any:
        """The shares as llama.cpp takes them: an array with a place for each device; None for one device."""
        if len(self.shares) < 2:
            return None
        most = 128
        return (ctypes.c_float * most)(*self.shares[:most])


def place(gpus: Sequence[Gpu], weights: Weights, *, tokens: int, most_bytes: int | None = None) -> Placement:
    """Where a model with a cache of `tokens` tokens goes; `most_bytes` is the owner's cap over all GPUs (0: none)."""
    if not gpus:
        return Placement(reason="there is no GPU that this build can use, so everything runs on the processor")
    if most_bytes == 0:
        return Placement(reason="the owner allows no GPU memory, so everything runs on the processor")
    room = _room(gpus, most_bytes)
    per_layer = [size + weights.cache_per_token * tokens for size in weights.layers]
    everything = sum(per_layer) + weights.outside
    names = ", ".join(gpu.name for gpu in gpus)
    if everything <= sum(room):
        shares = _shares(room)
        return Placement(
            ALL, shares, f"all {len(per_layer)} layers fit on {names} ({_gib(everything)} of {_gib(sum(room))})"
        )
    layers, left = 0, sum(room) - weights.outside // 4
    for size in reversed(per_layer):
        if size > left:
            break
        layers, left = layers + 1, left - size
    if layers == 0:
        return Placement(reason=f"not even one layer fits on {names} ({_gib(sum(room))} free)")
    reason = (
        f"{layers} of {len(per_layer)} layers fit on {names} ({_gib(sum(room))} free), the others run on the processor"
    )
    return Placement(layers, _shares(room), reason)


def _room(gpus: Sequence[Gpu], most_bytes: int | None) -> list[int]:
    free = [max(0, gpu.memory_free - RESERVE) for gpu in gpus]
    whole = sum(free)
    if most_bytes is None or whole <= most_bytes or whole == 0:
        return free
    return [size * most_bytes // whole for size in free]


def _shares(room: Sequence[int]) -> tuple[float, ...]:
    whole = sum(room)
    return tuple(round(size / whole, 4) for size in room) if len(room) > 1 and whole else ()


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
