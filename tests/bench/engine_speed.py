"""A process that times one CPU variant of llama.cpp: `python -m tests.bench.engine_speed`, told on stdin which.

A small model is computed by one thread, so processor time is its time, whatever else the machine does.
"""

import ctypes
import sys
import time
from pathlib import Path

import llama_cpp
import msgspec
import numpy as np

from shared.catalogue import catalogue
from shared.tokens import silence
from worker.engine.llama import Model
from worker.engine.loop import Step
from worker.engine.variants import PREFIX

ROUNDS = 4
WRITTEN = 256
BATCH = 256


def main() -> None:
    """Prints tokens/s of reading and of writing: the best of some rounds, zeros where the variant cannot run."""
    told = msgspec.json.decode(sys.stdin.readline())
    if told["variant"]:
        library = Path(llama_cpp.__file__).parent / "lib" / f"{PREFIX}{told['variant']}.so"
        if not ctypes.CDLL(str(library)).ggml_backend_score():
            print("[0,0]", flush=True)
            return
        _load(library)
    model = Model(catalogue()["hive-nano"].path, slots=1, context=0, threads=0)
    speeds = [(_reading(model), _writing(model)) for _ in range(told["rounds"])]
    print(msgspec.json.encode([max(column) for column in zip(*speeds, strict=True)]).decode(), flush=True)


def _load(library: Path) -> None:
    """Registers this variant; the engine chooses one only where none is registered yet."""
    silence()
    ggml = llama_cpp.llama_cpp._lib
    ggml.ggml_backend_load.argtypes = [ctypes.c_char_p]
    ggml.ggml_backend_load.restype = ctypes.c_void_p
    ggml.ggml_backend_load(str(library).encode())


def _reading(model: Model) -> float:
    model.cut(0, 0, -1)
    began = time.process_time()
    model.decode(step_of(list(range(100, 100 + BATCH)), 0))
    model.logits(BATCH - 1)
    return BATCH / (time.process_time() - began)


def _writing(model: Model) -> float:
    """Greedy, after what was just read."""
    token, began = 100, time.process_time()
    for n in range(WRITTEN):
        model.decode(step_of([token], BATCH + n))
        token = int(np.argmax(model.logits(0)))
    return WRITTEN / (time.process_time() - began)


def step_of(tokens: list[int], position: int) -> Step:
    """A run of tokens in one sequence, the last one's logits wanted."""
    step = Step()
    step.add(tokens, position, 0, wanted=True)
    return step


if __name__ == "__main__":
    main()
