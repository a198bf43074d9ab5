"""llama.cpp by its C interface: the CPU variant of this machine, one model, one context, a cache for each slot."""

import ctypes
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import llama_cpp
import numpy as np
import numpy.typing as npt
import psutil

from shared.protocol.messages import Gpu
from shared.tokens import ModelFileError, silence
from worker.engine.variants import backends

BATCH: Final = 256
_SMALL_MODEL_BYTES: Final = 128 << 20
_MOST_THREADS: Final = 16
_CPU_DEVICE: Final = 0
_FEATURES: Final = b"ggml_backend_get_features"
# Symbols of ggml by way of libllama: a wheel may hold libggml twice (by name and by soname), each with a register of
# backends of its own, and only the one that libllama is linked to counts.
_GGML: Final = llama_cpp.llama_cpp._lib
_LIBRARIES: Final = Path(llama_cpp.__file__).parent / "lib"


class Row(NamedTuple):
    """One token of a step: at which position of which slot, and whether its logits are wanted."""

    token: int
    position: int
    slot: int
    wanted: bool


class DecodeError(RuntimeError):
    """llama.cpp could not do a step."""


class _DlInfo(ctypes.Structure):
    """Of the dynamic linker: which file a symbol is from."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("start", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def load_backends() -> None:
    """Registers the best CPU variant for this machine, and GPUs where their backends lie beside it; once a process."""
    silence()
    library = _GGML
    library.ggml_backend_reg_count.restype = ctypes.c_size_t
    if library.ggml_backend_reg_count() == 0:
        library.ggml_backend_load.argtypes = [ctypes.c_char_p]
        library.ggml_backend_load.restype = ctypes.c_void_p
        for backend in backends(_LIBRARIES):
            library.ggml_backend_load(str(backend).encode())
    llama_cpp.llama_backend_init()


def engine_build() -> str:
    """Names the build that made the tokens: the binding, llama.cpp, and the CPU variant that was chosen."""
    _GGML.ggml_commit.restype = ctypes.c_char_p
    commit = (_GGML.ggml_commit() or b"unknown").decode()
    return f"llama-cpp-python {llama_cpp.__version__}; ggml {commit}; {cpu_variant()}"


def cpu_variant() -> str:
    """The CPU backend in use, such as `cpu-haswell`; plain `cpu` where it is not a library of its own."""
    library = _GGML
    library.ggml_backend_reg_by_name.argtypes = [ctypes.c_char_p]
    library.ggml_backend_reg_by_name.restype = ctypes.c_void_p
    library.ggml_backend_reg_get_proc_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    registered = library.ggml_backend_reg_by_name(b"CPU")
    address = library.ggml_backend_reg_get_proc_address(registered, _FEATURES) if registered else None
    file = _file_of(address) if address else ""
    name = Path(file).stem.removeprefix("lib").removeprefix("ggml-")
    return name if name.startswith("cpu") else "cpu"


def gpus() -> list[Gpu]:
    """The devices beside the CPU, as ggml reports them; memory in bytes."""
    library = _GGML
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    devices = [library.ggml_backend_dev_get(i) for i in range(library.ggml_backend_dev_count())]
    library.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    return [_gpu(device) for device in devices if library.ggml_backend_dev_type(device) != _CPU_DEVICE]


def threads_for(file_bytes: int, asked: int) -> int:
    """How many threads a step uses: as asked, else one for a small model (more only wait for each other), else the
    physical cores up to 16."""
    if asked > 0:
        return asked
    if file_bytes < _SMALL_MODEL_BYTES:
        return 1
    return max(1, min(psutil.cpu_count(logical=False) or 1, _MOST_THREADS))


class Model:
    """A loaded model with a cache of `context` tokens for each of `slots` slots. Not for two threads at once."""

    def __init__(self, path: Path, *, slots: int, context: int, threads: int) -> None:
        """Loads the file; raises ModelFileError with a sentence."""
        started = time.monotonic()
        load_backends()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self._model:
            raise ModelFileError(f"llama.cpp cannot load {path.name}; is it a whole GGUF file of a known architecture?")
        self.threads = threads_for(path.stat().st_size, threads)
        trained = llama_cpp.llama_model_n_ctx_train(self._model)
        self.context = min(context, trained) if context > 0 else trained
        self._context = llama_cpp.llama_init_from_model(self._model, self._params(slots))
        if not self._context:
            raise ModelFileError(f"there is not enough memory for {slots} × {self.context} tokens of {path.name}")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self._size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self.load_ms = int((time.monotonic() - started) * 1000)

    def decode(self, rows: Sequence[Row]) -> None:
        """One step over at most 256 rows; raises DecodeError."""
        batch = self._batch
        batch.n_tokens = len(rows)
        for i, row in enumerate(rows):
            batch.token[i] = row.token
            batch.pos[i] = row.position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = row.slot
            batch.logits[i] = row.wanted
        code = llama_cpp.llama_decode(self._context, batch)
        if code != 0:
            raise DecodeError(f"llama.cpp could not do a step of {len(rows)} tokens (code {code})")

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """The logits after the row of this index, of shape (vocabulary,); they hold until the next step."""
        pointer = llama_cpp.llama_get_logits_ith(self._context, row)
        return np.ctypeslib.as_array(pointer, shape=(self._size,))

    def forget(self, slot: int) -> None:
        """Empties the cache of a slot."""
        llama_cpp.llama_memory_seq_rm(self._memory, slot, -1, -1)

    def close(self) -> None:
        """Gives the memory back; the model cannot be used afterwards."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _params(self, slots: int) -> Any:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = self.context * slots
        params.n_batch = params.n_ubatch = BATCH
        params.n_seq_max = slots
        params.n_threads = params.n_threads_batch = self.threads
        params.no_perf = True
        return params


def _file_of(address: int) -> str:
    lookup = getattr(ctypes.CDLL(None), "dladdr", None)
    info = _DlInfo()
    if lookup is None or not lookup(ctypes.c_void_p(address), ctypes.byref(info)):
        return ""
    return (info.file or b"").decode()


def _gpu(device: int) -> Gpu:
    library = _GGML
    library.ggml_backend_dev_description.argtypes = library.ggml_backend_dev_name.argtypes = [ctypes.c_void_p]
    library.ggml_backend_dev_description.restype = library.ggml_backend_dev_name.restype = ctypes.c_char_p
    library.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p] + [ctypes.POINTER(ctypes.c_size_t)] * 2
    library.ggml_backend_dev_memory.restype = None
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    library.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    return Gpu(
        name=library.ggml_backend_dev_description(device).decode()[:200],
        backend=library.ggml_backend_dev_name(device).decode()[:200],
        memory_total=total.value,
        memory_free=free.value,
    )
