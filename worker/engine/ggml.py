"""ggml by its C interface: the CPU variant of this machine, GPU backends beside it, the devices and the build."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import llama_cpp

from shared.protocol.messages import Gpu
from shared.tokens import silence
from worker.engine.offload import Device, used
from worker.engine.variants import backends

_FEATURES: Final = b"ggml_backend_get_features"
# Symbols of ggml by way of libllama: a wheel may hold libggml twice (by name and by soname), each with a register of
# backends of its own, and only the one that libllama is linked to counts.
_GGML: Final = llama_cpp.llama_cpp._lib
_LIBRARIES: Final = Path(llama_cpp.__file__).parent / "lib"


class _Properties(ctypes.Structure):
    """Of ggml: what a device says of itself, with its place on the bus if it has one, and what it can in the end."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("text", ctypes.c_char_p),
        ("free", ctypes.c_size_t),
        ("total", ctypes.c_size_t),
        ("kind", ctypes.c_int),
        ("place", ctypes.c_char_p),
        ("can", ctypes.c_bool * 32),
    )


class _DlInfo(ctypes.Structure):
    """Of the dynamic linker: which file a symbol is from."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("start", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def load_backends(*, narrow: bool = False) -> None:
    """Registers the best CPU variant for this machine (and for a model with `narrow` heads), and GPUs where their backends
    lie beside it; once a process."""
    silence()
    library = _GGML
    library.ggml_backend_reg_count.restype = ctypes.c_size_t
    if library.ggml_backend_reg_count() == 0:
        library.ggml_backend_load.argtypes = [ctypes.c_char_p]
        library.ggml_backend_load.restype = ctypes.c_void_p
        for backend in backends(_LIBRARIES, narrow=narrow):
            library.ggml_backend_load(str(backend).encode())
    llama_cpp.llama_backend_init()


def engine_build(used: Sequence[Gpu] = ()) -> str:
    """Names the build that made the tokens: the binding, llama.cpp, the CPU variant that was chosen, and the backends of
    the GPUs that are used."""
    _GGML.ggml_commit.restype = ctypes.c_char_p
    commit = (_GGML.ggml_commit() or b"unknown").decode()
    backends_used = sorted({gpu.backend.rstrip("0123456789") for gpu in used})
    parts = [f"llama-cpp-python {llama_cpp.__version__}", f"ggml {commit}", cpu_variant(), *backends_used]
    return "; ".join(parts)[:200]


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
    """The devices that layers can go to, as ggml reports them and in llama.cpp's order; memory in bytes."""
    library = _GGML
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    library.ggml_backend_dev_get_props.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Properties)]
    library.ggml_backend_dev_get_props.restype = None
    return used([_device(library.ggml_backend_dev_get(i)) for i in range(library.ggml_backend_dev_count())])


def _file_of(address: int) -> str:
    lookup = getattr(ctypes.CDLL(None), "dladdr", None)
    info = _DlInfo()
    if lookup is None or not lookup(ctypes.c_void_p(address), ctypes.byref(info)):
        return ""
    return (info.file or b"").decode()


def _device(native: int) -> Device:
    said = _Properties()
    _GGML.ggml_backend_dev_get_props(native, ctypes.byref(said))
    name, backend, place = (
        (text or b"").decode("utf-8", "replace")[:200] for text in (said.text, said.name, said.place)
    )
    return Device(said.kind, place, Gpu(name=name, backend=backend, memory_total=said.total, memory_free=said.free))
