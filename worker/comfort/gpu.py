"""Who else uses an NVIDIA GPU, as its driver tells; for other GPUs nobody tells cheaply."""

import ctypes
import sys
from collections.abc import Callable
from typing import Any, Final

from worker.comfort.programs import name_of, plain

MOST: Final = 64
LARGE: Final = 768 << 20
"""A program that draws on the GPU counts from this much memory on it: a desktop and a browser hold less."""


class _Process(ctypes.Structure):
    _fields_ = (("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong), ("gi", ctypes.c_uint), ("ci", ctypes.c_uint))


class Gpu:
    """NVIDIA's management library, loaded once; a machine without it knows nothing."""

    def __init__(self, load: Callable[[], Any] | None = None, name: Callable[[int], str] = name_of) -> None:
        self._name = name
        try:
            self._nvml = (load or _library)()
            self._works = self._nvml.nvmlInit_v2() == 0
        except (OSError, AttributeError):
            self._works = False

    def other_program(self, ours: set[int]) -> str | None:
        """The name of a program other than `ours` that computes on a GPU, or draws with much of its memory; empty if there
        is none, None if nobody can tell."""
        if not self._works:
            return None
        count = ctypes.c_uint()
        if self._nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return None
        for index in range(count.value):
            for pid in self._busy(index):
                if pid not in ours and (name := self._name(pid)):
                    return plain(name)
        return ""

    def _busy(self, index: int) -> list[int]:
        device = ctypes.c_void_p()
        if self._nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) != 0:
            return []
        computing = self._processes("nvmlDeviceGetComputeRunningProcesses_v3", device)
        drawing = self._processes("nvmlDeviceGetGraphicsRunningProcesses_v3", device)
        return [p.pid for p in computing] + [p.pid for p in drawing if LARGE <= p.memory < 1 << 63]

    def _processes(self, function: str, device: ctypes.c_void_p) -> list[_Process]:
        found, count = (_Process * MOST)(), ctypes.c_uint(MOST)
        if getattr(self._nvml, function)(device, ctypes.byref(count), found) != 0:
            return []
        return list(found[: count.value])


def _library() -> Any:
    if sys.platform == "win32":
        return ctypes.WinDLL("nvml.dll")
    return ctypes.CDLL("libnvidia-ml.so.1")
