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


_DEDICATED, _INTEGRATED = 1, 2


class Device(msgspec.Struct, frozen=True):
    """A device of ggml: its kind (1 has memory of its own, 2 shares the processor's, others take no layers), its place on
    the bus if it has one, and what is told of it."""

    kind: int
    place: str
    gpu: Gpu


def used(found: Sequence[Device]) -> list[Gpu]:
    """Those that llama.cpp puts layers on: a card that two backends see counts once, and what is integrated only where
    nothing else is there, and by one backend alone."""
    cards: dict[str, Gpu] = {}
    for index, device in enumerate(found):
        if device.kind == _DEDICATED:
            cards.setdefault(device.place or f"#{index}", device.gpu)
    integrated = [device.gpu for device in found if device.kind == _INTEGRATED]
    return list(cards.values()) or [gpu for gpu in integrated if _family(gpu) == _family(integrated[0])]


class Weights(msgspec.Struct, frozen=True):
    """What a model takes, in bytes: each layer, what is outside of them (at most so much goes to the GPU that has the
    output), and the cache of one token in one layer."""

    layers: Sequence[int]
    outside: int
    cache_per_token: int


class Placement(msgspec.Struct, frozen=True):
    """How many layers go to GPUs as llama.cpp counts them (the last ones, and the output as one more), how many of them
    to each, and why, in a sentence."""

    layers: int = 0
    counts: tuple[int, ...] = ()
    reason: str = "no GPU is used"

    def split(self) -> Any:
        """The counts as llama.cpp takes them: an array with a place for each device; None for one device."""
        if len(self.counts) < 2:
            return None
        most = 128
        return (ctypes.c_float * most)(*self.counts[:most])


def place(gpus: Sequence[Gpu], weights: Weights, *, tokens: int, most_bytes: int | None = None) -> Placement:
    """Where a model with a cache of `tokens` tokens goes; `most_bytes` is the owner's cap over all GPUs (0: none)."""
    if not gpus:
        return Placement(reason="there is no GPU that this build can use, so everything runs on the processor")
    if most_bytes == 0:
        return Placement(reason="the owner allows no GPU memory, so everything runs on the processor")
    room = _room(gpus, most_bytes)
    per_layer = [size + weights.cache_per_token * tokens for size in weights.layers]
    names, free = ", ".join(gpu.name for gpu in gpus), _gib(sum(room))
    for first in range(len(per_layer)):
        parts = [*per_layer[first:], weights.outside]
        if (counts := _spread(parts, room)) is None:
            continue
        if first == 0:
            taken = _gib(sum(parts))
            return Placement(ALL, counts, f"all {len(per_layer)} layers fit on {names} ({taken} of {free})")
        reason = (
            f"{len(parts) - 1} of {len(per_layer)} layers fit on {names} ({free} free), the others run on the processor"
        )
        return Placement(len(parts), counts, reason)
    return Placement(reason=f"not even one layer fits on {names} ({free} free)")


def _room(gpus: Sequence[Gpu], most_bytes: int | None) -> list[int]:
    free = [max(0, gpu.memory_free - RESERVE) for gpu in gpus]
    whole = sum(free)
    if most_bytes is None or whole <= most_bytes or whole == 0:
        return free
    return [size * most_bytes // whole for size in free]


def _spread(parts: Sequence[int], room: Sequence[int]) -> tuple[int, ...] | None:
    """How many of the parts, in their order, each GPU takes: in proportion to its room where that fits, else each as many
    as it can; None where they do not fit."""
    taken, whole = sum(parts), sum(room)
    if taken > whole:
        return None
    even = [min(size, size * taken // max(1, whole) + max(parts)) for size in room]
    return _filled(parts, even) or _filled(parts, room)


def _filled(parts: Sequence[int], room: Sequence[int]) -> tuple[int, ...] | None:
    counts, at = [0] * len(room), 0
    for gpu, size in enumerate(room):
        left = size
        while at < len(parts) and parts[at] <= left:
            left, at, counts[gpu] = left - parts[at], at + 1, counts[gpu] + 1
    return tuple(counts) if at == len(parts) else None


def _family(gpu: Gpu) -> str:
    """The backend that a device is of, such as Vulkan for Vulkan0."""
    return gpu.backend.rstrip("0123456789")


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
