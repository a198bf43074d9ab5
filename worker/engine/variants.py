"""Which of llama.cpp's backends to load: the best CPU variant that this machine can really run, and every GPU beside it."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PREFIX: Final = "libggml-cpu-"
AMX: Final = frozenset({"sapphirerapids"})
"""Variants with AMX: many virtual machines announce it and then kill the process at its first tile instruction, and
no home machine has it, so the next best (AVX-512) is taken."""


AVX512: Final = frozenset({"skylakex", "cannonlake", "cascadelake", "cooperlake", "icelake", "zen4"})
"""Variants whose attention fills 16 numbers at once: over heads of fewer than 64 they are half as fast as AVX2."""
NARROW: Final = 64


def best(scores: Mapping[str, int], *, narrow: bool = False) -> str | None:
    """The variant with the highest score above 0 that is safe to run, for a model with `narrow` heads or without; None if
    there is none."""
    avoided = AMX | AVX512 if narrow else AMX
    usable = {name: score for name, score in scores.items() if score > 0 and name not in avoided}
    return max(usable, key=lambda name: usable[name]) if usable else None


def backends(folder: Path, *, narrow: bool = False) -> list[Path]:
    """The backend libraries to load from `folder`: one CPU variant, and the GPU backends that were built."""
    variants = {file.stem.removeprefix(PREFIX): file for file in folder.glob(f"{PREFIX}*.so")}
    chosen = best({name: _score(file) for name, file in variants.items()}, narrow=narrow)
    gpus = [
        file
        for file in sorted(folder.glob("libggml-*.so"))
        if not file.stem.startswith(("libggml-cpu", "libggml-base"))
    ]
    return [*([variants[chosen]] if chosen else []), *gpus]


def _score(file: Path) -> int:
    """What the library itself says of this CPU: 0 if it cannot run here, else the higher the better."""
    score = ctypes.CDLL(str(file)).ggml_backend_score
    score.restype = ctypes.c_int
    return int(score())
