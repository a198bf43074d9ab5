"""One model in llama.cpp by its C interface: weights, a unified KV cache for many sequences, steps over them."""

import ctypes
import time
from pathlib import Path
from typing import Any, Final

import llama_cpp
import numpy as np
import numpy.typing as npt
import psutil

from shared.tokens import ModelFileError
from worker.engine.ggml import load_backends
from worker.engine.loop import MOST_SEQUENCES, SPARE_SEQUENCES, DecodeError, Step
from worker.engine.offload import Placement
from worker.engine.pace import BATCH

_ROWS: Final = BATCH + 64
_SMALL_MODEL_BYTES: Final = 128 << 20
_MOST_THREADS: Final = 16


def threads_for(file_bytes: int, asked: int) -> int:
    """How many threads a step uses: as asked, else one for a small model (more only wait for each other), else the
    physical cores up to 16."""
    if asked > 0:
        return asked
    if file_bytes < _SMALL_MODEL_BYTES:
        return 1
    return max(1, min(psutil.cpu_count(logical=False) or 1, _MOST_THREADS))


class Batch:
    """llama.cpp's batch over arrays of our own, so that a step is a few copies and no loop."""

    def __init__(self, rows: int) -> None:
        self._tokens = np.zeros(rows, np.int32)
        self._positions = np.zeros(rows, np.int32)
        self._counts = np.ones(rows, np.int32)
        self._sequences = np.zeros(rows, np.int32)
        self._wanted = np.zeros(rows, np.int8)
        first, width = self._sequences.ctypes.data, self._sequences.itemsize
        self._pointers = np.array([first + i * width for i in range(rows)] + [0], np.uintp)
        native: Any = llama_cpp.llama_batch()
        native.token = self._tokens.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token))
        native.pos = self._positions.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_pos))
        native.n_seq_id = self._counts.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        native.seq_id = ctypes.cast(self._pointers.ctypes.data, ctypes.POINTER(ctypes.POINTER(llama_cpp.llama_seq_id)))
        native.logits = self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8))
        self.native = native

    def fill(self, step: Step) -> Any:
        """The batch of a step."""
        rows = len(step.tokens)
        self._tokens[:rows] = step.tokens
        self._positions[:rows] = step.positions
        self._sequences[:rows] = step.sequences
        self._wanted[:rows] = step.wanted
        self.native.n_tokens = rows
        return self.native


class Model:
    """A loaded model with `cells` cells for the tokens of all sequences, `context` for each of `slots` requests. Not for
    two threads at once. `cuts` tells whether a sequence can be cut and shared (not so where the state is recurrent)."""

    def __init__(
        self, path: Path, *, slots: int, context: int, threads: int, placement: Placement | None = None
    ) -> None:
        """Loads the file; raises ModelFileError with a sentence."""
        started = time.monotonic()
        load_backends()
        self._split = (placement or Placement()).split()
        self._model = self._opened(path, self._model_params(placement))
        self.threads = threads_for(path.stat().st_size, threads)
        trained = llama_cpp.llama_model_n_ctx_train(self._model)
        self.context = min(context, trained) if context > 0 else trained
        self.cells = self.context * slots
        self.cuts = not (
            llama_cpp.llama_model_is_recurrent(self._model) or llama_cpp.llama_model_is_hybrid(self._model)
        )
        self._context = llama_cpp.llama_init_from_model(self._model, self._params(slots))
        if not self._context:
            raise ModelFileError(f"there is not enough memory for {slots} × {self.context} tokens of {path.name}")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = Batch(_ROWS)
        self._size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        try:
            self._warm_up()
        except DecodeError as error:
            raise ModelFileError(f"{path.name} was loaded and cannot be used: {error}") from error
        self.load_ms = int((time.monotonic() - started) * 1000)

    @property
    def native(self) -> Any:
        """llama.cpp's model, for a second context over the same weights."""
        return self._model

    @property
    def writes(self) -> bool:
        """Whether it makes text at all; some models only embed."""
        return bool(self._memory)

    def decode(self, step: Step) -> None:
        """One step; raises DecodeError."""
        code = llama_cpp.llama_decode(self._context, self._batch.fill(step))
        if code != 0:
            raise DecodeError(f"llama.cpp could not do a step of {len(step.tokens)} tokens (code {code})")

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """The logits after a row that was wanted, of shape (vocabulary,); they hold until the next step and may be
        changed."""
        pointer = llama_cpp.llama_get_logits_ith(self._context, row)
        return np.ctypeslib.as_array(pointer, shape=(self._size,))

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Gives the cells of positions start to end (excluded) of `source` to `target` too."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, start, end)

    def cut(self, sequence: int, start: int, end: int) -> None:
        """Takes positions start to end (excluded) from a sequence; end -1 is its end."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, start, end)

    def reach(self, sequence: int) -> int:
        """The first position behind a sequence's cells; 0 if it has none."""
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def close(self) -> None:
        """Gives the memory back; the model cannot be used afterwards."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    @staticmethod
    def _opened(path: Path, params: Any) -> Any:
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ModelFileError(f"llama.cpp cannot load {path.name}; is it a whole GGUF file of a known architecture?")
        if llama_cpp.llama_model_has_encoder(model):
            raise ModelFileError(f"{path.name} reads with one half and writes with another, which Hive cannot serve")
        return model

    def _warm_up(self) -> None:
        """The first step of a context is slow (pages, threads, kernels): no request should pay for it."""
        if not self.writes:
            return
        step = Step()
        step.add([0], 0, 0, wanted=True)
        self.decode(step)
        llama_cpp.llama_memory_clear(self._memory, True)

    def _model_params(self, placement: Placement | None) -> Any:
        params = llama_cpp.llama_model_default_params()
        if placement is not None:
            params.n_gpu_layers = placement.layers
            if placement.layers == 0:
                # With a device at hand llama.cpp computes large batches on it even where no layer is there.
                params.split_mode, params.main_gpu = llama_cpp.LLAMA_SPLIT_MODE_NONE, -1
            if self._split is not None:
                params.tensor_split = self._split
        return params

    def _params(self, slots: int) -> Any:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = self.cells
        params.n_batch, params.n_ubatch = _ROWS, BATCH
        params.n_seq_max = min(slots + SPARE_SEQUENCES, MOST_SEQUENCES) if self.cuts else slots + 2
        params.n_threads = params.n_threads_batch = self.threads
        params.kv_unified = True
        params.no_perf = True
        return params
